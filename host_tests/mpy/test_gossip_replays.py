"""All that ever went over a network comes again after a restart, to a node whose clock stands at 0 and whose memory
of messages is gone: nothing is acted on, nothing is passed on. And what rounds and fanout of 255 cause."""

import gc

from gossip_net import CountingTrust, Net, address_of, signed

from gossip import wire
from gossip.wire import DATA, MATCH, NOTICE, PROBE, STALE, TEXT, Message, decode

N = 8
BACK = 5
gc.threshold(30000)


class Forgetful(CountingTrust):
    """Its high-water marks are lost, so all depends on what comes before it."""

    asked = 0

    def check(self, *args):
        Forgetful.asked += 1
        return super().check(*args)


def lived():
    """A network after all kinds of messages, with restarts in between, and all its datagrams."""
    net = Net(N, seed=4, loss=50, discover=True, defaults={"authorised": (100, 103)})
    log = []
    net.tap = lambda source, target, data: log.append((source, target, data))
    net.run(30000)
    for k in range(5):
        net.nodes[7].crash()
        net.nodes[7].restart()
        net.start(0, signed(b"%d" % k), origin=1, seq=k + 1)
        net.start(3, bytes([TEXT, k]), variant=k & 3)
        net.start(3, bytes([NOTICE, k]))
        net.start(4, bytes([wire.ORDER, 0, 0, 0, 100 + BACK]) + bytes(20) + b"good")
        net.run(6000)
    return net, log


def nothing_comes_of_old_datagrams():
    net, log = lived()
    kinds = {data[1] & 15 for _, _, data in log}
    assert {DATA, wire.IHAVE, wire.IWANT, wire.DIGEST, wire.ACK, PROBE, MATCH} <= kinds
    victim = net.nodes[BACK]
    assert len(victim.kept) == 4
    before = len(log)
    victim.crash()
    victim.trust, victim.kept = Forgetful(), []
    acted = []
    net.parted = lambda a, b: True
    victim.restart()
    victim.on_deliver = lambda node, item: acted.append(item.buf[0])
    victim.received = 0
    victim.reasons = [0] * wire.REASON_COUNT
    net.run(1000)
    del log[before:]
    old, answers = list(log), []
    flying = sum(victim.counters())  # were under way when it went down
    net.tap = lambda source, target, data: answers.append((source, data))
    message = Message()
    for k, (source, _, data) in enumerate(old):  # also what others were sent, some for a boot 2 like its own
        victim.stack.received(data, len(data), address_of(source), victim.clock())
        if k % 20 == 0:
            net.run(250)
    counters = victim.stack.end.counters
    assert counters[STALE] > 100 and counters[wire.BAD_SEAL] > 100
    assert not acted and not Forgetful.asked and not victim.trust.orders
    assert not victim.stack.peers.count, "an old datagram makes nobody a peer"
    for source, data in answers:
        if source != BACK:
            continue
        assert decode(data, len(data), message) == 0
        assert message.kind in (PROBE, MATCH) and len(data) == 38
    first = [source for source, _, data in old if data[1] & 15 == PROBE and data[19:21] == b"\0\0"]
    assert counters[wire.OK] + counters[wire.RATE] == len(first) - first.count(BACK)  # PROBEs that knew no boot
    assert sum(counters) == flying + len(old), (sum(counters), flying, len(old))
    # and it is no worse off for it
    net.tap = net.parted = None
    net.run(60000)
    id = net.start(0, signed(b"new"), origin=1, seq=99)
    net.run(10000)
    assert BACK in net.times(id) and acted.count(1) >= 1


def all_of_255():
    """A message that says r = 255 and f = 255 goes 31 hops at most, to 8 at most each."""
    net = Net(24, seed=2)
    seen = []

    def tap(source, target, data):
        if data[1] & 15 == DATA:
            seen.append((source, data[3], data[4]))

    net.tap = tap
    net.warm()
    end = net.nodes[2].stack.end
    end.out[25:27] = bytes([TEXT, 1])
    end.post(0, DATA, 7, 255, 255, net.nodes[2].number, 77, 600, 2)
    net.run(1900)
    assert seen[0][1:] == (255, 255)  # an insider's bytes, as it likes them
    assert max([r for source, r, f in seen[1:]]) == 30 and {f for source, r, f in seen[1:]} == {8}
    for node in net.nodes:
        assert len([1 for source, r, f in seen[1:] if source == node.i]) <= 8


nothing_comes_of_old_datagrams()
all_of_255()
