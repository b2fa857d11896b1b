"""UDP on ports that differ: addresses as tuples, groups that wait for a network, buffers of IPv6's size."""

import errno
import socket as real
from select import POLLIN

from fake_select import FakeSelect

from boards import datagrams as module
from boards.datagrams import Datagrams

ADDRESS = bytes([10, 0, 0, 9, 27, 201])


class Port:
    """In place of the module `socket`, as rp2 and esp32 have it. netif: None, or a number of this network; pair:
    bytes of two addresses of this port."""

    AF_INET, SOCK_DGRAM = real.AF_INET, real.SOCK_DGRAM

    def __init__(self, pair=8):
        self.netif, self.pair = None, pair
        self.members = []  # (socket, group)
        self.open = []
        self.bindable = True

    def getaddrinfo(self, host, port):
        return [(0, 0, 0, "", (host, port))]

    def socket(self, *_):
        self.open = [one for one in self.open if one.bound]
        assert len(self.open) == 0, "one at a time"
        self.open.append(Socket(self))
        return self.open[-1]


class Socket:
    def __init__(self, port):
        self.port, self.inbox, self.sent, self.bound = port, [], [], False

    def ready(self):
        return POLLIN if self.inbox else 0

    def setblocking(self, flag):
        assert flag is False

    def bind(self, place):
        assert place == ("0.0.0.0", 7113)
        if not self.port.bindable:
            raise OSError(errno.EADDRINUSE)
        self.bound = True

    def setsockopt(self, level, option, value):
        assert (level, option) == (0, module._JOIN)
        port = self.port
        if len(value) != port.pair:
            raise ValueError
        if port.netif is None:
            raise OSError(errno.EINVAL)
        assert (self, port.netif) not in port.members, "twice"
        assert bytes(value) == bytes([239, 255, 71, 13]) + bytes(port.pair - 4)
        port.members.append((self, port.netif))

    def recvfrom(self, n):
        data, place = self.inbox.pop(0)
        if isinstance(data, OSError):
            raise data
        return data[:n], place

    def sendto(self, data, place):
        if self.port.netif is None or not self.bound:
            raise OSError(118)
        self.sent.append((bytes(data), place))
        return len(data)

    def close(self):
        if self in self.port.open:
            self.port.open.remove(self)
        self.port.members = [one for one in self.port.members if one[0] is not self]


def port_of(pair=8):
    module.socket, module.select = Port(pair), FakeSelect()
    return module.socket


def test_addresses_as_tuples():
    port = port_of()
    made = Datagrams(7113)
    assert not made.send(ADDRESS, b"lost", 4)  # no network yet
    port.netif = 1
    assert made.send(ADDRESS, b"hello", 5) and port.open[0].sent == [(b"hello", ("10.0.0.9", 7113))]
    port.open[0].inbox += [(b"x" * 50, ("192.168.1.255", 65535)), (OSError(111), None), (b"", ("1.2.3.4", 1))]
    buf = bytearray(20)
    assert made.receive(buf) == 20 and made.address == bytes([192, 168, 1, 255, 255, 255])
    assert made.receive(buf) == -1  # the news of one that was sent
    assert made.receive(buf) == 0 and made.address[:4] == bytes([1, 2, 3, 4])  # an empty one is one, too
    assert made.receive(buf) == -1


def test_a_group_waits_for_the_network():
    for pair in (8, 40, 48):
        port = port_of(pair)
        made = Datagrams(7113, "239.255.71.13")
        assert not made.join() and not made.joined
        port.netif = 1
        assert made.join() and made.joined and len(port.members) == 1
        port.netif = 2  # the radio was off and on
        assert made.join() and [one[1] for one in port.members] == [2]
        assert made.send(ADDRESS, b"on", 2)


def test_a_port_without_groups():
    for pair in (7, 8):
        made = port_of(pair) and Datagrams(7113, "239.255.71.13")
        assert not made.join()


def test_a_socket_that_cannot_be_opened_again():
    port = port_of()
    made = Datagrams(7113, "239.255.71.13")
    port.netif, port.bindable = 1, False
    assert made.join()
    for _ in range(2):
        assert not made.join() and not made.joined and not made.send(ADDRESS, b"no", 2)
    port.bindable = True
    assert made.join() and made.joined and made.send(ADDRESS, b"on", 2)


test_addresses_as_tuples()
test_a_group_waits_for_the_network()
test_a_port_without_groups()
test_a_socket_that_cannot_be_opened_again()
