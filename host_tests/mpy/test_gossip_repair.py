"""What brings a message to who lacks it: pull, lazy push, push-pull, gaps, digests (features 6 and 7)."""

import struct

from gossip_net import MASK, Net, signed

from gossip import wire
from gossip.wire import DATA, DIGEST, IHAVE, IWANT, LAZY, PULL, PUSH_PULL, TEXT

PERIOD_MS = 2000


def text(words=b"hello"):
    return bytes([TEXT]) + words


def all_have(net, id, periods):
    """Run until all live nodes have it; in how many periods."""
    for period in range(periods):
        if len([1 for node in net.live() if node.i in net.times(id)]) == len(net.live()):
            return period
        net.run(PERIOD_MS)
    raise AssertionError("%d of %d have it" % (len(net.times(id)), len(net.live())))


def test_switched_off_during_the_push():
    """Row 6: within 8 periods, at 25 % loss, though nothing is pushed any more."""
    net = Net(16, loss=250, seed=4)
    for i in (3, 7, 11):
        net.nodes[i].crash()
    net.start(0, signed(), origin=1, seq=1, lifetime_s=3600)
    net.run(5000)
    for node in net.live():
        node.late()
    net.run(60000)
    before = net.sent()
    for i in (3, 7, 11):
        net.nodes[i].restart()
    net.run(8 * PERIOD_MS)
    assert [len(net.nodes[i].kept) for i in (3, 7, 11)] == [1, 1, 1]
    assert net.sent() - before <= 3 * 8 * 4


def test_switched_off_and_not_aware_of_it():
    """Row 6, for one that was deaf and has no reason to think that it missed anything: periodic pull alone."""
    net = Net(12, pull=4)
    net.parted = lambda a, b: 5 in (a, b)
    net.start(0, signed(), origin=1, seq=1, lifetime_s=3600)
    net.run(60000)
    assert not net.nodes[5].kept
    net.parted = None
    net.run(8 * PERIOD_MS)
    assert len(net.nodes[5].kept) == 1


def test_kept_over_a_crash():
    """What was delivered is given to others by a node that has been restarted since."""
    net = Net(6)
    for i in range(2, 6):
        net.nodes[i].crash()
    net.start(0, signed(), f=5, origin=1, seq=1, lifetime_s=3600)
    net.run(1000)
    net.nodes[0].crash()
    net.nodes[1].crash()
    net.run(1000)
    for node in net.nodes[1:]:
        node.restart()
    net.run(8 * PERIOD_MS)
    assert [len(node.kept) for node in net.nodes] == [1] * 6
    assert net.nodes[1].trust.count == 1  # nobody verifies twice


def test_gap_that_nobody_can_fill():
    net = Net(4, seed=3, tick_ms=500)
    net.start(0, signed(b"1"), f=8, origin=1, seq=1, lifetime_s=3600)
    net.run(3000)
    net.start(0, signed(b"6"), f=8, origin=1, seq=6, lifetime_s=3600)  # there are no others
    net.run(500)
    before = net.sent((DIGEST,))
    net.run(1000 * PERIOD_MS)
    # all but who sent it ask who has what they lack, 2 a period for 4 periods, and then no more; nobody answers
    assert net.sent((DIGEST,)) - before == 3 * 8
    assert net.sent((IHAVE, IWANT)) == 0


def test_gap_is_filled():
    net = Net(10, seed=5)
    victim = net.nodes[6]
    first = net.start(0, signed(b"1"), origin=1, seq=1, lifetime_s=3600)
    net.run(3000)
    net.parted = lambda a, b: 6 in (a, b)
    second = net.start(0, signed(b"2"), origin=1, seq=2, lifetime_s=3600)
    net.run(3000)
    net.parted = None
    third = net.start(0, signed(b"3"), f=8, origin=1, seq=3, lifetime_s=3600)
    net.run(3000)
    for id in (first, second, third):
        assert victim.i in net.times(id)
    assert [message[2] for message in victim.kept] == [1, 3, 2]


def test_lazy_push():
    """Row 7: advertised and fetched: about one payload a node."""
    net = Net(16, seed=2, defaults={"variant": LAZY, "f": 4})
    id = net.start(0, text(), f=8)
    net.run(2000)
    assert len(net.times(id)) == 16
    assert net.payloads() <= 16 and net.sent((IHAVE,)) > 30
    # with loss, payloads that are lost go twice; who asks in vain asks another
    net = Net(16, seed=2, loss=250, defaults={"variant": LAZY, "f": 4})
    id = net.start(0, signed(), origin=1, seq=1, lifetime_s=3600)
    net.run(4000)
    for node in net.live():
        if node.i not in net.times(id):
            node.late()
    all_have(net, id, 8)
    assert net.payloads() <= 2.1 * 16


def test_pull():
    net = Net(16, seed=2, pull=1)
    id = net.start(0, text(), variant=PULL)
    net.run(4)
    assert net.sent((DATA, IHAVE)) == 0  # nothing is pushed
    periods = all_have(net, id, 16)
    assert 2 <= periods <= 11  # from one to sixteen: doubling takes four
    assert net.payloads() <= 1.3 * 16 and net.sent((IHAVE,)) == 0


def test_push_pull_beats_both():
    """Row 7: with no more payloads than push alone everybody has it, and in fewer periods than by pull."""
    tries, push_missed, pull_periods, push_pull_periods, payloads = 8, 0, 0, 0, 0
    for seed in range(tries):
        net = Net(16, seed=seed, loss=100)
        id = net.start(0, text(), f=2)
        net.run(10 * PERIOD_MS)
        push_missed += 16 - len(net.times(id))
        net = Net(16, seed=seed, loss=100, pull=1)
        pull_periods += all_have(net, net.start(0, text(), variant=PULL), 20)
        net = Net(16, seed=seed, loss=100, pull=8)
        push_pull_periods += all_have(net, net.start(0, text(), variant=PUSH_PULL, f=4), 20)
        payloads += net.payloads()
    assert push_missed > 0
    assert push_pull_periods < pull_periods
    assert payloads <= 2.1 * 16 * tries, payloads / 16 / tries


def test_who_advertises_and_never_serves():
    """Every advertisement is answered by one question at most, and the message comes from somebody else."""
    net = Net(10, seed=8)
    evil = net.nodes[9].stack.end

    def advertise(seq):
        evil.out[25:33] = bytes((0, 0, 0, 1, 0, 0, seq >> 8, seq & 255))
        for i in range(evil.peers.count):
            evil.post(i, IHAVE, 7 | LAZY << 3, 5, 4, 1, seq, 600, 8)

    net.parted = lambda a, b: a == 9 and net.now > 100 or b == 9 and net.now > 100
    for seq in range(1, 20):
        advertise(seq)
    net.run(PERIOD_MS // 10)
    assert net.sent((IWANT,)) <= 19 * 10
    id = net.start(0, signed(), origin=1, seq=1, lifetime_s=3600)
    net.run(PERIOD_MS)
    for node in net.nodes[:9]:
        node.late()
    net.run(8 * PERIOD_MS)
    assert len(net.times(id)) == 9
    for node in net.nodes[:9]:
        assert len(node.stack.repair._wants) <= 8


def test_digest_of_a_probe():
    """A newer sequence in a PROBE or MATCH: the one that says so is asked at once."""
    net = Net(2)
    net.parted = lambda a, b: True
    net.start(0, signed(), origin=1, seq=7, lifetime_s=3600)
    net.run(20000)
    net.parted = None
    offered = net.nodes[0].stack.repair.offers()
    assert offered == [(1, 7)]
    other = net.nodes[1]
    other.stack.repair.offered(1, 7, other.stack.peers.index(100))
    assert other.sent[IWANT] == 1
    other.stack.repair.offered(1, 7, other.stack.peers.index(100))
    assert other.sent[IWANT] == 1  # not twice at once
    net.run(500)
    assert len(other.kept) == 1
    other.stack.repair.offered(1, 7, other.stack.peers.index(100))
    other.stack.repair.offered(1, 6, other.stack.peers.index(100))
    assert other.sent[IWANT] == 2  # 6 it has not, though nobody may have it


def hold(node, seq, kind=1, reach=7, lifetime_s=0xFFFF):
    """It came before this boot, and is on the shelf."""
    node.trust._known.add((1, seq))
    node.stack.relay.adopt(reach, 1, seq, lifetime_s, signed(b"%d" % seq, kind=kind), node.clock())


def stocked(net):
    """Node 0 has four signed messages and two others."""
    net.run(1000)  # the first probes are over
    relay = net.nodes[0].stack.relay
    for seq in (4, 2, 3, 1):
        hold(net.nodes[0], seq)
    for _ in range(2):
        relay.start(net.nodes[0].clock(), text(b"x" * 1000), variant=PULL)
    net.run(300)


def request(net, kind, payload):
    """Node 1 asks node 0 this: the sizes of what it gets at once, by kind."""
    end, got = net.nodes[1].stack.end, []
    end.out[25 : 25 + len(payload)] = payload
    net.tap = lambda source, target, data: got.append((data[1] & 15, data)) if source == 0 else None
    end.post(end.peers.index(100), kind, 7, 0, 0, 0, 0, 0, len(payload))
    net.parted = lambda a, b: True
    net.run(120)
    net.tap = net.parted = None
    return got


def test_a_small_question_has_a_small_answer():
    """A DIGEST that names nothing gets the newest that is signed, and is told of the rest; an IWANT gets two."""
    net = Net(2)
    stocked(net)
    got = request(net, DIGEST, b"\1")
    assert [kind for kind, _ in got] == [DATA, IHAVE]
    assert got[0][1][9:13] == b"\0\0\0\4" and len(got[1][1]) <= 33 + 4 * 8
    pairs = b"".join([struct.pack(">II", 1, seq) for seq in (1, 2, 3, 4)])
    assert [kind for kind, _ in request(net, IWANT, pairs)] == [DATA] * 2


def test_who_asks_often_runs_out():
    """What is given costs tokens: 100 DIGESTs in 10 s, 3,400 bytes, bring no more than 60 of 1,232 bytes."""
    net = Net(2)
    stocked(net)
    given = 0
    for _ in range(100):
        given += len([1 for kind, _ in request(net, DIGEST, b"\1") if kind == DATA])
    assert 20 <= given <= (60 + 20 * 12) // 5, given


def test_guests_get_little():
    """Who is not in the view may have sent from a false address: all of them together get four a period."""
    net = Net(2)
    stocked(net)
    peers = net.nodes[0].stack.peers
    i = peers.index(101)
    assert peers.in_view(i)
    peers._array[16 * i + 15] |= 4
    given = len([1 for kind, _ in request(net, IWANT, bytes((0, 0, 0, 1, 0, 0, 0, 4)) * 4) if kind == DATA])
    assert given == 1, given
    for _ in range(99):
        given += len([1 for kind, _ in request(net, DIGEST, b"\1") if kind == DATA])
    assert 16 <= given <= 4 * 8, given  # in 12 s


def sequences(node):
    return sorted([one[2] for one in node.kept])


def test_all_that_was_missed():
    """One that was off and comes back, nothing but its own restart tells it: all within 8 periods, at 25 % loss."""
    for seed in range(10):
        net = Net(6, seed=seed, loss=250)
        net.nodes[5].crash()
        for node in net.nodes[:5]:
            for seq in (11, 12, 13):
                hold(node, seq)
            hold(node, 5, kind=2)
        net.run(1000)
        net.nodes[5].start()
        net.acquaint(net.nodes[5:])
        net.run(8 * PERIOD_MS)
        assert sequences(net.nodes[5]) == [5, 11, 12, 13], seed


def test_four_while_it_was_off():
    """Restarted, with nothing kept, and new: all four within 8 periods, each delivered once (Net sees to that)."""
    wanted = [765, 766, 767, 768]
    for seed in range(8):
        net = Net(10, seed=seed, loss=250, pull=8)
        for i in (7, 8, 9):
            net.nodes[i].crash()
        net.start(0, signed(b"before"), f=8, origin=1, seq=764, lifetime_s=0xFFFF)
        net.run(60000)
        for seq in wanted:
            net.start(0, signed(b"%d" % seq), f=8, origin=1, seq=seq, lifetime_s=0xFFFF)
            net.run(30000)
        for node in net.live():
            assert sequences(node) == wanted
        for i in (7, 8, 9):
            net.nodes[i].trust._known.add((1, 764))
            if i == 9:
                net.nodes[i].trust._known.add((1, 768))  # came, and is kept no more
            net.nodes[i].start()
        net.acquaint(net.nodes[7:])
        before = net.sent()
        net.run(8 * PERIOD_MS)
        assert [sequences(net.nodes[i]) for i in (7, 8, 9)] == [wanted, wanted, wanted[:3]], seed
        assert net.sent() - before <= 3 * 30 + 7 * 2, net.sent() - before
        # all are restarted, and then there is a new one
        for node in net.nodes:
            node.crash()
        for node in net.nodes[:9]:
            node.start()
        net.acquaint(net.nodes[:9])
        net.run(20000)
        new = net.nodes[9]
        new.trust, new.kept = net.trust(9), []
        net._times.clear()
        new.start()
        net.acquaint([new])
        net.run(8 * PERIOD_MS)
        assert sequences(new)[-4:] == wanted, (seed, sequences(new))


def test_four_while_it_was_cut_off():
    """Not restarted: what is newer in a MATCH, and the gap before that, bring the others."""
    for seed in range(8):
        net = Net(8, seed=seed, loss=250, pull=8, discover=True)
        net.run(120000)
        net.start(0, signed(b"before"), f=8, origin=1, seq=764, lifetime_s=0xFFFF)
        net.run(60000)
        net.parted = lambda a, b: 7 in (a, b)
        for seq in range(765, 770):
            net.start(0, signed(b"%d" % seq), f=8, origin=1, seq=seq, lifetime_s=0xFFFF)
            net.run(30000)
        assert sequences(net.nodes[7]) == [764]
        came = []
        net.nodes[7].on_deliver = lambda node, item, came=came: came.append(item.seq)
        net.parted = None
        net.run(8 * 10000)  # periods of the peer service
        assert sorted(came) == [765, 766, 767, 768, 769], (seed, came)


def test_what_is_far_behind_comes_first():
    """A new node whose window of numbers the newest would put beyond the oldest: it has the day first."""
    net = Net(4, delay_ms=(20, 20))
    net.nodes[3].crash()
    for node in net.nodes[:3]:
        for seq in (700, 731, 766, 767):
            hold(node, seq)
    net.nodes[3].start()
    net.acquaint(net.nodes[3:])
    net.run(8 * PERIOD_MS)
    assert [one[2] for one in net.nodes[3].kept] == [700, 731, 766, 767]


def test_what_may_not_go_over_a_link_does_not_stand_before_the_rest():
    """The newest is for the home alone: a meter is given, and told of, the others."""
    net = Net(2)
    hold(net.nodes[0], 1)
    hold(net.nodes[0], 2)
    hold(net.nodes[0], 3, reach=wire.HAN)
    net.run(1000)
    got = request(net, DIGEST, b"\1")
    assert [(kind, data[12] if kind == DATA else data[32]) for kind, data in got] == [(DATA, 2), (IHAVE, 1)]


def test_the_day_outlasts_what_is_over_sooner():
    """More limits than there are places: those go that are over first, not the day table before them all."""
    net = Net(1)
    node = net.nodes[0]
    for seq in range(1, 21):
        until = 90000 if seq == 1 else 4000 + seq
        payload = struct.pack(">BBII", 1, 1, 0, until) + bytes(1180) + b"good"
        node.stack.relay.adopt(7, 1, seq, 0xFFFF, payload, node.clock())
    held = sorted([item.seq for item in node.stack.relay.store.items if item.state])
    assert held == [1, 15, 16, 17, 18, 19, 20]


def test_a_newer_one_of_another_origin_takes_no_place():
    """Of seven, the one that has a newer of its own origin goes, though it is over last."""
    net = Net(1)
    node = net.nodes[0]
    for k, origin in enumerate((1, 2, 3, 4, 5, 5, 6, 7)):
        payload = struct.pack(">BBII", 1, 1, 0, 9000 if k == 4 else 5000 - k) + bytes(1180) + b"good"
        node.stack.relay.adopt(7, origin, 10 + k, 0xFFFF, payload, node.clock())
    held = sorted([item.seq for item in node.stack.relay.store.items if item.state])
    assert held == [10, 11, 12, 13, 15, 16, 17]


def test_who_said_so_is_asked_and_nobody_else():
    net = Net(3)
    net.run(1000)
    node, asked = net.nodes[2], []

    def tap(source, target, data):
        if data[1] & 15 == IWANT:
            pairs = [struct.unpack_from(">II", data, at) for at in range(25, len(data) - 8, 8)]
            asked.append((source, target, pairs))

    net.tap = tap
    repair = node.stack.repair
    repair.offered(1, 7, node.stack.peers.index(100))
    repair.offered(1, 9, node.stack.peers.index(101))
    waits = node.stack.relay.store.place(1, 1195)
    waits.fill(1, 7, 8, 4, 1, 8, 600, 100, signed(), node.clock())
    repair.offered(1, 8, node.stack.peers.index(100))  # it is here, and being verified
    node.stack.relay.checks.pending = lambda now: None
    net.run(20000)
    assert len(asked) > 4 and {(source, target) for source, target, _ in asked} == {(2, 0), (2, 1)}
    for _, target, pairs in asked:
        assert pairs == [(1, 9 if target else 7)]


def test_held_as_long_as_it_is_valid():
    """A lifetime of 65535 s says that; what is over is held by nobody and asked for by nobody."""
    net = Net(2, tick_ms=100000)
    node = net.nodes[0]
    hold(node, 1)
    hold(node, 2, lifetime_s=3600)
    items = node.stack.relay.store.items

    def held():
        return [item.seq for item in items if item.state]

    assert sorted(held()) == [1, 2]
    for _ in range(16):  # days, in which the ticks wrap
        net.run(86400 * 1000)
        assert held() == [1] and node.stack.repair.offers() == [(1, 1)]
        assert [kind for kind, _ in request(net, DIGEST, b"\1")] == [DATA]
    node.trust.over = lambda payload: True
    net.run(200000)
    assert held() == [] and node.stack.repair.offers() == []


def test_what_is_refused_is_not_asked_for_again_and_again():
    """By somebody who has it, as it says with each PROBE: less and less often."""
    net = Net(2)
    hold(net.nodes[0], 7)
    asker, end = net.nodes[1], net.nodes[1].stack.end
    asker.trust.check = lambda *message: wire.WINDOW
    i = end.peers.index(100)
    asked = []
    for _ in range(540):
        asker.stack.repair.offered(1, 7, i)
        net.run(10000)
        asked.append(asker.sent[IWANT])
    assert asked[5] <= 10 and asked[-1] <= 20, (asked[5], asked[-1])
    assert asked[-1] - asked[270] <= 1
    assert asker.counters()[wire.WINDOW] == asked[-1]


def test_late_asks_less_and_less():
    net = Net(8)
    net.run(5000)
    net.warm()
    node = net.nodes[2]
    node.late()
    net.run(16 * PERIOD_MS)
    assert 31 <= node.sent[DIGEST] <= 32
    net.run(100 * PERIOD_MS)
    assert node.sent[DIGEST] <= 32 + 2 * 2
    assert net.payloads() == 0


def test_store_keeps_what_is_signed():
    """A flood of unsigned messages displaces no tariff; the newest of a type stays longest."""
    net = Net(6)
    net.start(0, signed(b"key", kind=2), origin=1, seq=1, lifetime_s=300)
    for seq in range(2, 9):
        net.run(1000)
        net.start(0, signed(b"%d" % seq), origin=1, seq=seq, lifetime_s=300)
    for _ in range(30):
        net.run(1000)
        net.start(3, text())
    for node in net.nodes:
        kept = [(item.buf[0], item.seq) for item in node.stack.relay.store.items if item.state and item.key == 1]
        assert (2, 1) in kept and (1, 8) in kept and (1, 7) in kept, kept
    net.run(602 * 1000)
    assert not [item for node in net.nodes for item in node.stack.relay.store.items if item.state]


def test_clocks_wrap():
    """Nothing depends on where the ticks stand: each node's wrap at another time within this run."""
    net = Net(8, seed=9, pull=4)
    clocks = [node.clock() for node in net.nodes]
    net.nodes[3].crash()
    for seq in range(1, 9):
        net.start(0, signed(b"%d" % seq), origin=1, seq=seq, lifetime_s=30)
        net.run(4 * PERIOD_MS)
    assert len([1 for node, before in zip(net.nodes, clocks) if node.clock() < before]) == 8
    assert [len(node.kept) for node in net.nodes] == [4, 4, 4, 0, 4, 4, 4, 4]
    assert max(clocks) <= MASK


def test_partition_heals():
    """Both halves go on; when they meet again, who is late learns by asking, who is not by the digests."""
    net = Net(16, seed=6, pull=4)
    net.parted = lambda a, b: (a < 8) != (b < 8)
    id = net.start(0, signed(), origin=1, seq=1, lifetime_s=3600)
    local = net.start(12, text(), f=8)
    net.run(2 * PERIOD_MS)
    for node in net.nodes:
        if node.i not in net.times(id):
            node.late()
    net.run(18 * PERIOD_MS)
    assert sorted(net.times(id)) == list(range(8)), net.times(id)
    assert sorted(net.times(local)) == list(range(8, 16))
    net.parted = None
    assert all_have(net, id, 20) <= 14


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        print(name)
        test()

assert wire.EAGER == 0
