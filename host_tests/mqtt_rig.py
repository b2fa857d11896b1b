"""What the MQTT tests share: programs whose lines are waited for, node_link.py as one, and a subscriber."""

import contextlib
import json
import subprocess
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho

ROOT = Path(__file__).resolve().parent.parent
PMU = "test/node/PMU"
STATUS = "test/node/STATUS"
CMD = "test/node/CMD"


def wait_for(condition, what, most_s=15):
    """Until `condition()` is true; an error that says `what` was missing after most_s."""
    end = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < end, f"not within {most_s} s: {what}"
        time.sleep(0.01)


class Process:
    """A program that runs in the root of the repository, or `cwd`; its lines in `lines` as they come."""

    def __init__(self, argv, environment, cwd=ROOT):
        self.lines = []
        self._process = subprocess.Popen(
            argv,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self.lines.append(line.rstrip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """As a power cut would end it."""
        self._process.kill()
        self.wait(10)

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self, most_s):
        """Its exit status, when it has ended and all its lines are there."""
        status = self._process.wait(most_s)
        self._reader.join(10)
        return status

    def said(self, text, times=1):
        return sum(text in line for line in self.lines) >= times

    def wait_said(self, text, times=1, most_s=20):
        wait_for(lambda: self.said(text, times), f"{text!r} in\n" + "\n".join(self.lines[-20:]), most_s)


class NodeProcess(Process):
    """node_link.py with `options` on a port (fixture mpy)."""

    def __init__(self, mpy, **options):
        argv = mpy.command("host_tests/mpy/node_link.py", json.dumps(options))
        super().__init__(argv, mpy.environment())

    def report(self, most_s=60):
        """What it printed when it ended by itself."""
        assert self.wait(most_s) == 0, self.lines[-20:]
        return json.loads(self.lines[-1])


@contextlib.contextmanager
def hearing(broker, on_message, topic="test/#", qos=1, session="", inside=contextlib.nullcontext, **login):
    """Calls on_message(paho message) for what a Broker has, in `with inside():`, subscribed when the block begins;
    with a session (client id) it loses nothing while it is away. login: username, password. Lends the client."""
    ready = threading.Event()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=session, clean_session=not session)
    if login:
        client.username_pw_set(**login)
    client.on_connect = lambda c, *_: c.subscribe(topic, qos)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda c, _, message: on_message(message)
    client.reconnect_delay_set(0.1, 0.5)
    with inside():  # its thread will be there, too
        client.connect(broker.host, broker.port)
        client.loop_start()
    try:
        assert ready.wait(20)
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


@contextlib.contextmanager
def subscriber(broker, topic="test/#", qos=1, **login):
    """Heard: the messages as (topic, payload, retained)."""
    messages = []
    with hearing(broker, lambda m: messages.append((m.topic, m.payload, m.retain)), topic, qos, **login) as client:
        yield Heard(messages, client)


class Heard:
    """A subscriber's messages so far."""

    def __init__(self, messages, client):
        self.messages, self.client = messages, client

    def numbers(self):
        """The numbers of the records heard on the PMU topic, in order of arrival."""
        return [int.from_bytes(p[:4], "big") for t, p, _ in self.messages if t == PMU and p != b"configuration"]

    def on(self, topic):
        return [payload for t, payload, _ in self.messages if t == topic]
