"""Two network namespaces joined by a relay of IP packets that delays, loses, swallows and refuses them.

Each namespace has one TUN device; a thread reads the packets of both and writes them to the other side. Nothing is
left behind: namespaces and devices vanish with the file descriptors, however the process ends. Linux and root.
"""

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import threading
import time

NEAR, FAR = "10.77.0.1", "10.77.0.2"

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C  # linux/sockios.h
_SIOCADDRT, _RTF_UP = 0x890B, 1  # linux/sockios.h, linux/route.h
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # linux/if.h
_SELF = "/proc/thread-self/ns/net"
_TCP = 6
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16  # RFC 9293, 3.1

_libc = ctypes.CDLL(None, use_errno=True)


def missing():
    """Why there can be no LossyPath here, or an empty text."""
    try:
        with LossyPath():
            return ""
    except OSError as e:
        return f"no network namespaces of our own: {e}"


def _checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """A network namespace with its loopback and `address` on a TUN device, whose packets are at `tun`."""

    def __init__(self, address):
        self.address = address
        self.tun = self._fd = None
        failed = []

        def make():  # in a thread of its own: unshare() moves the thread that calls it
            try:
                _checked(_libc.unshare(_CLONE_NEWNET))
                self._fd = os.open(_SELF, os.O_RDONLY)
                self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                fcntl.ioctl(self.tun, _TUNSETIFF, struct.pack("16sH22x", b"path", _IFF_TUN | _IFF_NO_PI))
                _configure(address)
            except (OSError, AttributeError) as e:
                failed.append(e)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if failed:
            self.close()
            raise OSError(f"{failed[0]}") from failed[0]

    def close(self):
        for fd in (self.tun, self._fd):
            if fd is not None:
                os.close(fd)
        self.tun = self._fd = None

    @contextlib.contextmanager
    def inside(self):
        """Sockets, threads and processes that the block begins belong to this namespace, for ever."""
        before = os.open(_SELF, os.O_RDONLY)
        try:
            _checked(_libc.setns(self._fd, _CLONE_NEWNET))
            try:
                yield self
            finally:
                _checked(_libc.setns(before, _CLONE_NEWNET))
        finally:
            os.close(before)


def _configure(address):
    """Bring up the loopback and the device `path`, of a network of 256 addresses, where multicast goes, too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:

        def ask(request, name, value):
            fcntl.ioctl(sock, request, struct.pack("16s16s8x", name, value))

        def inet(text):
            return struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(text))

        ask(_SIOCSIFADDR, b"path", inet(address))
        ask(_SIOCSIFNETMASK, b"path", inet("255.255.255.0"))
        for name in (b"lo", b"path"):
            ask(_SIOCSIFFLAGS, name, struct.pack("H", _IFF_UP | _IFF_RUNNING))
        device = ctypes.create_string_buffer(b"path")
        route = struct.pack("L16s16s16sH6xLLhPLLH", 0, inet("224.0.0.0"), inet("0.0.0.0"), inet("240.0.0.0"),
                            _RTF_UP, 0, 0, 0, ctypes.addressof(device), 0, 0, 0)
        fcntl.ioctl(sock, _SIOCADDRT, route)


class LossyPath:
    """`near` and `far` with a path between them. Use it as a context manager; OSError where it cannot be.

    delay_s: in each direction. loss: the share of packets that vanish, of either direction, by a generator with
    `seed`. blackhole: all vanish. These may be changed at any time. `passed` and `lost` count packets.
    """

    def __init__(self, delay_s=0.0, loss=0.0, seed=0):
        self.delay_s, self.loss = delay_s, loss
        self.blackhole = self._refused = False
        self.passed = self.lost = 0
        self._random = random.Random(seed)
        self._thread = threading.Thread(target=self._run, name="lossy path")

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.near = Namespace(NEAR)
            stack.callback(self.near.close)
            self.far = Namespace(FAR)
            stack.callback(self.far.close)
            self._wake = os.eventfd(0)
            stack.callback(os.close, self._wake)
            self._thread.start()
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def refuse(self):
        """TCP is answered with RST, as by a host whose broker is down."""
        self._refused = True

    def accept(self):
        self._refused = False

    def _end(self):
        os.eventfd_write(self._wake, 1)
        self._thread.join()

    def _run(self):
        ends = {self.near.tun: self.far.tun, self.far.tun: self.near.tun}
        waiting = []  # (due, count, to, packet), a heap: the delay may shrink in between
        count = 0
        while True:
            wait_s = max(0, waiting[0][0] - time.monotonic()) if waiting else None
            ready = select.select([*ends, self._wake], [], [], wait_s)[0]
            if self._wake in ready:
                return
            now = time.monotonic()
            for fd in ready:
                for to, packet in self._taken(fd, ends[fd]):
                    count += 1
                    heapq.heappush(waiting, (now + self.delay_s, count, to, packet))
            while waiting and waiting[0][0] <= now:
                _, _, to, packet = heapq.heappop(waiting)
                os.write(to, packet)

    def _taken(self, fd, across):
        """What becomes of the packets that wait at `fd`: [(fd to write to, packet)]."""
        kept = []
        while True:
            try:
                packet = os.read(fd, 65536)
            except BlockingIOError:
                return kept
            if packet[0] >> 4 != 4:  # the kernel looks for IPv6 routers
                continue
            if self.blackhole or self._random.random() < self.loss:
                self.lost += 1
                continue
            if self._refused and packet[9] == _TCP:
                self.lost += 1
                kept += [(fd, answer) for answer in [reset(packet)] if answer]
                continue
            self.passed += 1
            kept.append((across, packet))


def reset(packet):
    """The IPv4 packet that refuses a TCP packet (RFC 9293, 3.10.7.1), or None for one that is a reset."""
    start = (packet[0] & 15) * 4
    source, target, seq, ack, bits = struct.unpack_from(">HHIIH", packet, start)
    if bits & _RST:
        return None
    if bits & _ACK:
        seq, ack, flags = ack, 0, _RST
    else:
        data = len(packet) - start - (bits >> 12) * 4
        seq, ack, flags = 0, (seq + data + bool(bits & _SYN) + bool(bits & _FIN)) & 0xFFFFFFFF, _RST | _ACK
    addresses = packet[16:20] + packet[12:16]
    tcp = bytearray(struct.pack(">HHIIHHHH", target, source, seq, ack, 5 << 12 | flags, 0, 0, 0))
    struct.pack_into(">H", tcp, 16, checksum(addresses + struct.pack(">HH", _TCP, len(tcp)) + tcp))
    head = bytearray(struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, _TCP, 0) + addresses)
    struct.pack_into(">H", head, 10, checksum(head))
    return bytes(head + tcp)


def checksum(data):
    """The Internet checksum of an even number of bytes (RFC 1071)."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
