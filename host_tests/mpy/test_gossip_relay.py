"""What a relay passes on, to whom and how often: rows 1, 2, 9, 10 and 11 of the features; reach; who may."""

import struct

from gossip_net import CountingTrust, Net, signed

from gossip import wire
from gossip.wire import DATA, FAN, HAN, IED, IS, METER, NOTICE, ORDER, QUERY, SSC, TEXT, WAN, Message, decode


class Tap:
    """What goes over a Net: [(source, target, Message)] of DATA and ACK."""

    def __init__(self, net):
        self.all = []
        net.tap = self.see

    def see(self, source, target, data):
        message = Message()
        assert decode(data, len(data), message) == 0
        self.all.append((source, target, message))

    def of(self, kind, source=None):
        return [one for one in self.all if one[2].kind == kind and source in (None, one[0])]


def text(words=b"hello"):
    return bytes([TEXT]) + words


def reasons(net):
    total = [0] * wire.REASON_COUNT
    for node in net.nodes:
        for reason, count in enumerate(node.counters()):
            total[reason] += count
        assert sum(node.counters()) == node.received  # every datagram has one reason
    return dict(zip(wire.REASONS.split(), total))


def test_eager_push_forwards_once():
    for f in (1, 3, 8):
        net = Net(24, seed=f, delay_ms=(50, 50))
        tap = Tap(net)
        net.warm()
        net.start(5, text(), f=f)
        net.run(450)  # before the initiator insists
        for node in net.nodes:
            sent = tap.of(DATA, node.i)
            assert len(sent) in (0, f), (f, len(sent))
            assert len({target for _, target, _ in sent}) == len(sent)  # to different ones
            assert len([1 for id in net._times.values() if node.i in id]) == len(sent) // f
        for source, target, message in tap.of(DATA):
            assert target != 5  # the origin has it
            if source != 5:
                first = [a for a, b, _ in tap.of(DATA) if b == source][0]
                assert target != first  # nor does who gave it get it back
            assert message.f == f


def test_never_back_to_the_sender():
    net = Net(2)
    net.start(0, text())
    net.run(1900)
    assert net.nodes[1].sent[DATA] == 0 and net.nodes[0].sent[DATA] == 1


def test_rounds():
    for given, on_wire in ((0, 0), (1, 1), (255, 31), (5, 5)):
        net = Net(16, seed=2, delay_ms=(50, 50))
        tap = Tap(net)
        net.start(0, text(), f=8, r=given)
        net.run(1500)
        assert {message.r for _, _, message in tap.of(DATA, 0)} == {on_wire}
        for source, _, message in tap.of(DATA):
            if source:
                assert message.r + 1 in [m.r for _, target, m in tap.of(DATA) if target == source]
        relaying = {source for source, _, _ in tap.of(DATA)}
        if given == 0:
            assert relaying == {0}
        if given == 1:
            assert relaying == {0} | {target for _, target, _ in tap.of(DATA, 0)}


def test_bare_message_gets_the_defaults():
    defaults = {"f": 2, "r": 9, "variant": wire.EAGER, "reach": FAN, "lifetime_s": 77}
    net = Net(6, defaults=defaults)
    tap = Tap(net)
    net.start(0, text())
    net.run(300)
    sent = tap.of(DATA, 0)
    assert len(sent) == 2
    for _, _, m in sent:
        assert (m.f, m.r, m.variant, m.reach, m.lifetime_s, m.tcp) == (2, 9, wire.EAGER, FAN, 77, False)
        assert (m.origin, m.sender, m.ack) == (100, 100, True)
    for _, _, m in tap.of(DATA):
        assert m.reach == FAN and not m.tcp


def test_the_binding_is_that_of_each_peer():
    """A message that came over a connection goes on as UDP where UDP reaches, and the other way round."""
    net = Net(6)
    tap = Tap(net)
    tcp = net.nodes[3]
    for node in net.nodes:
        peers = node.stack.peers
        i = peers.index(tcp.number)
        if i >= 0:
            peers._array[16 * i + 15] |= 1
    for start in (0, 3):
        net.start(start, text())
        net.run(300)
    seen = {(m.origin, m.tcp) for _, target, m in tap.of(DATA) if target == 3}
    assert seen == {(100, True)}, seen
    there = tcp.number
    assert {m.tcp for _, target, m in tap.of(DATA) if target != 3 and m.sender != there} == {False}


def test_parameters_are_cut():
    net = Net(12)
    tap = Tap(net)
    net.start(0, text(), f=255, r=255, variant=wire.PUSH_PULL, lifetime_s=100000, reach=FAN | WAN)
    net.run(300)
    for _, _, m in tap.of(DATA, 0):
        assert (m.f, m.r, m.variant, m.reach, m.lifetime_s) == (8, 31, wire.PUSH_PULL, FAN | WAN, 0xFFFF)
    # what others claim on the wire is cut as well
    net = Net(12)
    tap = Tap(net)
    node = net.nodes[1]
    out = node.stack.end.out
    out[25:31] = text()
    victim = node.stack.peers.index(net.nodes[0].number)
    node.stack.end.post(victim, DATA, FAN, 255, 255, node.number, 3, 60, 6)
    net.run(200)
    sent = tap.of(DATA, 0)
    assert len(sent) == 8 and {m.r for _, _, m in sent} == {30} and {m.f for _, _, m in sent} == {8}


def test_delivered_once_and_a_failing_display_stops_nothing():
    shown = []

    def fail(node, item):
        shown.append(node.i)
        raise RuntimeError("the display is broken")

    net = Net(20)
    for node in net.nodes:
        node.on_deliver = fail
    net.start(3, text(), f=8)
    net.run(5000)
    assert sorted(shown) == list(range(20))  # the initiator's own service among them, once
    assert net.nodes[3].stack.relay.faults == 1
    assert str(net.nodes[4].stack.relay.fault) == "the display is broken"
    assert max([node.sent[DATA] for node in net.nodes]) == 8


TIERS = [IS] + [SSC] * 2 + [METER] * 6 + [IED] * 6


def test_scopes_are_crossed_at_meter_and_ssc_only():
    for reach, expected in (
        (7, set(range(15))),
        (WAN, {0, 1, 2}),
        (FAN | WAN, set(range(9))),
        (HAN | WAN, {0, 1, 2}),  # cut off: nothing leads there
    ):
        net = Net(15, roles=TIERS)
        tap = Tap(net)
        id = net.start(0, text(), f=8, reach=reach)
        net.run(1500)
        assert set(net.times(id)) == expected, (reach, net.times(id))
        for source, target, message in tap.of(DATA):
            scope = wire.link_scope(TIERS[source], TIERS[target])
            assert scope & reach and message.reach == reach
    # f on each kind of link: a meter passes it to f others of the FAN and to f of the HAN
    net = Net(15, roles=TIERS)
    net.start(0, text(), f=3)
    net.run(1500)
    for node in net.nodes[3:9]:
        assert node.sent[DATA] in (0, 6)
    assert 6 in [node.sent[DATA] for node in net.nodes[3:9]]
    # one that travels where it may not is not taken
    net = Net(3)
    node = net.nodes[1]
    node.stack.end.out[25:31] = text()
    node.stack.end.post(node.stack.peers.index(100), DATA, HAN, 3, 3, node.number, 3, 60, 6)
    net.run(500)
    assert reasons(net)["field"] == 1


def test_lifetime():
    net = Net(16, delay_ms=(200, 200))
    tap = Tap(net)
    net.start(0, text(), f=2, lifetime_s=5)
    net.run(450)
    assert {m.lifetime_s for _, _, m in tap.of(DATA)} == {5}  # what is passed on at once loses nothing
    net.run(1450)
    node = net.nodes[0]
    item = [item for item in node.stack.relay.store.items if item.state][0]
    clock = node.clock()
    assert [item.left(clock - 1900 + ms & 0x3FFFFFFF) for ms in (0, 1, 1000, 3999, 4001, 5000, 9000)] == [
        5, 4, 4, 1, 0, 0, 0,
    ]  # fmt: skip
    net = Net(3)
    node = net.nodes[1]
    node.stack.end.out[25:31] = text()
    node.stack.end.post(node.stack.peers.index(100), DATA, FAN, 3, 3, node.number, 3, 0, 6)
    net.run(500)
    assert reasons(net)["expired"] == 1
    # a signature covers the lifetime: the same on every hop
    net = Net(20, delay_ms=(50, 300))
    tap = Tap(net)
    net.start(0, signed(), origin=1, seq=1, lifetime_s=9)
    net.run(1900)
    assert {m.lifetime_s for _, _, m in tap.of(DATA)} == {9}


def test_notice_is_for_authorised_origins():
    net = Net(10, defaults={"authorised": (103,)})
    good = net.start(3, bytes([NOTICE]) + b"door open", f=8)
    bad = net.start(4, bytes([NOTICE]) + b"door open", f=8)
    net.run(450)
    assert len(net.times(good)) == 10 and len(net.times(bad)) == 1  # itself
    assert reasons(net)["origin"] == 8
    # solicit-response is theirs alone, too
    net = Net(10, defaults={"authorised": (103,), "on_query": lambda message, i, now, fresh: 0})
    net.start(4, bytes([QUERY, 3]) + bytes(8), f=8)
    net.run(450)
    assert reasons(net)["origin"] == 8
    net.start(3, bytes([QUERY, 3]) + bytes(8), f=8)
    net.start(4, bytes([QUERY, 2]) + bytes(8), f=8)
    net.run(450)
    assert reasons(net)["origin"] == 8


def test_order_is_for_one():
    net = Net(20)
    order = bytes([ORDER]) + struct.pack(">III", 107, 0, 0) + b"open" + bytes(12) + b"good"
    id = net.start(0, order, f=5)
    net.run(3900)
    assert list(net.times(id)) == [7]
    assert [node.trust.orders for node in net.nodes] == [1 if i == 7 else 0 for i in range(20)]
    evil = net.start(0, order[:-4] + b"evil", f=5)
    short = net.start(0, order[:20], f=5)
    net.run(3900)
    assert not net.times(evil) and not net.times(short)


def test_utility_numbers_are_two_kinds_of_origin():
    """What anybody can make under the utility's number does not stand in the way of what it signs."""
    net = Net(12)
    forger = net.nodes[2].stack.end
    forger.out[25:31] = text()
    for i in range(forger.peers.count):
        forger.post(i, DATA, 7, 3, 3, 1, wire.NUMBER_MOST, 600, 6)
    net.run(1000)
    id = net.start(0, signed(), f=8, origin=1, seq=1)
    net.run(1000)
    assert len(net.times(id)) == 12


def test_own_number_from_outside():
    """Somebody else's message under our number, or ours of an earlier boot: we go on beyond it."""
    net = Net(8)
    forger, victim = net.nodes[2].stack.end, net.nodes[0]
    before = victim.stack.relay.seq
    forger.out[25:31] = text()
    forger.post(forger.peers.index(victim.number), DATA, 7, 3, 3, victim.number, before + 500, 600, 6)
    net.run(500)
    assert victim.sent[DATA] == 0 and victim.counters()[wire.OLD] == 1
    assert victim.stack.relay.seq == before + 501
    id = net.start(0, text())
    net.run(3000)
    assert len(net.times(id)) == 8


def test_far_ahead_under_our_number():
    """One with the highest sequence there is, in the origin's name, to it and to all others: its messages go on."""
    for ahead in (0x3FFFFFFE, 0x3FFFFFFF, 1 << 20):
        net = Net(8)
        victim, forger = net.nodes[0], net.nodes[2].stack.end
        before = victim.stack.relay.seq
        forger.out[25:31] = text()
        for i in range(forger.peers.count):
            forger.post(i, DATA, 7, 3, 3, victim.number, ahead, 600, 6)
        net.run(500)
        assert victim.stack.relay.seq == before and victim.counters()[wire.OLD] >= 1
        for _ in range(40):
            id = net.start(0, text(), f=8)
            net.run(1500)
            assert len(net.times(id)) == 8


def test_forgeries_do_not_use_up_our_numbers():
    """Each one at the end of what a boot has: a node follows that for 2**20 at most."""
    net = Net(2)
    victim, forger = net.nodes[0].stack, net.nodes[1].stack.end
    before = victim.relay.seq
    for _ in range(200):
        forger.out[25:31] = text()
        forger.post(0, DATA, 7, 0, 0, 100, victim.relay.seq | 0x3FFF, 600, 6)
        net.run(200)
    assert before < victim.relay.seq <= before + (1 << 20) + 16384


def test_initiator_insists_on_two():
    net = Net(12)
    tap = Tap(net)
    net.warm()
    net.start(0, text(), f=3)
    net.run(60000)
    assert net.nodes[0].sent[DATA] == 3 and len(tap.of(wire.ACK)) == 3  # enough at once
    # nobody hears: again each period to two, for eight periods and no longer
    net.parted = lambda a, b: b != 0
    net.warm()
    net.start(0, text(), f=3)
    net.run(120000)
    assert net.nodes[0].sent[DATA] == 3 + 8 * 2
    # one hears the first time: the next go to others, until one of them hears, too
    net = Net(12)
    heard = []

    def parted(a, b):
        if a == 0 and not heard:
            heard.append(b)
            return False
        return a == 0 and (net.now < 500 or b in (heard[0], 1, 2, 3)) or a == heard[0] and b != 0

    net.parted = parted
    id = net.start(0, text(), f=8)
    net.run(60000)
    assert len(net.times(id)) == 12
    assert net.nodes[0].stack.relay.store.items[4].need + net.nodes[0].stack.relay.store.items[5].need == 0
    # a message of one way, and each other one but the initiator's, is never answered
    assert sum([node.sent[wire.ACK] for node in net.nodes]) <= 6
    assert sum([node.sent[wire.REPLY] for node in net.nodes]) == 0


def test_types_that_are_none():
    net = Net(4)
    node = net.nodes[1].stack.end
    for kind in (0, 5, 6, 7, 12, 31, 255):
        node.out[25:27] = bytes([kind, 0])
        node.post(node.peers.index(100), DATA, 7, 3, 3, 101, 50 + kind, 60, 2)
    net.run(500)
    assert reasons(net)["type"] == 7
    assert net.nodes[0].sent[DATA] == 0


def test_signed_goes_on_only_when_verified():
    net = Net(10, trust=lambda i: CountingTrust(hashes=5 << 20))
    net.verifies = False
    tap = Tap(net)
    id = net.start(0, signed(), origin=1, seq=1, f=5)
    net.run(150)
    assert {source for source, _, m in tap.of(DATA)} == {0} and not tap.of(wire.ACK)
    waiting = [node for node in net.nodes if node.counters()[wire.CHECKING]]
    assert len(waiting) == 5 and len(net.times(id)) == 1
    for _ in range(40):
        for node in net.nodes:
            node.verify()
        net.run(100)
    assert len(net.times(id)) == 10 and len(tap.of(wire.ACK)) >= 2
    assert sum([node.counters()[wire.CHECKING] for node in net.nodes]) == 0
    bad = net.start(0, signed(good=False), origin=1, seq=2, f=5)
    net.run(150)
    for node in net.nodes:
        node.verify()
    net.run(1000)
    assert list(net.times(bad)) == [0] and reasons(net)["signature"] >= 5
    assert {source for source, _, m in tap.of(DATA) if m.seq == 2} == {0}


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        print(name)
        test()
