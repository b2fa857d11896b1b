"""A thief has used up the numbers of all origins: what the recovery key signs comes to everybody all the same, by
push, by offer and by question; also to a node that was off."""

import gc

from gossip_net import Net
from lms_signer import Key
from plain_shelf import Shelf

from gossip import wire
from gossip.trust import Trust

NOW = 1761436800
PERIOD_MS = 2000
recovery, first, second = Key(0, secret=b"in the safe", real=4), Key(1, real=16), Key(2, real=4)


def epochs(net):
    return [node.stack.trust.epochs() for node in net.nodes[1:]]


def robbed():
    """Four nodes that hold the highest number of each origin, and the first, at which messages begin."""
    net = Net(5, seed=3, pull=8, trust=lambda i: Trust(first.public, recovery.public, None, Shelf(), lambda: NOW))
    for origin in range(1, 16):
        payload = first.message(origin, wire.NUMBER_MOST, 1, b"mine", NOW - 10, NOW + 9999, origin)
        net.start(0, payload, origin=origin, seq=wire.NUMBER_MOST, lifetime_s=60)
        net.run(2 * PERIOD_MS)
    heard = [node.stack.trust.heard(15)[0] for node in net.nodes[1:]]
    assert heard == [wire.NUMBER_MOST] * 4 and epochs(net) == [[1]] * 4
    return net


def recovered(variant, off):
    for kind, body, then in ((wire.KEY, second.public, [2]), (wire.REVOKE, b"\2", [256, 0])):
        net = robbed()
        if off:
            net.nodes[4].crash()
        payload = recovery.message(1, 6, kind, body, NOW - 10, NOW + 9999, 15)
        net.start(0, payload, origin=15, seq=6, lifetime_s=60, variant=variant)
        net.run(10 * PERIOD_MS)
        if off:
            assert epochs(net) == [then] * 3 + [[1]]
            net.nodes[4].restart()
            net.run(16 * PERIOD_MS)
        assert epochs(net) == [then] * 4, (kind, variant, epochs(net))
        net.run(300 * PERIOD_MS)
        before = net.sent((wire.DATA, wire.IHAVE, wire.IWANT))
        net.run(100 * PERIOD_MS)
        assert net.sent((wire.DATA, wire.IHAVE, wire.IWANT)) == before, "they rest"
        gc.collect()


for variant, off in ((wire.EAGER, False), (wire.LAZY, False), (wire.EAGER, True), (wire.PULL, True)):
    recovered(variant, off)
