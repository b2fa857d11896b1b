"""The overlay that discovery makes: everybody is found, nobody is lost, roles and scopes are kept, the dead go."""

from collections import Counter

import pytest

from gossip.wire import HAN, IED, IS, METER, REASONS, SSC, link_scope
from host_tests.gossip_town import GROUP, Town, address_of

SEEDS = [(address_of(16), False), (address_of(17), False)]


def town_of(n, loss=0.0, seed=1, seeds=SEEDS):
    town = Town(seed, loss)
    for number in range(16, 16 + n):
        town.add(number, seeds=seeds)
    return town


def reached(town, start):
    """Everybody that the views lead to from there."""
    found, fresh = {start}, [start]
    while fresh:
        fresh = [b for a in fresh for b in town.nodes[address_of(a)].view() if b not in found and not found.add(b)]
    return found


@pytest.mark.parametrize("loss", [0.0, 0.25])
def test_no_node_misses_more_than_5_percent_of_200_messages(loss):
    """Row 14: pushed with f = 4, r = 16, before any repair, while views change. Two random long links each."""
    town = town_of(60, loss, seed=3)
    town.run(40)
    missed = Counter()
    for k in range(200):
        if k % 5 == 0:
            town.run(1)
        got = town.push(town.random.randrange(16, 76), 4, 16)
        missed.update(node.number for node in town if node.number not in got)
    assert max(missed.values()) <= 10, missed.most_common(5)
    longs = [len(node.peers.some(15, 10, 14)) for node in town]
    assert min(longs) >= (1 if loss else 2)  # one may just have died
    assert town.accounted()


def test_places_in_views_are_evenly_spread():
    town = town_of(60)
    town.run(40)
    held = Counter(number for node in town for number in node.view())
    assert len(held) == 60 and min(held.values()) >= 8 and max(held.values()) <= 24
    assert all(14 <= len(node.view()) <= 16 for node in town)
    sent = [node.end.sent for node in town]
    town.run(40)
    sent = [node.end.sent - before for node, before in zip(town, sent, strict=True)]
    mean = sum(sent) / len(sent)
    assert max(sent[2:]) <= 1.3 * mean and max(sent) <= 2 * mean  # the first two are everybody's seeds


def test_a_chain_of_seeds_becomes_one_overlay():
    """Each node knows but the one before it; the views end up random, not along the chain."""
    town = Town(3, 0.1)
    for number in range(16, 56):
        town.add(number, seeds=[(address_of(number - 1), False)] if number > 16 else ())
    town.run(60)
    assert all(len(reached(town, node.number)) == 40 for node in town)
    near = sum(abs(a.number - b) <= 2 for a in town for b in a.view())
    assert near <= 0.25 * sum(len(node.view()) for node in town)  # 4 of 39 by chance


def test_multicast_finds_everybody():
    town = town_of(20, 0.1, seeds=[(GROUP, False)])
    town.run(20)
    assert all(len(reached(town, node.number)) == 20 for node in town)


def test_a_partition_heals_without_seeds():
    """Both halves forget each other as peers, but go on looking now and then."""
    town = town_of(24, 0.1)
    town.run(20)
    for node in town:
        node.discovery.seeds = []
    half = {address_of(number) for number in range(16, 28)}
    town.passes = lambda a, b: (a in half) == (b in half)
    town.run(100)
    assert all((address_of(b) in half) == (a.address in half) for a in town for b in a.view())
    town.passes = lambda a, b: True
    town.run(40)
    across = sum((address_of(b) in half) != (a.address in half) for a in town for b in a.view())
    assert across > 24 and all(len(reached(town, node.number)) == 24 for node in town)


def test_the_dead_leave_every_view_and_come_back():
    town = town_of(40, 0.1)
    town.run(20)
    gone = set(range(20, 28))
    for number in gone:
        town.nodes[address_of(number)].down = True
    town.run(50)
    assert not any(node.view() & gone for node in town if not node.down)
    for number in gone:
        town.add(number, seeds=SEEDS, boot=2)
    town.run(20)
    assert all(len(reached(town, number)) == 40 for number in range(16, 56))


def tiers(seed=1, loss=0.1):
    """An IS, two SSCs, five meters each, two appliances each; everybody's seed is the one above."""
    town = Town(seed, loss)
    town.add(1, IS)
    for s in (20, 30):
        town.add(s, SSC, [(address_of(1), False), (address_of(20), False)])
        for m in range(s * 10, s * 10 + 5):
            town.add(m, METER, [(address_of(s), False)])
            for a in (1, 2):
                town.add(m * 10 + a, IED, [(address_of(m), False)])
    return town


def test_roles_and_scopes_are_kept():
    """Row 13. Scopes are crossed at meters and SSCs only, and an IED never hears of a peer beyond its home."""
    town = tiers()
    for _ in range(30):
        town.run(1)
        for node in town:
            role, number = node.peers.role, node.number
            for i in range(node.peers.count):  # guests and hearsay too
                other, scope = node.peers.role_at(i), node.peers.scope(i)
                assert scope == link_scope(role, other) != 0
                assert other != (IS if role in (IED, METER) else None)
                if role == IED:
                    assert scope == HAN and node.peers.number_at(i) // 10 in (number // 10, number // 100)
    for node in town:
        roles = {node.peers.role_at(i) for i in node.peers.some()}
        wanted = {IED: {METER, IED}, METER: {IED, METER, SSC}, SSC: {METER, SSC, IS}, IS: {SSC}}
        assert roles == wanted[node.peers.role], (node.number, roles)


def test_a_rare_role_is_not_pushed_out_by_a_frequent_one():
    town = Town(5)
    for number in range(16, 56):
        town.add(number, seeds=[(address_of(16), False), (address_of(60), False)])
    town.run(20)
    town.add(60, SSC, [(address_of(20), False)])
    town.run(80)  # a seed that was not there is tried every 32 periods in the end
    have = [60 in node.view() for node in town if node.number != 60]
    assert all(have)  # whom else would they ask upward?


def test_both_forms_of_service_are_announced():
    """Row 12: gossip (1) and plain requests (2), linked: of one entry, at one address; also at second hand."""
    town = town_of(10)
    town.add(40, seeds=SEEDS, services=2)
    town.run(10)
    for node in town:
        for i in node.peers.some():
            assert node.peers.services(i) == (2 if node.peers.number_at(i) == 40 else 3)


def test_digests_ride_on_probes():
    town = town_of(10)
    town.nodes[address_of(20)].discovery.digests = lambda: [(1, 77), (2, 5)]
    town.run(10)
    for node in town:
        if node.number != 20:
            assert (1, 77, 20) in node.heard and (2, 5, 20) in node.heard
        assert all(told[2] == 20 for told in node.heard)


def test_an_appliance_asks_its_meter_for_peers():
    """Row 13: the peer service of another node; asked when peers are missing, or older than configured."""
    town = Town(2)
    meter = town.add(200, METER)
    for number in (2001, 2002, 2003):
        town.add(number, IED, [(address_of(200), False)], remote=20)
    town.run(6)
    assert all(len(node.view()) >= 2 for node in town)
    town.log = []
    town.run(60)
    assert all(200 in node.view() for node in town if node is not meter)
    for number in (2001, 2002, 2003):
        source = address_of(number)
        asked = [d for a, to, d in town.log if a == source and d[1] & 15 == 6 and to == meter.address]
        assert len(asked) <= 6, number  # of 60 periods
        told = [d for a, to, d in town.log if a == source and d[1] & 15 in (6, 7) and len(d) > 38 + 8 * d[29]]
        answered = [d for a, to, d in town.log if a == source and d[1] & 15 == 7]
        assert answered, "who asks it is answered"
        assert not told, "its own view is not told"
    meter.down = True
    town.run(60)
    town.log = []
    town.run(10)
    assert any(to == meter.address for _, to, _ in town.log), "missing: it goes on asking"


def test_only_the_roles_that_are_wanted():
    town = tiers(loss=0)
    asker = town.nodes[address_of(301)]
    asker.discovery.roles = SSC
    town.run(10)
    town.log = []
    town.run(20)
    for source, to, datagram in town.log:
        if to == asker.address and datagram[1] & 15 == 7 and address_of(1) != source:
            digests = datagram[25 + 4]
            roles = {datagram[at + 12] & 15 for at in range(30 + 8 * digests, len(datagram) - 8, 16)}
            assert roles <= {SSC}


def test_a_peer_that_udp_does_not_reach():
    """The seed of the configuration says so; the answers come over its connection, and the entry keeps that."""
    town = Town(4)
    hidden = address_of(50)
    town.no_udp.add(hidden)
    town.add(50)
    for number in range(16, 22):
        town.add(number, seeds=[(hidden, True)] if number < 18 else SEEDS)
    town.log = []
    town.run(30)
    for number in (16, 17):
        peers = town.nodes[address_of(number)].peers
        i = peers.index(50)
        assert peers.in_view(i) and peers.tcp(i)
    assert all(datagram[2] & 0x20 for _, to, datagram in town.log if to == hidden)
    for number in range(18, 22):  # an entry that only a connection reaches is not told to others
        assert town.nodes[address_of(number)].peers.index(50) < 0


@pytest.mark.parametrize("loss", [0.0, 0.25])
def test_reasons_add_up(loss):
    town = tiers(loss=loss)
    town.run(30)
    assert town.accounted()
    names = REASONS.split()
    found = {names[r] for node in town for r, n in enumerate(node.end.counters) if n}
    assert found <= {"ok", "own", "stale", "rate"}
