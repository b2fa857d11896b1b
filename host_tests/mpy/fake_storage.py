"""A storage in RAM that fails on demand, and what the outbox needs around it in a test."""

import struct

from outbox.backlog import Backlog
from outbox.boots import Boots
from outbox.durable import DurableLog
from outbox.outbox import Outbox
from outbox.record import CONFIG, EVENT, FRAME, METER, UNTIMED
from outbox.ring import Ring
from outbox.stream import StreamLog

_PIECE = 1024
SIZE = 52  # of a frame
SOC = 1_800_000_000


class File:
    """Bytes in pieces, so that a small heap finds room for them."""

    def __init__(self):
        self.size = 0
        self.pieces = []

    def write(self, at, buf, n):
        while len(self.pieces) * _PIECE < at + n:
            self.pieces.append(bytearray(_PIECE))
        self.size = max(self.size, at + n)
        for i in range(0, n, _PIECE):
            self._piece(at + i, memoryview(buf)[i : min(n, i + _PIECE)])

    def _piece(self, at, part):
        off = at % _PIECE
        first = min(len(part), _PIECE - off)
        self.pieces[at // _PIECE][off : off + first] = part[:first]
        if first < len(part):
            self.pieces[at // _PIECE + 1][: len(part) - first] = part[first:]

    def read(self, at, buf):
        n = max(0, min(len(buf), self.size - at))
        done = 0
        while done < n:
            off = (at + done) % _PIECE
            part = min(n - done, _PIECE - off)
            buf[done : done + part] = memoryview(self.pieces[(at + done) // _PIECE])[off : off + part]
            done += part
        return n

    def __getitem__(self, at):
        return self.pieces[at // _PIECE][at % _PIECE]

    def __setitem__(self, at, value):
        self.pieces[at // _PIECE][at % _PIECE] = value

    def cut(self, size):
        """Only the first `size` bytes are left."""
        for at in range(size, self.size):
            self[at] = 0
        self.size = min(size, self.size)

    def bytes(self):
        buf = bytearray(self.size)
        self.read(0, buf)
        return bytes(buf)


class Storage:
    """As boards/storage.py. limit: bytes that fit, whole blocks counted; fail: errno that every write raises; deaf:
    whether every read fails."""

    def __init__(self, limit=1 << 30):
        self.files = {}
        self.limit = limit
        self.fail = 0
        self.deaf = False
        self.torn = -1  # bytes of a failing write that are written all the same
        self.writes = []  # (name, at, n)
        self.largest = 0

    def names(self):
        return list(self.files)

    def size(self, name):
        if name not in self.files:
            raise OSError(2)
        return self.files[name].size

    def _check(self, name, size):
        if self.fail:
            raise OSError(self.fail)
        used = sum((f.size + 4095) // 4096 * 4096 for n, f in self.files.items() if n != name)
        if used + (size + 4095) // 4096 * 4096 > self.limit:
            raise OSError(28)

    def write(self, name, at, buf, n):
        self.writes.append((name, at, n))
        try:
            self._check(name, at + n)
        except OSError:
            if self.torn >= 0:
                self.files.setdefault(name, File()).write(at, buf, min(n, self.torn))
            raise
        self.files.setdefault(name, File()).write(at, buf, n)

    def read(self, name, at, buf):
        self.largest = max(self.largest, len(buf))
        if self.deaf or name not in self.files:
            raise OSError(5 if self.deaf else 2)
        return self.files[name].read(at, buf)

    def read_each(self, name, places, buf):
        for at in places:
            yield self.read(name, at, buf)

    def remove(self, name):
        if self.fail and self.fail != 28:
            raise OSError(self.fail)
        self.files.pop(name, None)

    def replace(self, name, data):
        self._check(name, len(data))
        self.files[name] = File()
        self.files[name].write(0, data, len(data))


class Lot:
    """A generator of numbers that can be repeated on every port."""

    def __init__(self, seed):
        self.state = seed * 2654435761 + 1 & 0xFFFFFFFF

    def getrandbits(self, n):
        bits = 0
        for _ in range(0, n, 16):
            self.state = self.state * 1664525 + 1013904223 & 0xFFFFFFFF
            bits = bits << 16 | self.state >> 16
        return bits & (1 << n) - 1

    def below(self, n):
        return self.getrandbits(24) % n


def config(tag=b"A", size=300):
    """A frame that begins as CFG-2, of which `tag` is the content."""
    return struct.pack(">HHHII", 0xAA31, size, 7, SOC, 0) + tag * ((size - 16) // len(tag)) + b"\0\0"


def frame(n, soc=SOC, size=SIZE):
    """A frame that says which it is, four times over."""
    body = struct.pack(">I", n) * ((size - 16) // 4)
    return struct.pack(">HHHII", 0xAA01, size, 7, soc, 0) + body + bytes(size - 14 - len(body))


def frame_number(buf, off=0):
    return struct.unpack_from(">I", buf, off + 14)[0]


class Stamper:
    """Stands in for Restamp: adds the offset to SOC and marks what it moved."""

    made = 0

    def __init__(self, config_bytes):
        Stamper.made += 1
        if config_bytes[14:15] == b"X":
            raise ValueError("not this one")
        self.tag = config_bytes[14]

    def move(self, buf, off, offset):
        soc = struct.unpack_from(">I", buf, off + 6)[0]
        struct.pack_into(">I", buf, off + 6, soc + offset[0])
        buf[off + SIZE - 1] = self.tag
        return True

    def move_config(self, buf, off, offset):
        return self.move(buf, off, offset)


class Node:
    """One boot on a storage (None: without)."""

    def __init__(
        self,
        storage,
        seed=1,
        slots=64,
        high_water=48,
        window=8,
        blocks=(160, 32),
        cfg=None,
        payload=1200,
        around_ms=2000,
        slot_size=SIZE,
        hold_ms=0,
    ):
        cfg = cfg or config()
        self.storage = storage
        self.ring = Ring(slots, slot_size)
        self.stream = StreamLog(storage, blocks[0], cfg)
        self.durable = DurableLog(storage, blocks[1])
        self.boots = Boots(storage, Lot(seed), self.stream, self.durable)
        self.box = Outbox(
            self.ring, self.boots, self.stream, self.durable, high_water, window, around_ms, hold_ms=hold_ms
        )
        self.backlog = self.box.backlog = Backlog(self.durable, self.stream, self.boots, payload, Stamper, cfg)
        self.now = 0

    def frame(self, n, soc=SOC, kind=FRAME, size=SIZE):
        """Commit frame n: its sequence number."""
        off = self.box.pend()
        self.ring.buf[off : off + size] = frame(n, soc, size)
        return self.box.commit(size, kind, self.now)

    def frames(self, numbers, step_ms=20, kind=FRAME):
        for n in numbers:
            self.frame(n, SOC + self.now // 1000, kind)
            self.now = self.now + step_ms & 0x3FFFFFFF
            self.box.tend(self.now)

    def tend(self, times=20):
        for _ in range(times):
            self.box.tend(self.now)

    def take(self, hold=False):
        """The next message: (kind, bytes, token), or None. It is asked for as often and long as it may take."""
        backlog = self.backlog
        kind = backlog.next(hold)
        for _ in range(100):
            backlog.retry()
            if kind or not (backlog._durable.ready() or backlog._stream.ready()):
                break
            kind = backlog.next(hold)
        if not kind:
            return None
        assert 0 < self.backlog.size <= self.backlog.most, self.backlog.size
        return kind, bytes(self.backlog.buf[: self.backlog.size]), self.backlog.token

    def drain(self, hold=False):
        """Every message, acknowledged one by one: [(kind, bytes)]."""
        out = []
        for _ in range(100000):
            message = self.take(hold)
            if not message:
                break
            out.append(message[:2])
            self.backlog.ack(message[2])
            self.tend(1)
        return out


def unthinned(node):
    """The node, whose log drops whole segments when it is full but thins nothing before."""
    node.box.thinning.filled = lambda part: None
    return node


def numbers(messages):
    """The numbers of the frames in messages, in order; the frames are checked to be whole."""
    found = []
    for kind, data in messages:
        at, lead = 0, 0
        if kind == UNTIMED:
            at, lead = 4, 10
        elif kind != FRAME:
            continue
        while at < len(data):
            at += lead
            size = data[at + 2] << 8 | data[at + 3]
            n = frame_number(data, at)
            if kind == UNTIMED or data[at + size - 1] == 0:
                assert data[at : at + size] == frame(n, struct.unpack_from(">I", data, at + 6)[0], size)
            found.append(n)
            at += size
    return found


__all__ = ["CONFIG", "EVENT", "FRAME", "METER", "UNTIMED"]
