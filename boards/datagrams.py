"""A UDP socket that never blocks; addresses are six bytes: IPv4 and port."""

import gc
import select
import socket
import struct

from micropython import const

_PLACES_MOST = const(24)  # of those that are sent to, kept as the port wants them
_JOIN = getattr(socket, "IP_ADD_MEMBERSHIP", 35)  # Linux's number, which the unix port does not name
_RESERVE = const(2600)  # bytes: `recvfrom` takes room for a datagram twice, whatever became of the heap
_ADDRESSES = (8, 40, 48)  # bytes of two, as ports want them: rp2's lwIP has them of IPv6, too


class Datagrams:
    """port: where it listens. group: an IPv4 multicast address to listen to as well, from `join()` on. OSError.

    `join()`: there is a network, perhaps anew; whether the port could, which is `joined`, too.
    `receive(buf)`: length of a datagram that came, which is in buf then (cut if longer), from `address`; -1: none.
    `send(address, buf, n)`: False: it did not go out.
    """

    def __init__(self, port, group=""):
        self._port = port
        self._group = group
        self._places = {}
        self._reserve = bytearray(_RESERVE)
        self.address = b""
        self.joined = False
        self._open()

    def _open(self):
        self._bound = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(socket.getaddrinfo("0.0.0.0", self._port)[0][-1])
        self._poller = select.poll()
        self._poller.register(self._socket, select.POLLIN)
        self._bound = True

    def join(self):
        try:
            if self.joined or not self._bound:
                self.joined = False  # some ports have forgotten it, and some let go of it with the socket alone
                self._socket.close()
                self._open()
        except OSError:  # until the next time
            return False
        for size in _ADDRESSES:
            try:
                self._socket.setsockopt(0, _JOIN, _four(self._group) + bytes(size - 4))  # IPPROTO_IP
                self.joined = True
                break
            except OSError:  # no network yet, or a port without
                break
            except ValueError:  # another size
                pass
        return self.joined

    def receive(self, buf):
        for _ in self._poller.ipoll(0):
            try:
                try:
                    datagram, place = self._socket.recvfrom(len(buf))
                except MemoryError:  # no such piece in one: the one that was kept for that
                    self._reserve = None
                    gc.collect()
                    datagram, place = self._socket.recvfrom(len(buf))
            except OSError:  # the news that an earlier one did not arrive
                return -1
            self.address = six(place)
            n = len(datagram)
            buf[:n] = datagram
            if not self._reserve:
                datagram = None
                gc.collect()
                self._reserve = bytearray(_RESERVE)
            return n
        return -1

    def send(self, address, buf, n):
        place = self._places.get(address)
        if place is None:
            if len(self._places) == _PLACES_MOST:
                self._places.clear()
            place = socket.getaddrinfo("%d.%d.%d.%d" % tuple(address[:4]), address[4] << 8 | address[5])[0][-1]
            self._places[bytes(address)] = place
        try:
            return self._socket.sendto(memoryview(buf)[:n], place) == n
        except OSError:
            return False

    def close(self):
        self._socket.close()


def six(place):
    """Six bytes of what `recvfrom` gives: (address, port), or on the unix port a sockaddr_in."""
    if isinstance(place, tuple):
        return _four(place[0]) + struct.pack(">H", place[1])
    return place[4:8] + place[2:4]


def _four(address):
    return bytes([int(part) for part in address.split(".")])
