"""Which broker has its turn: fail-over, and the way back when the nearest one has answered for long enough."""

import fake_network
from fake_network import FakeNet, FakeSelect

from firmware import dial
from firmware.brokers import Brokers

dial.select = FakeSelect()
fake_network.node = node = type("Clock", (), {"now": 0})


def look(brokers, ms):
    """Look every 10 ms; the time at which it said to go back, or None."""
    end = node.now + ms
    while node.now < end:
        node.now += 10
        if brokers.look(node.now):
            return node.now
    return None


net = FakeNet()
brokers = Brokers(net, [("near", 1), ("far", 2), ("farther", 3)], 20_000)
assert str(brokers) == "near:1"
assert brokers.look(5) is False, "nobody asks for the first while it is in use"
assert not net.attempts_ms
turns = [(str(brokers), brokers.failed()) for _ in range(6)]
assert turns == [("near:1", False), ("far:2", False), ("farther:3", True)] * 2

brokers.failed()
assert brokers.host == "far"
for state in (None, False):  # the first refuses, then is silent: no way back
    net.up = state
    brokers.connected(node.now)
    assert look(brokers, 120_000) is None
    assert len(net.attempts_ms) >= 10, net.attempts_ms
    net.attempts_ms.clear()

net.up = True
up_ms = node.now
back_ms = look(brokers, 60_000)
assert 20_000 <= back_ms - up_ms <= 32_000, back_ms - up_ms
brokers.first()
assert str(brokers) == "near:1"

brokers.failed()  # it answered, and yet was none: twice as long the next time
brokers.connected(node.now)
left_ms = node.now
assert 40_000 <= look(brokers, 120_000) - left_ms <= 52_000
brokers.first()
brokers.connected(node.now)  # and now it holds
assert look(brokers, 30_000) is None
brokers.failed()
brokers.connected(node.now)
left_ms = node.now
assert 20_000 <= look(brokers, 120_000) - left_ms <= 32_000

brokers.connected(node.now)  # an answer in between that stays away begins the time anew
assert look(brokers, 15_000) is None
net.up = None
assert look(brokers, 10_000) is None
net.up = True
up_ms = node.now
assert look(brokers, 60_000) - up_ms >= 20_000
assert all(sock.closed for sock in net.sockets), "asking leaves no socket behind"
