"""The run of the demonstration: starts broker, adapter, PDC and meter, follows the frames, stops everything."""

import asyncio
import contextlib
import json
import time

import paho.mqtt.client as mqtt

from c37118.command import DATA_OFF, DATA_ON, SEND_CFG2, SEND_HDR
from c37118.decode import decode
from c37118.frame import CFG2, DATA, HEADER, kind_of
from gridmote import demo_result, processes
from gridmote.archive import Archive
from gridmote.broker import Broker, free_port
from gridmote.fault import Fault
from gridmote.pdc_client import PdcClient

_IDCODE = 765
_PATIENCE_S = 15.0  # for any one step before frames flow
_HEAP = "184K"


class Watcher:
    """Another subscriber of the broker: what the node publishes, frames and STATUS, as it comes."""

    def __init__(self, broker, topics, seen):
        self._frames_topic, self._status_topic = topics
        self._seen = seen
        self._ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._client = client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.on_connect = lambda c, *_: c.subscribe([(topic, 1) for topic in topics])
        client.on_subscribe = lambda *_: self._loop.call_soon_threadsafe(self._ready.set)
        client.on_message = self._message
        client.connect_async(broker.host, broker.port)

    async def __aenter__(self):
        self._client.loop_start()
        try:
            await asyncio.wait_for(self._ready.wait(), _PATIENCE_S)
        except TimeoutError:
            await self.__aexit__()
            raise Fault("the broker does not answer") from None
        return self

    async def __aexit__(self, *_):
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def _message(self, client, userdata, message):
        if message.topic == self._frames_topic:
            if kind_of(message.payload) == DATA:
                self._seen.published.append(message.payload)
        elif message.topic == self._status_topic:
            self._seen.status = json.loads(message.payload)


class Demonstration:
    """One run. `folder`: for everything that it writes; `source`, `measurement`: of the node's configuration."""

    def __init__(self, folder, source, measurement, seconds, view):
        self._folder, self._source, self._seconds, self._view = folder, source, seconds, view
        self.measurement = measurement
        self.seen = demo_result.Evidence()
        self.pmu_config = None
        self._archive_path = folder / "archive.sqlite"

    def _configuration(self, broker):
        return {
            "id": str(_IDCODE),
            "topic": {"area": "south-italy-113", "location_type": "secondary-station", "location_id": "1156"},
            "broker": {"host": broker.host, "port": broker.port},
            "measurement": {"station": "Gridmote demo", "idcode": _IDCODE, **self.measurement},
            "source": self._source,
            "status_s": 1,
        }

    async def run(self):
        say = self._view.say
        async with contextlib.AsyncExitStack() as stack:
            broker = stack.enter_context(Broker(self._folder))
            say("broker", f"mosquitto listens on {broker.host}:{broker.port}")
            config = self._configuration(broker)
            (self._folder / "node.json").write_text(json.dumps(config, indent=2))
            place = "/".join(config["topic"].values())
            topic, status = f"{place}/PMU/{_IDCODE}", f"{place}/STATUS/{_IDCODE}"
            await stack.enter_async_context(Watcher(broker, (topic, status), self.seen))
            port = free_port()
            adapter = self._begin(stack, "adapter", processes.gridmote(
                "pdc", "--broker", f"{broker.host}:{broker.port}", "--port", f"{topic}={port}",
                "--archive", self._archive_path, "--json"))
            client = await stack.enter_async_context(await self._dial(adapter, port))
            say("PDC", f"connected to the adapter at 127.0.0.1:{port}; asks for header, CFG-2 and data")
            for command in (SEND_HDR, SEND_CFG2, DATA_ON):  # waits in the adapter until it hears the PMU
                await client.command(command)
            node = self._begin(stack, "node", processes.gridmote(
                "node", self._folder / "node.json", "--heap", _HEAP, "--seconds", self._seconds, "--json"))
            say("meter", f"starts: 32 bits, {_HEAP} of heap; topic {topic}")
            await self._introductions(client, node)
            await self._follow(client, node, topic)
            await client.command(DATA_OFF)
            say("PDC", f"data off after {len(self.seen.client)} frames")
            await asyncio.to_thread(processes.stop, adapter)
            self._read_archive(topic)

    def _begin(self, stack, name, argv):
        log = stack.enter_context((self._folder / f"{name}.log").open("w"))
        return stack.enter_context(processes.started(argv, patience_s=8, stdout=log, stderr=log))

    async def _dial(self, adapter, port):
        """A PdcClient whose adapter listens; connected by its `async with`."""
        end_s = time.monotonic() + _PATIENCE_S
        while True:
            self._alive(adapter, "adapter")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return PdcClient("127.0.0.1", port, _IDCODE, timeout_s=_PATIENCE_S)
            except OSError:
                if time.monotonic() > end_s:
                    raise Fault("the PDC adapter does not listen") from None
                await asyncio.sleep(0.05)

    def _alive(self, process, name):
        """Fault with its last line when a part has ended too early."""
        if process.poll() is not None:
            lines = (self._folder / f"{name}.log").read_text(errors="replace").splitlines()
            raise Fault(f"the {name} ended with status {process.returncode}: {lines[-1] if lines else 'no word'}")

    async def _introductions(self, client, node):
        try:
            text = decode(await client.raw_answer(HEADER)).text
            client.config_frame = self.pmu_config = decode(await client.raw_answer(CFG2))
        except TimeoutError:
            self._alive(node, "node")
            raise Fault("no header and no CFG-2 came") from None
        pmu = self.pmu_config.pmus[0]
        names = ", ".join(name.strip() for name, _, _ in pmu.phasors)
        self._view.say("PDC", f"header: {' '.join(text.split())}")
        self._view.say("PDC", f"CFG-2: {pmu.stn.strip()}, IDCODE {pmu.idcode}, {self.pmu_config.rate}/s: {names}")

    async def _follow(self, client, node, topic):
        """Take frames until the node has ended and nothing more comes."""
        pmu = self.pmu_config.pmus[0]
        received, counted_s, archived = self.seen.client, 0.0, 0
        end_s = time.monotonic() + self._seconds + _PATIENCE_S
        while time.monotonic() < end_s:
            try:
                raw = await client.raw_frame(timeout_s=1.0)
            except TimeoutError:
                if node.poll() is not None:
                    return
                continue
            received.append((raw, time.time_ns() // 1000))
            if len(received) == 1:
                self._view.say("PDC", "the first frame is here")
            now_s = time.monotonic()
            if now_s - counted_s > 0.5:
                counted_s, archived = now_s, self._archived(topic)
            status = self.seen.status or {}
            counts = {"made (STATUS)": status.get("frames", 0), "published": len(self.seen.published),
                      "archived": archived, "at the PDC": len(received)}
            self._view.show(counts, pmu, decode(raw, self.pmu_config).pmus[0])

    def _archived(self, topic):
        archive = Archive(self._archive_path, readonly=True)
        try:
            return archive.counts(topic)["frames"]
        finally:
            archive.close()

    def _read_archive(self, topic):
        archive = Archive(self._archive_path, readonly=True)
        try:
            self.seen.archived = [(row.frame, row.received_us) for row in archive.frames(topic)]
            self.seen.conflicts = archive.counts(topic)["conflicts"]
            self.seen.gaps = sum(gap.missing for gap in archive.gaps(topic))
        finally:
            archive.close()
