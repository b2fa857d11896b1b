"""The PDC adapter: MQTT messages in, their frames to PDC clients and to the archive, then acknowledged."""

import asyncio
import collections
import errno
import socket
import sqlite3
import time

from c37118.decode import decode
from c37118.frame import CFG2, DATA, kind_of
from gridmote.archive.store import BACKFILL, LIVE, PORT, RECORD, UNTIMED, Entry
from gridmote.archive.trouble import in_words
from gridmote.archive.writer import ArchiveWriter
from gridmote.pdc.backlog import Backlog
from gridmote.pdc.intake import entry_of
from gridmote.pdc.pmu_server import PmuServer

_TOTALS_EVERY_S = 10
_GAPS_MOST = 500_000  # frames of a topic whose gaps are looked for at the end: about two seconds
_TOLD_CLIENTS = 200  # connections that the summary lists, the last ones
_NO_RECEIPT = (0, 0, 0)  # of QoS 0: nothing to acknowledge
_STORED = ("archived", "duplicates", "conflicts", "configurations", "untimed", "records")  # as archive.Stored


class PdcAdapter:
    """Takes MQTT messages, serves their frames, archives them, acknowledges them: in this order.

    host: address to listen at; base_port: that of the first topic heard, every further one gets the next, and
    keeps it in later runs with the same archive (base port 0: any free one, never remembered); fixed_ports:
    {topic: port}, listening from the start; archive: Archive or None; late_to_clients: whether frames that come
    late go to clients too, see backlog.py. `subscriber` is set by the caller before start().
    One event loop; see Subscriber and ArchiveWriter for their threads.
    """

    def __init__(self, host, base_port, fixed_ports, archive, late_to_clients, report):
        self._host, self._base_port, self._next_port, self._fixed_ports = host, base_port, base_port, fixed_ports
        self._ports = archive.ports(base_port) if archive and base_port else {}  # live topic -> port
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._late_to_clients = late_to_clients
        self._servers = {}  # live topic -> PmuServer
        self._backlogs = {}  # the same -> Backlog
        self._announced = {}  # the same -> CFG-2 that the backlog's frames have, where it is not the live one
        self._catching_up = False
        self._late_before = self._unasked_before = 0
        self._serving = set()  # tasks
        self._counts = collections.Counter()  # received, bad, ignored, and as _STORED
        self._received = collections.Counter()  # by topic
        self._bad = collections.Counter()  # by topic
        self._since_soc = int(time.time()) - 60
        self._missing = {}  # by topic: frames that the archive lacks, of this run's
        self._bad_told = set()
        self._clients_gone = collections.deque(maxlen=_TOLD_CLIENTS)
        self.subscriber = None
        self._archive = archive
        self._writer = archive and ArchiveWriter(
            archive, self._stored, lambda error: self._from_thread(self._archive_trouble, error),
            self._archive_recovered)

    def start(self):
        """Raises OSError if a fixed port cannot be had."""
        for topic, port in self._fixed_ports.items():
            self._take_up(topic, self._serve(topic, port))
        if self._writer:
            self._writer.start()
        self.subscriber.start()

    async def stop(self):
        if self._writer:
            await asyncio.to_thread(self._writer.stop)  # first: its acknowledgements still go out
            try:
                for topic, count in self._received.items():
                    if 0 < count <= _GAPS_MOST:
                        gaps = self._archive.gaps(topic, self._since_soc)
                        self._missing[topic] = sum(gap.missing for gap in gaps)
            except sqlite3.Error as error:
                self._archive_trouble(error)
            self._archive.close()
        await asyncio.to_thread(self.subscriber.stop)
        for topic, server in self._servers.items():
            self._backlogs[topic].close()
            await server.close()

    # From MQTT.

    def on_messages(self, messages):
        done = []
        for message in messages:
            if message.late != self._catching_up:
                self._catch_up(message.late)
            entry = self._entry_of(message)
            if entry is not None:
                self._pass_on(entry)
            if entry is None or self._writer is None:
                done.append(message.receipt)
            else:  # if it is not taken the broker keeps it
                self._writer.put(entry, message.receipt)
        self.subscriber.ack(done)

    def _entry_of(self, message):
        """-> archive.Entry, None when it is bad or nothing for us."""
        try:
            return entry_of(message)
        except ValueError as error:
            topic = message.topic
            self._counts["bad"] += 1
            self._bad[topic] += 1
            if topic not in self._bad_told:  # again after the next totals
                self._bad_told.add(topic)
                self._report("bad_payload", topic=topic, reason=str(error), so_far=self._bad[topic])

    def _catch_up(self, begins):
        """The broker begins to deliver what it kept, or has delivered it."""
        self._catching_up = begins
        if begins:
            self._late_before, self._unasked_before = self._late(), self._unasked()
            return
        for backlog in self._backlogs.values():
            backlog.release()
        late = self._late() - self._late_before
        if late:
            self._report(
                "caught_up", late_frames=late, to=self._late_went_to(late, self._unasked() - self._unasked_before))

    def _late_went_to(self, late, unasked):
        to = ["archive"] * bool(self._archive) + ["clients"] * (self._late_to_clients and unasked < late)
        text = " and ".join(to) or "nobody" + ": no --archive" * (not self._late_to_clients)
        if unasked:
            text += "; no client had asked for " + ("data" if unasked == late else "%d of them" % unasked)
        return text

    def _late(self):
        return sum(backlog.late for backlog in self._backlogs.values())

    def _unasked(self):
        return sum(backlog.unasked for backlog in self._backlogs.values())

    def _pass_on(self, entry):
        if entry.kind in (UNTIMED, RECORD):
            return  # for the archive only
        server = None
        for frame in entry.content:
            kind = kind_of(frame)
            if kind not in (DATA, CFG2):
                self._counts["ignored"] += 1
                continue
            server = server or self._servers.get(entry.topic) or self._serve_somewhere(entry.topic)
            if kind == CFG2:
                self._configure(server, entry, frame)
                continue
            self._counts["received"] += 1
            self._received[entry.topic] += 1
            if entry.kind == BACKFILL:
                self._backlogs[entry.topic].add(frame, self._announced.get(entry.topic, server.cfg2))
            elif self._catching_up:
                self._backlogs[entry.topic].hold(frame)
            else:
                server.send(frame)

    def _configure(self, server, entry, frame):
        if entry.kind == BACKFILL:
            self._announced[entry.topic] = frame
            return
        if entry.kind == LIVE and not entry.retained:  # the node connects: its backlog begins with this one
            self._announced.pop(entry.topic, None)
        told = (server.station, server.idcode, server.rate)
        server.set_config(frame, decode(frame))
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

    # Ports.

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
        for port in self._candidates(topic):
            try:
                server = self._serve(topic, port)
            except OSError as error:
                reason = str(error)
                if error.errno != errno.EADDRINUSE or not port:
                    break
                self._report("port_taken", port=port)
            else:
                self._remember(topic, port)
                return self._take_up(topic, server)
        self._report("not_served", topic=topic, reason=reason)
        return self._take_up(topic, PmuServer(topic, self._client_event))

    def _candidates(self, topic):
        """Yields the topic's own port of earlier runs, then those that are nobody's."""
        if topic in self._ports:
            yield self._ports[topic]
        others = set(self._ports.values())
        while self._next_port <= 65535:
            port = self._next_port
            self._next_port += 1 if port else 0  # base port 0: any free one
            if port not in others:
                yield port

    def _remember(self, topic, port):
        """For later runs; a port that was taken once is tried again then."""
        if self._base_port and self._writer and topic not in self._ports:
            self._ports[topic] = port
            self._writer.put(Entry(topic, 0, (self._base_port, port), PORT), _NO_RECEIPT)

    def _take_up(self, topic, server):
        self._servers[topic] = server
        self._backlogs[topic] = Backlog(server, self._late_to_clients)
        return server

    def _client_event(self, event, **fields):
        if event != "client_connected":
            self._clients_gone.append((fields["topic"], fields["client"], fields["frames"]))
        self._report(event, **fields)

    # From the archive's thread.

    def _archive_trouble(self, error):
        self._report("archive_trouble", reason=in_words(self._archive.path, error))

    def _from_thread(self, callback, *args, **fields):
        self._loop.call_soon_threadsafe(lambda: callback(*args, **fields))

    def _stored(self, receipts, stored):
        self.subscriber.ack(receipts)
        self._from_thread(self._counts.update, dict(zip(_STORED, stored, strict=True)))

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
        names = ("received", "archived", "untimed", "records", "duplicates", "conflicts", "bad", "ignored")
        totals = {name: self._counts[name] for name in names}
        servers = self._servers.values()
        totals["late"] = self._late()
        totals["late_dropped"] = sum(backlog.dropped for backlog in self._backlogs.values())
        totals["late_unasked"] = self._unasked()
        totals["repeated"] = sum(server.repeated for server in servers)
        totals["unmatched"] = sum(server.unmatched for server in servers)
        totals["commands_discarded"] = sum(server.discarded for server in servers)
        totals["clients"] = sum(len(server.clients) for server in servers)
        return totals

    def summary(self):
        """After stop(). Fields of totals(), `pmus` and `served` (frames of each connection)."""
        pmus = [{"topic": topic, "port": server.port, "idcode": server.idcode,
                 "received": self._received[topic], "late": self._backlogs[topic].late, "bad": self._bad[topic],
                 "forwarded": server.sent, "missing": self._missing.get(topic, "-")}
                for topic, server in self._servers.items()]
        served = [{"topic": topic, "client": client, "frames": frames}
                  for topic, client, frames in self._clients_gone]
        return {**self.totals(), "pmus": pmus, "served": served}
