"""A C37.118 TCP server in commanded mode: one PMU stream for any number of PDCs.

C37.118.2-2011, commands of Table 15: nothing is sent until a PDC asks, each PDC has its own state.
"""

import asyncio
import collections
import socket
import time

from c37118.command import DATA_OFF, DATA_ON, SEND_CFG1, SEND_CFG2, SEND_HDR, HeaderText
from c37118.decode import decode
from c37118.frame import COMMAND, FrameError, kind_of
from c37118.splitter import Splitter
from gridmote.frame.raw import as_cfg1, grid_of, idcode_of, identity, same_config

_WAITING_MIN = 256 * 1024  # bytes that may wait for a slow client, or _WAITING_S of data if that is more
_WAITING_S = 5
_KERNEL_BUFFER = 128 * 1024  # the kernel's part of the wait: left alone it grows to megabytes
_RECENT = 8192  # identities remembered against sending a frame twice
_COMMAND_MAX = 1024  # bytes; a longer FRAMESIZE from a client is garbage and must not swallow what follows
_EARLY_MAX = 16  # commands that wait for the first configuration, a client
_EARLY_S = 30.0
_COMMANDS = (DATA_OFF, DATA_ON, SEND_HDR, SEND_CFG1, SEND_CFG2)


class PmuServer:
    """Serves the stream of one topic. All methods belong to the event loop's thread.

    report(event, **fields) is told "client_connected", "client_left" and "client_dropped".
    Counters: `sent` (frames taken for sending), `repeated` (duplicates kept back), `unmatched` (frames that
    the configuration does not describe, or that came before it), `discarded` (frames from clients: bad CHK,
    foreign IDCODE, unknown command).
    """

    def __init__(self, topic, report):
        self.topic = topic
        self.port = None
        self.cfg2 = None  # bytes
        self.idcode = None
        self.station = ""
        self.rate = ""  # for people
        self.frames_s = 0.0
        self.clients = set()
        self.sent = self.repeated = self.unmatched = 0
        self.discarded = 0
        self.report = report
        self.waiting_max = _WAITING_MIN
        self._data_size = 0
        self._recent = set()
        self._recent_order = collections.deque()
        self._sock = self._server = None

    def bind(self, host, port):
        """Takes the TCP port (0: any free one). Raises OSError if it cannot be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = sock = socket.create_server((host, port), family=family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)
        self.port = sock.getsockname()[1]

    async def serve(self):
        """Answers clients from now on; bind() comes first."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), sock=self._sock)

    async def close(self):
        """Ends listening and every connection."""
        if self._server is not None:
            self._server.close()
        for client in list(self.clients):
            client.leave("the adapter ends")
        await asyncio.sleep(0)

    def set_config(self, raw, config):
        """`raw`: bytes of the CFG-2 frame in force from now on; `config`: the same decoded."""
        self.cfg2 = raw
        self.idcode = config.idcode
        self.station = " + ".join(pmu.stn.replace("\0", " ").strip() for pmu in config.pmus)
        self._data_size = config.data_size
        rate = grid_of(raw)[1]
        self.frames_s = rate if rate > 0 else -1 / rate
        self.rate = "%d frames/s" % rate if rate > 0 else "a frame every %d s" % -rate
        self.waiting_max = max(_WAITING_MIN, int(_WAITING_S * max(rate, 0)) * self._data_size)
        for client in list(self.clients):
            client.answer_early()

    def send(self, frame):
        """Passes a data frame (bytes) unchanged to every client that has data on -> bool, whether taken."""
        if idcode_of(frame) != self.idcode or len(frame) != self._data_size:
            self.unmatched += 1
            return False
        key = identity(frame)
        if key in self._recent:
            self.repeated += 1
            return False
        self._recent.add(key)
        self._recent_order.append(key)
        if len(self._recent_order) > _RECENT:
            self._recent.remove(self._recent_order.popleft())
        self.sent += 1
        for client in list(self.clients):
            if client.data_on:
                client.send_data(frame)
        return True

    def send_described(self, frame, config):
        """As send(), for a frame that was kept for a while: only if the CFG-2 frame that describes it (bytes)
        still holds. Another one is never announced for it: clients would take it for that of the live frames.
        """
        if config is not self.cfg2 and not (config and self.cfg2 and same_config(config, self.cfg2)):
            self.unmatched += 1
            return False
        return self.send(frame)

    def header(self):
        """-> bytes, the header frame. Its time is the adapter's and claims no quality (MSG_TQ F)."""
        text = "%s, IDCODE %d, served by Gridmote from MQTT topic %s" % (
            self.station, self.idcode, self.topic)
        text = text.encode("ascii", "replace").decode()
        return HeaderText(self.idcode, text, soc=int(time.time()), tq=0x0F).encode()


class _Client(asyncio.Protocol):
    """One PDC: its state is `data_on` and, before the first configuration, the commands that wait for it."""

    def __init__(self, server):
        self._server = server
        self._splitter = Splitter(max_size=_COMMAND_MAX)
        self._bad_seen = 0
        self._early = []  # (until, command frame)
        self._transport = None
        self._gone = False
        self.name = "?"
        self.data_on = False
        self.frames = 0  # data frames sent to it

    def connection_made(self, transport):
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.name = "%s:%d" % peer[:2] if peer else "?"
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # finds a PDC that vanished with data off
        self._server.clients.add(self)
        self._server.report("client_connected", topic=self._server.topic, client=self.name)

    def connection_lost(self, error):
        self._end("client_left", str(error) if error else "closed")

    def leave(self, reason):
        """Ends the connection; what was already written still goes out."""
        self._end("client_left", reason)
        self._transport.close()

    def _end(self, event, reason):
        if not self._gone:
            self._gone = True
            self.data_on = False
            self._server.clients.discard(self)
            self._server.report(
                event, topic=self._server.topic, client=self.name, reason=reason, frames=self.frames)

    def data_received(self, chunk):
        for frame in self._splitter.feed(chunk):
            self._take(frame)
        self._server.discarded += self._splitter.bad_checksums - self._bad_seen
        self._bad_seen = self._splitter.bad_checksums

    def _take(self, frame):
        if self._gone:
            return
        if self._server.cfg2 is not None:
            self._obey(frame)
        elif len(self._early) < _EARLY_MAX:
            self._early.append((time.monotonic() + _EARLY_S, frame))
        else:
            self._server.discarded += 1

    def answer_early(self):
        """The configuration is known: obeys the commands that waited for it, but for too old ones."""
        early, self._early = self._early, []
        now = time.monotonic()
        for until, frame in early:
            if now <= until:
                self._obey(frame)
            else:
                self._server.discarded += 1

    def _obey(self, frame):
        server = self._server
        try:
            if kind_of(frame) != COMMAND or idcode_of(frame) != server.idcode:
                raise FrameError("not for this PMU")
            command = decode(frame).cmd
            if command not in _COMMANDS:
                raise FrameError("command %d" % command)
        except FrameError:
            server.discarded += 1
            return
        if command == DATA_OFF:
            self.data_on = False
        elif command == DATA_ON:
            self.data_on = True
        elif command == SEND_HDR:
            self._write(server.header())
        elif command == SEND_CFG1:
            self._write(as_cfg1(server.cfg2))
        else:
            self._write(server.cfg2)

    def send_data(self, frame):
        self.frames += 1
        self._write(frame)

    def _write(self, frame):
        if self._gone:
            return
        self._transport.write(frame)
        waiting = self._transport.get_write_buffer_size()
        if waiting > self._server.waiting_max:
            self._end("client_dropped", "too slow: %d KiB wait for it" % (waiting // 1024))
            self._transport.abort()
