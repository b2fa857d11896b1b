"""The network of the field: sockets over a path that comes and goes, and an NTP server at its end."""

import struct
from select import POLLERR, POLLHUP, POLLIN, POLLOUT

from field_time import PowerCut, world

_BUFFER = 5840  # bytes that a TCP socket of a board takes while nobody reads
_TRIP_MS = 15


class Socket:
    """A TCP socket of the node. `broker`: None is nobody there. state: "way", "open", "refused", "closed"."""

    def __init__(self, net, broker):
        self.net, self.broker = net, broker
        self.state = "way"
        self._arrives_ms = world.ms + 2 * _TRIP_MS
        self._inbox = []  # (ms, bytes)
        self._kept = bytearray()  # written while the path was down
        self.conn = None
        self.reset = False

    def ready(self):
        net = self.net
        if not net.up or world.fate:
            return 0
        if self.state == "way":
            if world.ms < self._arrives_ms or not self.broker or self.broker.deaf:
                return 0
            if not self.broker.up:
                self.state = "refused"
            else:
                self.state = "open"
                self.conn = self.broker.accept(self)
        if self.state == "refused":
            return POLLERR | POLLHUP
        if self.conn is None or self.reset:
            self.reset = True
            return POLLIN | POLLOUT | POLLHUP
        if self._inbox and self._inbox[0][0] <= world.ms:
            return POLLIN | POLLOUT
        return POLLOUT

    def _fails(self):
        world.look()
        if self.net.fails:
            fails, self.net.fails = self.net.fails, None
            raise fails
        if self.state == "refused":
            raise OSError(111)
        if self.reset and self.net.up:
            raise OSError(104)

    def readinto(self, buf, size=-1):
        self._fails()
        if not self._inbox or self._inbox[0][0] > world.ms or not self.net.up:
            return None
        moment, data = self._inbox.pop(0)
        n = min(len(buf), len(data))
        buf[:n] = data[:n]
        if n < len(data):
            self._inbox.insert(0, (moment, data[n:]))
        return n

    def write(self, buf, off=0, size=None):
        self._fails()
        size = len(buf) - off if size is None else size
        if self.net.cut_in:
            self.net.cut_in -= 1
            if not self.net.cut_in:
                world.doom(PowerCut())
        if self.net.up and self.conn and not self.broker.deaf:
            self.conn.feed(bytes(memoryview(buf)[off : off + size]))
            return size
        size = min(size, _BUFFER - len(self._kept))
        if not size:
            return None
        self._kept.extend(memoryview(buf)[off : off + size])
        return size

    def arrived(self, data):
        self._inbox.append((world.ms + 2 * _TRIP_MS, data))

    def flush(self):
        """The path is up again: TCP repeats what was lost."""
        if self._kept and self.conn and not self.reset:
            kept, self._kept = self._kept, bytearray()
            self.conn.feed(bytes(kept))

    def close(self):
        self.state = "closed"
        if self.conn:
            self.conn.sock = None


class Datagrams:
    """A UDP socket whose other end is an NTP server."""

    def __init__(self, net):
        self.net = net
        self._answer = None

    def ready(self):
        there = self._answer and world.ms >= self._answer[0] and self.net.up
        return POLLIN | POLLOUT if there else POLLOUT

    def sendto(self, packet, place):
        world.look()
        if not self.net.up:
            raise OSError(113)
        if self.net.ntp:
            self._answer = (world.ms + 2 * _TRIP_MS, self._ntp(packet))
        return len(packet)

    def _ntp(self, packet):
        """RFC 5905, figure 8: stratum 2, its clock read half way."""
        now_s = world.true_s() + self.net.ntp_error_s + _TRIP_MS / 1000
        stamp = struct.pack(">II", int(now_s) + 2208988800 & 0xFFFFFFFF, int(now_s % 1 * 4294967296.0))
        head = struct.pack(">BBBbIII", 0x24, 2, 6, -20, 655, 655, 0x7F000001)
        return head + stamp + bytes(packet[40:48]) + stamp + stamp

    def recvfrom(self, size):
        world.look()
        if not self.ready() & POLLIN:
            raise OSError(11)
        answer, self._answer = self._answer, None
        return answer[1], ("ntp", 123)

    def close(self):
        self._answer = None


class Net:
    """`network` of the board. up: whether packets come through; fails: what the next call of a socket raises;
    cut_in: at so many writes from now the power goes."""

    def __init__(self, brokers):
        self.brokers = brokers  # by (host, port)
        self.path = True  # of the provider
        self.ntp = True
        self.ntp_error_s = 0
        self.station = None
        self.fails = None
        self.cut_in = 0
        self._socks = []
        self.was_up = True

    @property
    def up(self):
        up = self.path and (self.station is None or self.station.through)
        if up and not self.was_up:
            self.was_up = True
            for sock in self._socks:
                sock.flush()
        self.was_up = up
        return up

    def connect(self, host, port):
        world.look()
        if self.fails:
            fails, self.fails = self.fails, None
            raise fails
        if self.station is not None and not self.station.through:
            raise OSError(113)
        sock = Socket(self, self.brokers.get((host, port)))
        self._socks = [s for s in self._socks if s.state != "closed"] + [sock]
        return sock

    def secure(self, sock, host):
        raise AssertionError("no TLS here")

    def udp(self):
        return Datagrams(self)

    def place(self, address, port):
        return address, port

    def look_up(self, host, now):
        if not self.up:
            raise OSError(-2)
        return host

    def boot(self):
        """The sockets are gone with the machine's RAM; the brokers have not heard of it."""
        for sock in self._socks:
            sock.close()
        self._socks = []
        self.fails = None
        self.cut_in = 0
