"""Connections of the gossip: whole datagrams or none, never a wait, and who is no peer is out."""

from select import POLLIN
from time import ticks_add

from fake_network import FakeSocket
from fake_select import FakeSelect

from firmware import streams as module
from firmware.streams import Streams
from gossip import wire

module.select = FakeSelect()
IDLE_MS = 480000
SEED = bytes([10, 0, 0, 1, 27, 201])
START = ticks_add(0, -3000)  # they wrap soon


class Socket(FakeSocket):
    """That does not block: what is not there is None."""

    def readinto(self, buf):
        if not (self.inbox or self.finished or self.fails or self.up is None):
            return None
        return super().readinto(buf)


class Listener:
    def __init__(self):
        self.waiting = []
        self.gone = False

    def ready(self):
        return POLLIN if self.waiting or self.gone else 0


class Net:
    """Two sides: `made` are the sockets that the node opened; come(): somebody connects."""

    def __init__(self):
        self.made = []
        self.fails = None
        self.up = True
        self.listener = None

    def listen(self, port):
        assert port == 7113
        self.listener = Listener()
        return self.listener

    def accept(self, listener):
        assert listener is self.listener
        if not listener.waiting:
            raise OSError(11)
        return listener.waiting.pop(0)

    def connect(self, address, port):
        assert (address, port) == ("10.0.0.1", 7113)
        if self.fails:
            raise self.fails
        self.made.append(Socket(self.up))
        return self.made[-1]


class Rig:
    def __init__(self, listens=True, start=START):
        self.net, self.now = Net(), start
        module.ticks_ms = lambda: start
        self.heard, self.reason = [], wire.OK
        self.on_heard = None
        self.streams = Streams(self.net, 7113 if listens else 0, self._received, IDLE_MS)
        self.streams.seeds.append(SEED)

    def _received(self, buf, n, address, now):
        assert now == self.now
        self.heard.append((address, bytes(buf[:n])))
        if self.on_heard:
            self.on_heard()
        return self.reason

    def run(self, ms, step=10):
        while ms > 0:
            self.streams.step(self.now)
            self.now = ticks_add(self.now, step)
            ms -= step

    def come(self, k=1, data=b""):
        sock = Socket(True)
        sock.inbox += data
        self.net.listener.waiting.append((sock, bytes([10, 0, 1, k, 200, k])))
        self.run(10)
        return sock

    def send(self, address=SEED, size=100):
        return self.streams.send(address, datagram(size), size, self.now)

    def open(self):
        return self.streams.status()["tcp"]


class Crowded:
    """In the place of a call: so many times there is no memory, then an OSError."""

    def __init__(self, times, errno=11):
        self.times, self.errno = times, errno

    def __call__(self, *_):
        self.times -= 1
        if self.times >= 0:
            raise MemoryError("memory allocation failed, allocating 2468 bytes")
        raise OSError(self.errno)


def datagram(size=100, fill=7):
    return bytes([1, 0x26, 0x27]) + bytes([fill]) * (size - 3)


def framed(data):
    return bytes([len(data) >> 8, len(data) & 255]) + data


def test_piece_by_piece():
    rig = Rig()
    said = [datagram(size, size & 255) for size in (33, 34, 700, 1232, 33)]
    wire_bytes = b"".join([framed(one) for one in said])
    for piece in (1, 2, 7, 64, 1000, 5000):
        rig.heard = []
        sock = rig.come(piece & 31)
        for at in range(0, len(wire_bytes), piece):
            sock.inbox += wire_bytes[at : at + piece]
            rig.run(10)
        rig.run(100)
        assert [data for _, data in rig.heard] == said
        assert rig.heard[0][0] == bytes([10, 0, 1, piece & 31, 200, piece & 31])
        sock.finished = True
        rig.run(20)
        assert sock.closed and not rig.open()
    assert not rig.streams.garbage


def test_garbage():
    rig = Rig()
    udp = framed(bytes([1, 0x26, 7]) + bytes(40))
    tail = framed(datagram()) + b"\xff\xff"
    web = b"GET / HTTP/1.1\r\n"
    for k, junk in enumerate((web, bytes(2), b"\0\x20" + bytes(32), b"\x04\xd1" + bytes(1233), udp, tail)):
        sock = rig.come(k, junk)
        rig.run(50)
        assert sock.closed and rig.streams.garbage == k + 1, junk
    assert [data for _, data in rig.heard] == [datagram()] and not rig.open()


def test_who_proves_nothing_goes():
    """Neither silence nor datagrams that anybody can make, or has recorded, keep a connection; what is sealed well
    for this boot does."""
    ours, anyones = datagram(), datagram(fill=0)
    said = ((None, b""), (wire.BAD_SEAL, ours), (wire.SHORT, ours), (wire.STALE, ours), (wire.OK, anyones))
    for reason, data in said + ((wire.OK, ours), (wire.DUPLICATE, ours)):
        most_ms = IDLE_MS if data == ours and reason in (wire.OK, wire.DUPLICATE) else 15000
        rig = Rig()
        rig.reason = reason
        sock = rig.come()
        for _ in range(10):
            if data:
                sock.inbox += framed(data)
            rig.run(1000)
        rig.run(most_ms - 11000 if most_ms == 15000 else most_ms - 1000, 500)
        assert not sock.closed, reason
        rig.run(3000, 500)
        assert sock.closed, reason


def test_a_peer_that_never_reads():
    rig = Rig()
    sock = rig.come(1, framed(datagram()))
    address = rig.heard[0][0]
    sock.takes = 150
    assert rig.send(address) and rig.send(address) and len(sock.wire) == 150
    sent = 2
    while rig.send(address):
        sent += 1
    assert 20 < sent < 30 and len(sock.wire) == 150  # bounded, and no part of one
    sock.takes = 10000
    rig.run(10)
    assert bytes(sock.wire) == framed(datagram()) * sent
    sock.takes = 0
    assert rig.send(address)
    for _ in range(19):
        sock.inbox += framed(datagram())  # that it speaks does not help
        rig.run(1000)
    assert not sock.closed
    rig.run(2000)
    assert sock.closed and rig.streams.stuck == 1 and not rig.send(address)


def test_reaching_out():
    rig = Rig(False)
    assert not rig.send(bytes([10, 0, 0, 9, 1, 1]))  # nobody's address of the configuration
    rig.net.up = False
    assert rig.send() and rig.send() and len(rig.net.made) == 1
    rig.run(5000)
    sock = rig.net.made[0]
    assert not sock.wire
    sock.up = True
    rig.run(10)
    assert bytes(sock.wire) == framed(datagram()) * 2
    sock.inbox += framed(datagram(50))
    rig.run(10)
    assert rig.heard == [(SEED, datagram(50))]
    sock.fails = OSError(104)
    assert not rig.send() and sock.closed
    assert rig.send() and len(rig.net.made) == 2  # the first try is more than a second ago
    rig.net.made[1].up = None  # refused
    rig.run(20)
    assert not rig.send() and len(rig.net.made) == 2  # not at once again
    rig.run(1000)
    rig.net.fails = OSError(113)
    assert not rig.send()
    rig.net.fails = None
    rig.run(1000)
    assert rig.send()
    rig.net.made[2].up = False
    rig.run(16000)
    assert not rig.open()  # nobody answers


def test_crowd():
    """Four places: who was not heard yet makes room after a second, who is known stays."""
    rig = Rig()
    known = [rig.come(k, framed(datagram())) for k in range(3)]
    first, second = rig.come(4), rig.come(5)
    assert second.closed and not first.closed and rig.streams.crowded == 1
    rig.run(1100)
    third = rig.come(6, framed(datagram()))
    rig.run(10)
    assert first.closed and not third.closed and rig.open() == 4
    rig.run(5000)
    assert not rig.send() and rig.net.made[0].closed
    last = rig.come(7, framed(datagram()))
    assert last.closed and not any(sock.closed for sock in known + [third])
    for sock in known:
        sock.finished = True
    rig.run(1100)
    assert rig.send() and rig.open() == 2
    rig.net.listener.gone = True  # before it was accepted
    rig.run(20)


def test_a_heap_in_pieces():
    """Whoever connects then is out, and nobody else; the room for four is taken at the start."""
    rig = Rig()
    line, accept = module._Line, rig.net.accept
    module._Line = rig.net.accept = Crowded(2)
    rig.run(30)
    rig.net.accept = accept
    socks = [rig.come(k, framed(datagram())) for k in range(4)]
    assert not any(sock.closed for sock in socks) and rig.open() == 4
    rig = Rig(False)  # this one takes room when it reaches out
    module._Line = Crowded(1)
    assert not rig.send()
    module._Line = line
    rig.run(1100)
    assert rig.send()


def test_tries_go_on_wherever_the_ticks_begin():
    for start in (5000, ticks_add(0, -5000), ticks_add(5000, -(1 << 28))):
        rig = Rig(False, start)
        rig.net.connect = refused = Crowded(0, 111)
        for _ in range(20):
            rig.send()
            rig.run(1000)
        assert refused.times <= -19, (start, refused.times)


def test_closed_while_it_is_read():
    """What is done about a datagram may end the connection that it came over, and begin another in its place."""
    rig = Rig()
    sock = rig.come(1)
    address = bytes([10, 0, 1, 1, 200, 1])

    def answer():
        sock.fails = OSError(104)
        assert not rig.send(address)
        assert rig.send()

    rig.on_heard = answer
    sock.inbox += framed(datagram()) + framed(datagram())
    rig.run(20)
    assert sock.closed and len(rig.heard) == 1 and rig.open() == 1
    assert bytes(rig.net.made[0].wire) == framed(datagram())


def test_bytes_of_any_kind():
    state, rig = 1, Rig()
    for k in range(300):
        junk = bytearray()
        for _ in range(k % 40):
            state = state * 1103515245 + 12345 & 0x7FFFFFFF
            junk.append(state >> 16 & (255 if k & 1 else 3))
        sock = rig.come(k & 31, bytes(junk))
        rig.run(20)
        sock.finished = True
        rig.run(20)
        assert sock.closed
    assert rig.streams.garbage > 100 and not rig.open()


test_piece_by_piece()
test_garbage()
test_who_proves_nothing_goes()
test_a_peer_that_never_reads()
test_reaching_out()
test_crowd()
test_a_heap_in_pieces()
test_tries_go_on_wherever_the_ticks_begin()
test_closed_while_it_is_read()
test_bytes_of_any_kind()
