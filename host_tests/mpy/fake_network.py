"""A network and a broker inside the script, at a time that the script sets: sockets that must never block."""

from select import POLLERR, POLLHUP, POLLIN, POLLOUT

from fake_select import FakeSelect
from plain_outbox import follow_up, plain_outbox

from firmware import dial as dial_module
from firmware import link as link_module
from firmware import session as session_module
from firmware.brokers import Brokers
from firmware.link import Link
from firmware.log import Log
from firmware.session import CLOSED, OPEN, Session
from mqtt.publish import Publish
from mqtt.timing import Retry
from outbox.record import FRAME


class FakeSocket:
    """Bytes for the node in `inbox`, bytes from it in `wire`; `writes`, if a list, gets them call by call.

    takes: how many bytes a write may take before the socket is full, None for all. An OSError in `fails` is
    raised by the next read or write. Reading what is not there is the blocking read that must never happen.
    """

    def __init__(self, up):
        self.up = up
        self.inbox = bytearray()
        self.wire = bytearray()
        self.writes = None
        self.takes = None
        self.fails = None
        self.finished = False
        self.closed = False

    def ready(self):
        if self.up is None:
            return POLLERR | POLLHUP
        ready = POLLOUT if self.up else 0
        return ready | POLLIN if self.inbox or self.finished or self.fails else ready

    def readinto(self, buf):
        if self.fails:
            raise self.fails
        if self.up is None:
            raise OSError(111)
        if not self.inbox:
            assert self.finished, "a read that would block"
            return 0
        n = min(len(buf), len(self.inbox))
        buf[:n] = self.inbox[:n]
        self.inbox = self.inbox[n:]
        return n

    def write(self, buf, off=0, size=None):
        if self.fails:
            raise self.fails
        size = len(buf) if size is None else size
        n = size if self.takes is None else min(size, self.takes)
        if not n:
            return None
        if self.takes is not None:
            self.takes -= n
        if self.writes is not None:
            self.writes.append(bytes(buf[off : off + n]))
        self.wire += memoryview(buf)[off : off + n]
        return n

    def close(self):
        self.closed = True


class FakeNet:
    """up: True accepts, False never answers, None refuses; an OSError in `fails` is raised by connect."""

    def __init__(self):
        self.up = True
        self.fails = None
        self.sockets = []
        self.attempts_ms = []

    def look_up(self, host, now):
        return host

    def connect(self, host, port):
        self.attempts_ms.append(node.now)
        if self.fails:
            raise self.fails
        self.sockets = [FakeSocket(self.up)]
        return self.sockets[0]


def packets(wire):
    """[(first byte, body)] of whole packets."""
    out, at = [], 0
    while at < len(wire):
        first, at, n, shift = wire[at], at + 1, 0, 0
        while True:
            b = wire[at]
            at += 1
            n |= (b & 127) << shift
            shift += 7
            if not b & 128:
                break
        assert at + n <= len(wire), "a packet is cut off"
        out.append((first, bytes(wire[at : at + n])))
        at += n
    return out


def published(wire, topic=b"a/PMU"):
    """[(packet id, dup, payload)] of the PUBLISH packets to `topic`, retained ones left out."""
    out = []
    for first, body in packets(wire):
        n = body[0] << 8 | body[1]
        if first & 0xF1 == 0x30 and body[2 : 2 + n] == topic:
            out.append((body[2 + n] << 8 | body[3 + n], first >> 3 & 1, body[4 + n :]))
    return out


def puback(*pids):
    return b"".join(bytes((0x40, 2, pid >> 8, pid & 0xFF)) for pid in pids)


class FakeStatus:
    packet = Publish(b"a/STATUS", 100)

    def payload(self, state):
        return state.encode()


class Node:
    """Ring, Session and Link without a meter, driven by `run(ms)`; `peer(sock)` is the broker, once a step."""

    STEP_MS = 10

    def __init__(
        self,
        peer=None,
        window=8,
        slots=64,
        keepalive_s=10,
        max_packet=256,
        random=None,
        spill=False,
        again_ms=0,
    ):
        global node
        node = self
        self.now = 0
        self.net = FakeNet()
        self.peer = peer
        self.lines = []
        self.outbox = plain_outbox(slots, 8, window, spill=spill)
        self.ring = self.outbox.ring
        self.session = Session(b"id", self.net, None, b"", keepalive_s, window, max_packet)
        self.session.set_last_will(b"a/STATUS", b"offline", True, 1)
        link_module.ticks_ms = self.ticks_ms
        dial_module.select = session_module.select = FakeSelect()
        self.link = Link(
            self.session,
            self.outbox,
            follow_up(self.outbox, b"a/"),
            Retry(random or (lambda n: n // 2)),
            Brokers(self.net, [("broker", 1883)], 60000),
            False,
            Publish(b"a/PMU", 64),
            b"CFG-2",
            FakeStatus(),
            b"a/CMD",
            again_ms,
            Log(self.lines.append, "info"),
        )
        self.session.on_acked = self.acked
        self.session.set_callback(self.link.command)
        self.count = 0

    def ticks_ms(self):
        return self.now & 0x3FFFFFFF

    def acked(self, seq):
        self.link.acked(seq)

    @property
    def sock(self):
        return self.net.sockets[0]

    def commit(self, n=1):
        for _ in range(n):
            off = self.ring.pend()
            self.ring.buf[off : off + 4] = self.count.to_bytes(4, "big")
            self.outbox.commit(4, FRAME, self.ticks_ms())
            self.count += 1

    def run(self, ms, each=None):
        end = self.now + ms
        while self.now < end:
            self.step()
            if each:
                each()

    def step(self):
        self.link.pump()
        if self.peer and self.net.sockets and not self.sock.closed:
            self.peer(self.sock)
        self.now += self.STEP_MS

    def until(self, condition, most_ms=30000):
        end = self.now + most_ms
        while not condition():
            assert self.now < end, "not within %d ms" % most_ms
            self.step()

    def until_open(self, most_ms=30000):
        self.until(lambda: self.session.state == OPEN, most_ms)

    def until_closed(self, most_ms=30000):
        self.until(lambda: self.session.state == CLOSED, most_ms)

    def until_empty(self, most_ms=30000):
        self.until(lambda: not len(self.ring), most_ms)


class Peer:
    """A broker that greets and acknowledges. `present`, `code`: of CONNACK.

    choose(packet ids not yet acknowledged, in order): those to acknowledge now, in that order. `heard` keeps
    [(packet id, dup, payload)] over all connections; `most` is the most that ever was unacknowledged.
    """

    def __init__(self, choose=None):
        self.greets = self.answers = self.pongs = True
        self.choose = choose or (lambda pids: pids)
        self.present = self.code = 0
        self.heard = []
        self.open = []
        self.most = 0
        self.others = []  # every packet that is not a PUBLISH
        self._sock = None

    def __call__(self, sock):
        if sock is not self._sock:
            self._sock, self._at, self.open = sock, 0, []
        wire = bytes(sock.wire[self._at :])
        whole = _whole(wire)
        self._at += whole
        for first, body in packets(wire[:whole]):
            kind = first & 0xF0
            if kind == 0x30:
                n = body[0] << 8 | body[1]
                pid = body[2 + n] << 8 | body[3 + n]
                assert pid and pid not in self.open, "packet id %d is in flight" % pid
                self.open.append(pid)
                if not first & 1:
                    self.heard.append((pid, first >> 3 & 1, body[4 + n :]))
                continue
            self.others.append((first, body))
            if kind == 0x10 and self.greets:
                sock.inbox += bytes((0x20, 2, self.present, self.code))
            elif kind == 0x80:
                sock.inbox += bytes((0x90, 3, body[0], body[1], 1))
            elif kind == 0xC0 and self.pongs:
                sock.inbox += b"\xd0\x00"
        self.most = max(self.most, len(self.open))
        if self.answers:
            chosen = self.choose(self.open)
            sock.inbox += puback(*chosen)
            self.open = [pid for pid in self.open if pid not in chosen]


def _whole(wire):
    """How many bytes of `wire` are whole packets."""
    at = 0
    while True:
        i, n, shift = at + 1, 0, 0
        while True:
            if i >= len(wire):
                return at
            b = wire[i]
            i += 1
            n |= (b & 127) << shift
            shift += 7
            if not b & 128:
                break
        if i + n > len(wire):
            return at
        at = i + n
