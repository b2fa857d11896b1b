"""Gossip over TCP, for peers that UDP does not reach: a few connections that never hold anybody up."""

import select
from time import ticks_diff, ticks_ms

from micropython import const

from gossip.stream import Splitter

_LINES = const(4)
_OUT = const(2468)  # bytes that wait in a connection: two datagrams
_READS = const(8)  # of one connection, a turn: four datagrams
_STRANGE_MS = const(15000)  # until the first datagram that is sealed well, the connecting included
_STUCK_MS = const(20000)  # until what waits has been taken
_AGAIN_MS = const(1000)  # between tries to reach one address; nobody loses the place to another before
_TCP = const(0x20)  # wire.py: the binding, in the flags
_TO = const(19)  # and the boot that a datagram is made for, two bytes


class _Line:
    """A connection. sock None: none. known: a datagram came that proves the segment's key, and is of this boot."""

    sock = None

    def __init__(self):
        self.splitter = Splitter()
        self.out = bytearray(_OUT)

    def begin(self, sock, address, now):
        self.sock, self.address = sock, address
        self.up = self.known = False
        self.heard = self.empty = now  # since when it is silent, and since when something waits
        self.at = self.end = 0  # out[at:end] waits
        self.splitter.begin()
        self.poller = select.poll()
        self.poller.register(sock, select.POLLIN | select.POLLOUT)

    def close(self):
        self.sock.close()
        self.sock = self.poller = None

    def write(self, now):
        try:
            if self.at < self.end:
                self.at += self.sock.write(memoryview(self.out)[self.at : self.end]) or 0
            if self.at == self.end:
                self.at = self.end = 0
                self.empty = now
        except OSError:
            self.close()


class Streams:
    """network: the board's. port: where it listens, 0: nowhere. received(buf, n, address, now) -> reason. idle_ms:
    after so long in silence a connection is closed. OSError, where the port is in use.

    `seeds`: addresses (six bytes) that may be reached out for; all others come by themselves. `step(now)`: often.
    `send(address, buf, n, now)`: False: it does not go, there is no connection or no room; never part of it goes.
    Connections closed, counted: `garbage`, what is no such stream; `stuck`: it does not read; `crowded`: no place.
    """

    def __init__(self, network, port, received, idle_ms):
        self._network = network
        self._received = received
        self._idle_ms = idle_ms
        # later there is no such room in one piece: whoever connects would end the node
        self._lines = [_Line() for _ in range(_LINES if port else 0)]
        self._tried = []  # addresses, since:
        self._since = ticks_ms()
        self.seeds = []
        self.garbage = self.stuck = self.crowded = 0
        self._listener = None
        if port:
            self._listener = network.listen(port)
            self._poller = select.poll()
            self._poller.register(self._listener, select.POLLIN)

    def step(self, now):
        if ticks_diff(now, self._since) >= _AGAIN_MS:
            self._since = now
            self._tried = []
        try:
            for _ in self._poller.ipoll(0) if self._listener else ():
                self._begin(self._network.accept(self._listener), now)
        except (OSError, MemoryError):  # it has gone again, or may come again
            pass
        for line in self._lines:
            if line.sock:
                self._serve(line, now)

    def send(self, address, buf, n, now):
        for line in self._lines:
            if line.sock and line.address == address:
                break
        else:
            line = self._reach(address, now)
        if not line or line.end + 2 + n > _OUT:
            return False
        out, at = line.out, line.end
        out[at], out[at + 1] = n >> 8, n & 255
        out[at + 2 : at + 2 + n] = memoryview(buf)[:n]
        line.end = at + 2 + n
        if line.up:
            line.write(now)
        return line.sock is not None

    def status(self):
        """For STATUS."""
        count = len([line for line in self._lines if line.sock])
        return {"tcp": count, "garbage": self.garbage, "stuck": self.stuck, "crowded": self.crowded}

    def _begin(self, place, now):
        """A line for a socket and its address: a free one, or that where nobody was heard on for longest. None."""
        found = None
        least = _AGAIN_MS
        for line in self._lines:
            if not line.sock:
                found = line
                break
            if not line.known and ticks_diff(now, line.heard) > least:
                found, least = line, ticks_diff(now, line.heard)
        else:
            if len(self._lines) < _LINES:
                found = _Line()
                self._lines.append(found)
            else:
                self.crowded += 1
                (found or place[0]).close()
        if found:
            found.begin(place[0], place[1], now)
        return found

    def _reach(self, address, now):
        if address not in self.seeds or address in self._tried:
            return None
        self._tried.append(address)
        try:
            sock = self._network.connect("%d.%d.%d.%d" % tuple(address[:4]), address[4] << 8 | address[5])
            return self._begin((sock, address), now)
        except (OSError, MemoryError):
            return None

    def _serve(self, line, now):
        event = 0
        for _, ready in line.poller.ipoll(0):
            event = ready
        if event & select.POLLOUT:
            line.up = True
            line.write(now)
        if line.sock and event & (select.POLLIN | select.POLLHUP | select.POLLERR):
            self._read(line, now)
        if not line.sock:
            return
        if line.end and ticks_diff(now, line.empty) > _STUCK_MS:
            self.stuck += 1
            line.close()
        elif ticks_diff(now, line.heard) > (self._idle_ms if line.known else _STRANGE_MS):
            line.close()

    def _read(self, line, now):
        sock, splitter = line.sock, line.splitter
        for _ in range(_READS):
            at = splitter.n
            try:
                count = sock.readinto(memoryview(splitter.buf)[at : at + splitter.wanted])
            except OSError:
                count = 0
            if count is None:
                return
            size = splitter.took(count)
            if size < 0 or size and not splitter.buf[2] & _TCP:
                self.garbage += 1
                count = 0
            if not count:
                line.close()
                return
            if size:
                reason = self._received(splitter.buf, size, line.address, now)
                if line.sock is not sock:
                    return
                # wire.REASONS up to `stale` are anybody's, who recorded something; so is what is for any boot
                if (reason < 2 or reason > 10) and splitter.buf[_TO : _TO + 2] != b"\0\0":
                    line.known, line.heard = True, now
