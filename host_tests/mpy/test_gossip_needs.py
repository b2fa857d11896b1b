"""Announced needs (row 20 of the features) across four tiers: equal to brute force to the Wh."""

import gc
from struct import pack, pack_into

from gossip_net import address_of
from query_net import QueryNet

from gossip.quantity import PERIODS
from gossip.wire import BUSY, HAN, HEAD, IED, IS, METER, NEED, OK, SSC, put_head

TODAY = 20000
HALF_HOUR_MS = 1800000
ROLES = [IS, SSC, SSC] + 6 * [METER] + 18 * [IED]
METERS = range(3, 9)
LINKS = [(0, 1), (0, 2), (1, 2)]
LINKS += [(1 if k < 6 else 2, k) for k in METERS]
LINKS += [(3 + k // 3, 9 + k) for k in range(18)]


def jobs_of(net, days=(TODAY, TODAY + 1)):
    """What each appliance needs, at random, each day else."""
    return {
        i: {day: (1 + net.random(3), net.random(5000), net.random(100000), net.random(7)) for day in days}
        for i in range(9, 27)
    }


def brute_force(jobs, day, of=range(27)):
    found = [jobs[i][day] for i in jobs if i in of and day in jobs[i]]
    return [sum([one[0] for one in found]), len(found)] + [sum([one[k] for one in found]) for k in (1, 2, 3)]


def town(**options):
    options.setdefault("tend_ms", 400)
    net = QueryNet(27, links=LINKS, roles=ROLES, jobs={}, probe_ms=10000, tick_ms=1000, **options)
    net.jobs.update(jobs_of(net))
    return net


def change(net, i, day, *need):
    net.jobs.setdefault(i, {})[day] = need
    net.nodes[i].needs.changed()


def test_sums_at_each_tier():
    """Both days, exactly, with a quarter of all datagrams lost; nothing is told past the next tier."""
    net = town(seed=1, loss=250)
    past = []
    net.tap = lambda source, target, data: (
        past.append((source, target)) if data[1] & 15 == NEED and ROLES[source] << 1 != ROLES[target] else None
    )
    net.run(60000)
    for day in (TODAY, TODAY + 1):
        assert net.nodes[0].needs.sum(day) == brute_force(net.jobs, day)
        assert net.nodes[1].needs.sum(day) == brute_force(net.jobs, day, range(9, 18))
        assert net.nodes[4].needs.sum(day) == brute_force(net.jobs, day, (12, 13, 14))
    assert not past and net.nodes[0].needs.sum(TODAY + 2) == [0, 0, 0, 0, 0]


def test_one_message_a_tier():
    """Without loss: one for each day and link, and its ACK; a change that several have is told in few."""
    net = town(seed=2)
    net.run(60000)
    sent = [node.sent[NEED] for node in net.nodes]
    assert sent[0] == 0 and sent[9:] == 18 * [2]
    assert sum(sent[1:9]) <= 2 * 2 * 8  # those that hold their message back wait for the slowest once more at most
    for i in range(9, 12):
        change(net, i, TODAY, 1, 5, 6, 7)
    net.run(20000)
    assert net.nodes[0].needs.sum(TODAY) == brute_force(net.jobs, TODAY)
    assert [after.sent[NEED] - before for after, before in zip(net.nodes[9:12], sent[9:])] == [1, 1, 1]
    assert net.nodes[3].sent[NEED] - sent[3] <= 3


def test_later_replaces_earlier():
    net = town(seed=3, loss=250, twice=300)
    net.run(30000)
    for k in range(30):
        change(net, 9 + k % 18, TODAY + k % 2, k, 1000 * k, 0, net.random(1000))
        net.run(net.random(3000))
    net.run(60000)
    for day in (TODAY, TODAY + 1):
        assert net.nodes[0].needs.sum(day) == brute_force(net.jobs, day)


def test_equal_to_what_a_query_says():
    """Asked appliance by appliance across all four tiers: the same sum."""
    net = town(seed=4, loss=100, tend_ms=100)
    net.values = lambda node, function, arg: net.jobs[node.i][TODAY + arg][1:]
    net.run(60000)
    for day in (0, 1):
        query = net.ask(0, PERIODS, day, targets=IED, f=8)
        jobs, contributors, *energies_wh = net.nodes[0].needs.sum(TODAY + day)
        assert query.contributors == contributors == 18 and query.missing() == 0
        assert list(query.value) == energies_wh == brute_force(net.jobs, TODAY + day)[2:]
        net.run(2000)


def test_restarts():
    """A meter forgets and is told again; an appliance that starts anew replaces what it had said."""
    net = town(seed=5)
    net.run(60000)
    meter, appliance = net.nodes[4], net.nodes[12]
    for node in (meter, appliance):
        node.crash()
    net.jobs[12] = {TODAY: (1, 100, 200, 300)}
    net.run(5000)
    for node in (meter, appliance):
        node.restart()
    net.run(60000)
    for day in (TODAY, TODAY + 1):
        assert net.nodes[0].needs.sum(day) == brute_force(net.jobs, day), day


def test_forgotten_after_a_day():
    """Of a dead appliance nothing is left when its day is over, or 24 hours after it said so."""
    net = town(seed=6)
    net.run(60000)
    net.nodes[26].crash()
    meter = net.nodes[8].needs
    meter_knew = meter.sum(TODAY + 1)
    net.day += 1
    net.run(120000)
    assert meter.sum(TODAY) == [0, 0, 0, 0, 0] and meter.sum(TODAY + 1) == meter_knew
    meter._minute += 24 * 60 - 10
    for i in (24, 25):
        net.nodes[i].needs._boot = 0  # they renew what they said
    net.nodes[8].needs._minute += 5
    net.run(7 * 60000)
    assert meter.sum(TODAY + 1) == brute_force(net.jobs, TODAY + 1, (24, 25))


def test_another_meter_is_told():
    """An appliance whose meter is gone tells another; when the first is back, nothing counts twice."""
    links = [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)]
    roles = [IS, SSC, METER, METER, IED]
    net = QueryNet(
        5, links=links, roles=roles, jobs={4: {TODAY: (1, 10, 20, 30)}}, seed=7, tend_ms=400, tick_ms=1000
    )
    net.run(30000)
    needs = net.nodes[4].needs
    first, other = (2, 3) if needs.up == 102 else (3, 2)
    assert net.nodes[0].needs.sum(TODAY) == [1, 1, 10, 20, 30]
    net.parted = lambda a, b: first in (a, b) and 4 in (a, b)
    peers = net.nodes[4].stack.peers
    for _ in range(60):
        peers.age()
        net.nodes[4].stack.discovery.probe(peers.index(100 + other))
        net.run(500)
    assert needs.up == 100 + other
    net.run(HALF_HOUR_MS)
    assert net.nodes[0].needs.sum(TODAY) == [2, 2, 20, 40, 60]  # the first cannot know
    net.parted = None
    net.nodes[first].stack.discovery.probe(net.nodes[first].stack.peers.index(104))
    net.run(HALF_HOUR_MS)
    assert net.nodes[0].needs.sum(TODAY) == [1, 1, 10, 20, 30]


def test_without_time_nothing_is_told():
    net = town(seed=8)
    net.day = 0
    net.run(60000)
    assert not sum([node.sent[NEED] for node in net.nodes])
    net.day = TODAY
    net.run(30000)
    assert net.nodes[0].needs.sum(TODAY) == brute_force(net.jobs, TODAY)


def test_bounds():
    """Sums stop at what the message holds; places are limited; one appliance counts for no more than is rated."""
    net = QueryNet(4, links=[(0, 1), (0, 2), (0, 3)], roles=[METER, IED, IED, IED], jobs={})
    for i in (1, 2, 3):
        net.jobs[i] = {TODAY: (65535, 0xFFFFFFFF, 5, 0)}
    needs = net.nodes[0].needs
    needs._most = 4
    net.nodes[3].crash()
    net.run(20000)
    assert needs.sum(TODAY) == [65535, 2, 0xFFFFFFFF, 10, 0]
    net.nodes[3].restart()
    net.run(20000)
    assert len(needs._told) == 4 and net.nodes[0].stack.end.counters[BUSY] > 0
    assert needs.sum(TODAY) == [65535, 2, 0xFFFFFFFF, 10, 0]
    needs._most_wh = 40000
    for i in (1, 2):
        change(net, i, TODAY, 1, 0xFFFFFFFF, 6, 0)
    net.run(20000)
    assert needs.sum(TODAY) == [2, 2, 80000, 12, 0]


def forge(net, sender, role, seq, contributors, *energies_wh, day=TODAY, boot=1):
    """A NEED that says it comes from node `sender`, to node 0."""
    to, forged = net.nodes[0], bytearray(64)
    put_head(forged, NEED, role, HAN, 0, 0, sender, seq, sender, boot, to.stack.end.boot, 0, 18)
    pack_into(">HHHIII", forged, HEAD, 1, contributors, day, *energies_wh)
    n = net.seal.close(forged, HEAD + 18, pack(">I", to.number))
    return to.stack.end.received(forged, n, net.nodes[sender - 100].address, to.clock())


def test_one_speaks_for_no_more_than_can_be_behind_it():
    """An appliance for itself, a meter for as many as it has places for, an SSC for as many meters as that."""
    for above, role, most in ((METER, IED, 1), (SSC, METER, 65), (IS, SSC, 65 * 65)):
        net = QueryNet(2, links=[(0, 1)], roles=[above, role], jobs={})
        net.nodes[0].needs._most_wh = 1000
        net.run(2000)
        assert forge(net, 101, role, 0x5000, 65535, 0xFFFFFFFF, 7, 0) == OK
        assert net.nodes[0].needs.sum(TODAY) == [1, most, 1000 * most, 7, 0]


def test_a_forged_sequence_silences_nobody():
    """One beyond what the child's boot can have reached is no bound at all, one within it for an hour or two."""
    net = QueryNet(2, links=[(0, 1)], roles=[METER, IED], jobs={1: {TODAY: (1, 10, 20, 30)}}, tend_ms=400)
    needs = net.nodes[0].needs
    net.run(20000)
    assert needs.sum(TODAY) == [1, 1, 10, 20, 30]
    for k, seq in enumerate((0x3FFFFFFF, 0x20000000, 0x8000 + 100)):
        assert forge(net, 101, IED, seq, 1, 1, 1, 1) == OK
        assert needs.sum(TODAY) == [1, 1, 1, 1, 1]
        change(net, 1, TODAY, 2, 5, 6, k)
        net.run(20000)
        assert needs.sum(TODAY) == [2, 1, 5, 6, k], seq
    assert forge(net, 101, IED, 0x4000 + 9999, 1, 1, 1, 1) == OK
    net.run(3 * HALF_HOUR_MS + 600000)
    assert needs.sum(TODAY) == [2, 1, 5, 6, 2]
    change(net, 1, TODAY, 2, 5, 6, 7)
    net.run(20000)
    assert needs.sum(TODAY) == [2, 1, 5, 6, 7]


def test_invented_children():
    """One who has the segment's key invents appliances, and they say something each: the real ones are heard as
    before, and what was invented makes room."""
    roles = [METER] + 3 * [IED]
    net = QueryNet(4, links=[(0, 1), (0, 2)], roles=roles, jobs={1: {TODAY: (1, 10, 20, 30)}})
    meter, end = net.nodes[0], net.nodes[0].stack.end
    net.nodes[2].crash()
    net.run(20000)
    invented = bytearray(64)
    taken = 0
    for sender in range(1000, 1080):
        for day in (TODAY, TODAY + 1):
            put_head(invented, NEED, IED, HAN, 0, 0, sender, 1, sender, 1, end.boot, 0, 18)
            pack_into(">HHHIII", invented, HEAD, 1, 1, day, 5, 5, 5)
            n = net.seal.close(invented, HEAD + 18, pack(">I", meter.number))
            taken += end.received(invented, n, address_of(3), meter.clock()) == OK
        net.run(2000)
    assert taken > 64 >= len(meter.needs._told), taken
    net.jobs[2] = {TODAY: (1, 100, 200, 300)}
    net.nodes[2].restart()
    net.run(20000)
    mine = [told for key, told in meter.needs._told.items() if key[0] in (net.nodes[1].number, net.nodes[2].number)]
    assert sorted([told[4:] for told in mine if told[3]]) == [[10, 20, 30], [100, 200, 300]]


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        print(name)
        test()
        gc.collect()
