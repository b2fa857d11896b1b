"""`gridmote pdc`: PMU topics of an MQTT broker, served to PDCs over TCP as if each were the PMU itself."""

import asyncio
import collections
import errno
import os
import signal
import socket
import time
from pathlib import Path
from typing import Annotated

import typer

from c37118.decode import decode
from c37118.frame import CFG2, DATA, FrameError, kind_of
from gridmote.archive import Archive, ArchiveError
from gridmote.archive_writer import ArchiveWriter
from gridmote.pdc_report import Report
from gridmote.pmu_server import PmuServer
from gridmote.rawframe import grid_of, whole_frames
from gridmote.subscriber import BrokerAddress, Subscriber

_TOTALS_EVERY_S = 10
_GAPS_MOST = 500_000  # frames of a topic whose gaps are looked for at the end: about two seconds
_TOLD_CLIENTS = 200  # connections that the summary lists, the last ones


class PdcAdapter:
    """Takes MQTT messages, serves their frames, archives them, acknowledges them: in this order.

    host: address to listen at; base_port: that of the first topic heard, every further one gets the next;
    fixed_ports: {topic: port}, listening from the start; archive: Archive or None. `subscriber` is set by the
    caller before start(). One event loop; see Subscriber and ArchiveWriter for their threads.
    """

    def __init__(self, host, base_port, fixed_ports, archive, report):
        self._host, self._next_port, self._fixed_ports = host, base_port, fixed_ports
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._servers = {}  # topic -> PmuServer
        self._serving = set()  # tasks
        self._counts = collections.Counter()  # received, archived, duplicates, conflicts, bad, ignored
        self._received = collections.Counter()  # by topic
        self._bad = collections.Counter()  # by topic
        self._since_soc = int(time.time()) - 60
        self._missing = {}  # by topic: frames that the archive lacks, of this run's
        self._bad_told = set()
        self._clients_gone = collections.deque(maxlen=_TOLD_CLIENTS)
        self.subscriber = None
        self._archive = archive
        self._writer = archive and ArchiveWriter(
            archive, self._stored,
            lambda text: self._from_thread(self._report, "archive_trouble", reason=text),
            self._archive_recovered)

    def start(self):
        """Raises OSError if a fixed port cannot be had."""
        for topic, port in self._fixed_ports.items():
            self._servers[topic] = self._serve(topic, port)
        if self._writer:
            self._writer.start()
        self.subscriber.start()

    async def stop(self):
        if self._writer:
            await asyncio.to_thread(self._writer.stop)  # first: its acknowledgements still go out
            for topic, count in self._received.items():
                if 0 < count <= _GAPS_MOST:
                    self._missing[topic] = sum(gap.missing for gap in self._archive.gaps(topic, self._since_soc))
            self._archive.close()
        await asyncio.to_thread(self.subscriber.stop)
        for server in self._servers.values():
            await server.close()

    # From MQTT.

    def on_messages(self, messages):
        done = []
        for message in messages:
            frames = self._frames_of(message)
            for frame in frames:
                self._pass_on(message.topic, frame)
            if not frames or self._writer is None:
                done.append(message.receipt)
            else:  # if it is not taken the broker keeps it
                self._writer.put(message.topic, message.received_us, frames, message.receipt)
        self.subscriber.ack(done)

    def _frames_of(self, message):
        """-> list of bytes, the good frames that a message consists of; none if anything in it is bad."""
        try:
            frames = whole_frames(message.payload)
            for frame in frames:
                if kind_of(frame) == CFG2:
                    decode(frame)
                    grid_of(frame)
        except FrameError as error:
            self._counts["bad"] += 1
            self._bad[message.topic] += 1
            if message.topic not in self._bad_told:  # again after the next totals
                self._bad_told.add(message.topic)
                self._report("bad_payload", topic=message.topic, reason=str(error),
                             so_far=self._bad[message.topic])
            return []
        return frames

    def _pass_on(self, topic, frame):
        kind = kind_of(frame)
        if kind not in (DATA, CFG2):
            self._counts["ignored"] += 1
            return
        server = self._servers.get(topic)
        if server is None:
            server = self._servers[topic] = self._serve_somewhere(topic)
        if kind == CFG2:
            self._configure(server, frame)
        else:
            self._counts["received"] += 1
            self._received[topic] += 1
            server.send(frame)

    def _configure(self, server, frame):
        config = decode(frame)
        told = (server.station, server.idcode, server.rate)
        server.set_config(frame, config)
        if told != (server.station, server.idcode, server.rate):
            self._report("pmu", topic=server.topic, station=server.station, host=self._shown_host(),
                         port=server.port, idcode=server.idcode, rate=server.rate)

    def _shown_host(self):
        if self._host not in ("0.0.0.0", "::"):
            return self._host
        try:  # connecting a datagram socket sends nothing, it only finds the address used that way
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((self.subscriber.address.host, self.subscriber.address.port))
                return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()

    def _serve(self, topic, port):
        server = PmuServer(topic, self._client_event)
        server.bind(self._host, port)
        task = self._loop.create_task(server.serve())
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return server

    def _serve_somewhere(self, topic):
        """-> PmuServer at the next free port; without any, one that nobody can connect to, and a word."""
        reason = "no port below 65536 is left"
        while self._next_port <= 65535:
            port = self._next_port
            self._next_port += 1 if port else 0  # base port 0: any free one
            try:
                return self._serve(topic, port)
            except OSError as error:
                reason = str(error)
                if error.errno != errno.EADDRINUSE or not port:
                    break
                self._report("port_taken", port=port)
        self._report("not_served", topic=topic, reason=reason)
        return PmuServer(topic, self._client_event)

    def _client_event(self, event, **fields):
        if event != "client_connected":
            self._clients_gone.append((fields["topic"], fields["client"], fields["frames"]))
        self._report(event, **fields)

    # From the archive's thread.

    def _from_thread(self, callback, *args, **fields):
        self._loop.call_soon_threadsafe(lambda: callback(*args, **fields))

    def _stored(self, receipts, stored):
        self.subscriber.ack(receipts)
        self._from_thread(self._counts.update, archived=stored.frames, duplicates=stored.duplicates,
                          conflicts=stored.conflicts)

    def _archive_recovered(self, refused):
        self._from_thread(self._report, "archive_recovered", to_be_sent_again=refused)
        if refused:
            self.subscriber.restart()

    # What is told.

    async def tell_totals(self):
        while True:
            await asyncio.sleep(_TOTALS_EVERY_S)
            self._bad_told.clear()
            self._report("totals", **self.totals())

    def totals(self):
        names = ("received", "archived", "duplicates", "conflicts", "bad", "ignored")
        totals = {name: self._counts[name] for name in names}
        servers = self._servers.values()
        totals["repeated"] = sum(server.repeated for server in servers)
        totals["unmatched"] = sum(server.unmatched for server in servers)
        totals["commands_discarded"] = sum(server.discarded for server in servers)
        totals["clients"] = sum(len(server.clients) for server in servers)
        return totals

    def summary(self):
        """After stop(). Fields of totals(), `pmus` and `served` (frames of each connection)."""
        pmus = [{"topic": topic, "port": server.port, "idcode": server.idcode,
                 "received": self._received[topic], "bad": self._bad[topic], "forwarded": server.sent,
                 "missing": self._missing.get(topic, "-")}
                for topic, server in self._servers.items()]
        served = [{"topic": topic, "client": client, "frames": frames}
                  for topic, client, frames in self._clients_gone]
        return {**self.totals(), "pmus": pmus, "served": served}


async def _run(host, base_port, fixed_ports, archive, report, session):
    adapter = PdcAdapter(host, base_port, fixed_ports, archive, report)
    loop = asyncio.get_running_loop()
    adapter.subscriber = Subscriber(loop=loop, on_messages=adapter.on_messages, report=report, **session)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    adapter.start()
    totals = loop.create_task(adapter.tell_totals())
    await ended.wait()
    totals.cancel()
    await adapter.stop()
    report("summary", **adapter.summary())


def split_ports(options):
    """["4712", "some/topic=4720"] -> (base port, {topic: port}). Raises ValueError, naming what is wrong."""
    base, fixed = 4712, {}
    for option in options:
        topic, _, port = option.rpartition("=")
        if not port.isdecimal() or int(port) > 65535:
            raise ValueError("port %r: expected 0..65535 or TOPIC=PORT" % option)
        if not topic:
            base = int(port)
        elif "+" in topic or "#" in topic:
            raise ValueError("port %r: a port is for one topic, not for a wildcard" % option)
        else:
            fixed[topic] = int(port)
    return base, fixed


def _password(file):
    if file is not None:
        return file.read_text().rstrip("\r\n")
    return os.environ.get("GRIDMOTE_PASSWORD")


def pdc(
    broker: Annotated[str, typer.Option(
        help="host:port, mqtt://user@host:port or mqtts://...")] = "127.0.0.1:1883",
    topic: Annotated[list[str] | None, typer.Option(
        help="Topic of a PMU, + and # allowed; repeatable. Without any: +/+/+/PMU/+")] = None,
    port: Annotated[list[str] | None, typer.Option(
        help="TCP port of the first PMU heard (4712), further ones get the next; or TOPIC=PORT; repeatable")
    ] = None,
    host: Annotated[str, typer.Option(
        help="Address to listen at; 0.0.0.0 lets PDCs of other machines in (C37.118 knows no passwords)")
    ] = "127.0.0.1",
    archive: Annotated[Path | None, typer.Option(
        help="SQLite file that keeps every frame exactly once")] = None,
    user: Annotated[str | None, typer.Option(help="MQTT user name")] = None,
    password_file: Annotated[Path | None, typer.Option(
        help="File with the MQTT password (or set GRIDMOTE_PASSWORD)", exists=True, dir_okay=False)] = None,
    ca: Annotated[Path | None, typer.Option(
        help="CA certificates for mqtts:// instead of the system's", exists=True, dir_okay=False)] = None,
    client_id: Annotated[str | None, typer.Option(
        help="MQTT client id: the broker keeps messages for it while the adapter is away")] = None,
    mqtt: Annotated[int, typer.Option(
        min=3, max=5, help="MQTT version: 5, or 3 (3.1.1) for an old broker")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line for each event")] = False,
):
    """Serve MQTT PMU topics to phasor data concentrators over TCP (IEEE C37.118.2, commanded mode)."""
    try:
        address = BrokerAddress(broker)
        base_port, fixed_ports = split_ports(port or [])
        filters = list(dict.fromkeys([*(topic or []), *fixed_ports])) or ["+/+/+/PMU/+"]
        session = {
            "address": address, "filters": filters, "version": mqtt, "user": user,
            "password": _password(password_file), "ca": str(ca) if ca else None,
            "client_id": client_id or "gridmote-pdc-%s-%d" % (socket.gethostname(), base_port),
        }
        kept = Archive(str(archive)) if archive else None
        asyncio.run(_run(host, base_port, fixed_ports, kept, Report(as_json), session))
    except (ValueError, ArchiveError, OSError) as error:
        typer.echo("gridmote pdc: %s" % error, err=True)
        raise typer.Exit(1) from error
