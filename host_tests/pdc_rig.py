"""What the tests of the PDC adapter share: frames to publish, a publisher, the adapter as a process."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt

from c37118.config import Config, PmuConfig
from c37118.data import Data, PmuData

ROOT = Path(__file__).resolve().parent.parent
WAIT_S = 30  # a bound, never an expectation
SOC = 1_700_000_000


class Pmu:
    """A stream of small frames on a grid of `rate` frames a second, TIME_BASE 10^6."""

    def __init__(self, idcode=7, station="Substation A", rate=50, analogs=0):
        channels = [("AN%d" % i, 0, 1) for i in range(analogs)]
        pmu = PmuConfig(station, idcode, 0b0001, [("VA", 0, 1000), ("VB", 0, 1000)], channels, [], 1, 1)
        self.config = Config(idcode, [pmu], rate, soc=SOC)
        self.cfg2 = self.config.encode()
        self.idcode, self.rate, self.analogs = idcode, rate, analogs

    def frame(self, number, tq=0, freq=0):
        """-> bytes of the data frame `number` grid points after SOC."""
        fracsec = number % self.rate * 1_000_000 // self.rate
        block = PmuData(0, [(1000, 0), (1000, 1)], freq, 0, [0] * self.analogs, [])
        return Data(self.idcode, SOC + number // self.rate, tq, fracsec, [block]).encode(self.config)


def wait_until(condition, what):
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until, "no %s within %d s" % (what, WAIT_S)
        time.sleep(0.01)


class Publisher:
    """A QoS 1 publisher; publish() queues, flush() waits for every PUBACK."""

    def __init__(self, broker):
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(100)
        self._client.reconnect_delay_set(0.1, 0.5)
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        self._last = []

    def publish(self, topic, payload, retain=False):
        self._last.append(self._client.publish(topic, payload, qos=1, retain=retain))

    def flush(self):
        wait_until(lambda: all(info.is_published() for info in self._last), "acknowledgement")
        self._last.clear()

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


class Adapter:
    """`gridmote pdc --json` as a process of its own; its events in order in `events`."""

    def __init__(self, broker, *options, environment=None, stderr=None):
        command = [sys.executable, "-c", "import typer; from gridmote.commands.pdc import pdc; typer.run(pdc)",
                   "--json", "--broker", "%s:%d" % (broker.host, broker.port), "--port", "0",
                   *map(str, options)]
        path = os.pathsep.join(str(ROOT / folder) for folder in ("lib", "tools", "."))
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True,
            env={**os.environ, "PYTHONPATH": path, **(environment or {})})
        self.events = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def find(self, event, **fields):
        return [e for e in list(self.events) if e["event"] == event and fields.items() <= e.items()]

    def wait_for(self, event, count=1, **fields):
        """-> the `count`th such event."""
        wait_until(lambda: len(self.find(event, **fields)) >= count, "%s %s" % (event, fields))
        return self.find(event, **fields)[count - 1]

    def stop(self):
        """-> the summary."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(WAIT_S) == 0
        self._reader.join(WAIT_S)
        return self.find("summary")[0]

    def kill(self):
        self.process.kill()
        self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
