"""The run of the demonstration: starts the programs, follows the frames, cuts, stops everything."""

import asyncio
import contextlib
import json
import time

from c37118.command import DATA_OFF, DATA_ON, SEND_CFG2, SEND_HDR
from c37118.decode import decode
from c37118.frame import CFG2, HEADER
from gridmote import processes
from gridmote.archive.store import Archive
from gridmote.broker.mosquitto import Broker, free_port
from gridmote.demo import node as demo_node
from gridmote.demo import times as demo_times
from gridmote.demo.evidence import Evidence, plural
from gridmote.demo.gauge import DOWN, STOPPED, UP, Gauge
from gridmote.demo.watcher import Watcher
from gridmote.fault import Fault
from gridmote.pdc.client import PdcClient
from gridmote.pdc.intake import with_kind

_PATIENCE_S = 15.0  # for any one step before frames flow, and for the backlog after the outage
_QUIET_S = 1.0  # without a frame: no more come
_SHOW_S = 0.25
_COUNT_S = 0.5


def _now_us():
    return time.time_ns() // 1000


class Demonstration:
    """One run. `folder`: for everything that it writes; `source`, `measurement`: of the node's configuration;
    `sampling`: demo_reference.Sampling of it; `plan`: demo_plan.Plan. Afterwards `seen` and `pmu_config` tell.
    """

    def __init__(self, folder, source, measurement, sampling, plan, view):
        self._folder, self._source, self._plan, self._view = folder, source, plan, view
        self.measurement = measurement
        self.seen = Evidence(1, 1, sampling)
        self.pmu_config = None
        self._archive_path = folder / "archive.sqlite"
        self._gauge = Gauge(self.seen, folder / demo_node.FLASH)
        self._topic = "/".join([*demo_node.PLACE.values(), "PMU", demo_node.NODE_ID])
        self._block = None  # PmuData of the latest frame
        self._shown_s = self._began_s = 0.0
        self._broker_state = self._node_state = UP
        self._archived = 0

    async def run(self):
        async with contextlib.AsyncExitStack() as stack:
            self._stack = stack
            self._broker = broker = stack.enter_context(Broker(self._folder, persistent=True))
            self._view.say("broker", f"mosquitto listens on {broker.host}:{broker.port}")
            config = demo_node.configuration(broker, self._source, self.measurement)
            (self._folder / "node.json").write_text(json.dumps(config, indent=2))
            place = "/".join(demo_node.PLACE.values())
            await stack.enter_async_context(Watcher(broker, place, demo_node.NODE_ID, self.seen))
            port = free_port()
            adapter = self._begin("adapter", processes.gridmote(
                "pdc", "--broker", f"{broker.host}:{broker.port}", "--port", f"{self._topic}={port}",
                "--archive", self._archive_path, "--json"))
            self._client = client = await stack.enter_async_context(await self._dial(adapter, port))
            self._view.say("PDC", f"connected to the adapter at 127.0.0.1:{port}; asks for header, CFG-2 and data")
            for command in (SEND_HDR, SEND_CFG2, DATA_ON):  # waits in the adapter until it hears the PMU
                await client.command(command)
            self._start_node("node")
            self._view.say("meter", f"starts: 32 bits, {demo_node.HEAP} of heap; topic {self._topic}")
            await self._introductions()
            counting = asyncio.create_task(self._count())
            stack.callback(counting.cancel)
            await self._story()
            await self._end()
            await client.command(DATA_OFF)
            self._view.say("PDC", f"data off after {len(self.seen.client)} frames")
            await asyncio.to_thread(processes.stop, adapter)
            self._read_archive()

    # -- what happens ---------------------------------------------------------------------------------

    async def _story(self):
        plan = self._plan
        await self._attend(lambda: self.seen.client, _PATIENCE_S)
        if not self.seen.client:
            raise Fault("no frame came")
        self._began_s = time.monotonic()
        self._view.say("PDC", "the first frame is here")
        for at_s, event in plan.events():
            await self._until(at_s)
            await {"cut broker": self._cut_broker, "cut node": self._cut_node,
                   "broker back": self._broker_back}[event]()
        if plan.cuts:
            await self._recover()
        await self._until(plan.seconds)

    async def _cut_broker(self):
        self._broker.kill()
        self.seen.down_us, self._broker_state = _now_us(), DOWN
        text = f"KILLED (SIGKILL), for {self._plan.outage_s:g} s: frames wait in the meter's RAM, then on its flash"
        self._view.say("broker", text, alarm=True)

    async def _cut_node(self):
        self._alive(self._node, self._node_name)
        self._node_state = DOWN
        self.seen.killed_us = await asyncio.to_thread(demo_node.cut_power, self._node)
        lost, flash = self._gauge.killed(self.seen.killed_us)
        self._view.say("meter", f"KILLED (SIGKILL, as a power cut): its RAM is lost with {plural(lost)}"
                       + (f"; {flash} wait on flash" if flash else ""), alarm=True)
        self._start_node("node-2")
        self._view.say("meter", "starts again" + ("" if self._broker_state == UP else ", with no broker in sight"))

    async def _broker_back(self):
        moment = self._look()
        await asyncio.to_thread(self._broker.start)
        self.seen.up_us, self._broker_state = _now_us(), UP
        self._view.say("broker", f"back, with what it had saved; {moment.flash} frames wait on the meter's flash, "
                       f"{moment.ram} in its RAM")

    async def _recover(self):
        """Until live frames flow and nothing waits behind them."""
        since_us = self.seen.up_us or self.seen.killed_us
        boot = max(self.seen.statuses, default=0)
        after = "the broker" if self.seen.up_us else "the kill"
        await self._attend(lambda: demo_times.live_again_us(self.seen, since_us), _PATIENCE_S)
        if again_us := demo_times.live_again_us(self.seen, since_us):
            passed = f"{(again_us - since_us) / 1000:.0f} ms after {after}"
            behind = (f"; what waited follows behind (here at {demo_node.BACKLOG_TIMES} times the live rate, "
                      "by default 10)")
            self._view.say("PDC", f"live frames again, {passed}{behind if self.seen.up_us else ''}")

        def drained():
            status = self.seen.status or {}
            new = status.get("boot", 0) > boot or not self.seen.killed_us
            return new and status.get("flash_waiting") == 0 == status.get("durable_waiting")

        began_us = _now_us()
        await self._attend(lambda: drained() and _now_us() - began_us > 1_500_000, _PATIENCE_S)
        if drained():
            self._gauge.settled()
            late = [message.received_us for message in self.seen.published if not message.live]
            if late:
                self._view.say("meter", f"the backlog is gone, {(max(late) - since_us) / 1e6:.1f} s after {after}: "
                               f"{len(late)} frames, some of them to be sure twice")
        else:
            self._view.say("meter", f"the backlog is not gone after {_PATIENCE_S:g} s", alarm=True)

    async def _end(self):
        """The node says good-bye; take frames until nothing more comes."""
        self._node_state = STOPPED
        stopping = asyncio.create_task(asyncio.to_thread(processes.stop, self._node, 8))
        await self._attend(stopping.done, _PATIENCE_S, of_node=False)
        await stopping
        await self._attend(lambda: _now_us() - self.seen.client[-1][1] > _QUIET_S * 1e6, 3.0, of_node=False)

    # -- following ------------------------------------------------------------------------------------

    async def _until(self, at_s):
        """Take frames until so many seconds after the first one."""
        await self._attend(lambda: time.monotonic() - self._began_s >= at_s, at_s)

    async def _attend(self, done, most_s, of_node=True):
        """Take frames and show them until done(), or for most_s seconds. Fault when the node ends."""
        end_s = time.monotonic() + most_s
        while not done() and time.monotonic() < end_s:
            with contextlib.suppress(TimeoutError):
                raw = await self._client.raw_frame(timeout_s=0.05)
                self.seen.client.append((raw, _now_us()))
                self._block = decode(raw, self.pmu_config).pmus[0]
            if time.monotonic() - self._shown_s > _SHOW_S:
                self._shown_s = time.monotonic()
                if of_node:
                    self._alive(self._node, self._node_name)
                if self._block:
                    self._view.show(self._look(), self.pmu_config.pmus[0], self._block)

    def _look(self):
        return self._gauge.look(archived=self._archived, broker=self._broker_state, node=self._node_state)

    async def _count(self):
        """Keep an eye on the archive; in a thread, for a busy disk would hold up the frames."""
        while True:
            self._archived = await asyncio.to_thread(self._archived_now)
            await asyncio.sleep(_COUNT_S)

    def _archived_now(self):
        archive = Archive(self._archive_path, readonly=True)
        try:
            return archive.counts(self._topic)["frames"]
        finally:
            archive.close()

    # -- parts ----------------------------------------------------------------------------------------

    def _begin(self, name, argv):
        log = self._stack.enter_context((self._folder / f"{name}.log").open("w"))
        return self._stack.enter_context(processes.started(argv, patience_s=8, stdout=log, stderr=log))

    def _start_node(self, name):
        self._node_name, self._node_state = name, UP
        self._node = self._begin(name, processes.gridmote(
            "node", self._folder / "node.json", "--heap", demo_node.HEAP, "--json"))

    async def _dial(self, adapter, port):
        """A PdcClient whose adapter listens; connected by its `async with`."""
        end_s = time.monotonic() + _PATIENCE_S
        while True:
            self._alive(adapter, "adapter")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return PdcClient("127.0.0.1", port, demo_node.IDCODE, timeout_s=_PATIENCE_S)
            except OSError:
                if time.monotonic() > end_s:
                    raise Fault("the PDC adapter does not listen") from None
                await asyncio.sleep(0.05)

    def _alive(self, process, name):
        """Fault with its last line when a part has ended too early."""
        if process.poll() is not None:
            lines = (self._folder / f"{name}.log").read_text(errors="replace").splitlines()
            raise Fault(f"the {name} ended with status {process.returncode}: {lines[-1] if lines else 'no word'}")

    async def _introductions(self):
        client = self._client
        try:
            text = decode(await client.raw_answer(HEADER)).text
            client.config_frame = self.pmu_config = config = decode(await client.raw_answer(CFG2))
        except TimeoutError:
            self._alive(self._node, self._node_name)
            raise Fault("no header and no CFG-2 came") from None
        self.seen.time_base, self.seen.rate = config.time_base & 0xFFFFFF, config.rate
        pmu = config.pmus[0]
        names = ", ".join(name.strip() for name, _, _ in pmu.phasors)
        self._view.say("PDC", f"header: {' '.join(text.split())}")
        self._view.say("PDC", f"CFG-2: {pmu.stn.strip()}, IDCODE {pmu.idcode}, {config.rate}/s: {names}")

    def _read_archive(self):
        seen, topic = self.seen, self._topic
        archive = Archive(self._archive_path, readonly=True)
        try:
            seen.archived = [(row.frame, row.received_us) for row in archive.frames(topic)]
            counts = archive.counts(topic)
            seen.conflicts, seen.duplicates = counts["conflicts"], counts["duplicates"]
            for kind in ("EVENT", "METER"):
                for record in archive.records(with_kind(topic, kind)):
                    seen.durable.append((record.boot, record.number))
                    said = json.loads(record.json)
                    if said.get("event") == "start":
                        seen.starts.append((record.boot, said["soc"]))
        finally:
            archive.close()
