"""An insider with the segment's key against others' peers: rubbish entries, made-up nodes, floods, replays."""

import random
import struct

import pytest

from gossip import wire
from gossip.seal import Seal
from host_tests.gossip_town import KEY, PERIOD_MS, STEP_MS, Town, address_of

SEEDS = [(address_of(16), False), (address_of(17), False)]
EVIL = address_of(666)
HOME = range(16, 40)


@pytest.fixture
def town():
    """24 nodes that know each other."""
    made = Town(7)
    for number in HOME:
        made.add(number, seeds=SEEDS)
    made.run(20)
    return made


class Insider:
    """Says anything, well sealed, in any name; keeps what it is told."""

    def __init__(self, town):
        self.town, self.dice = town, random.Random(5)

    def datagram(self, address, to, kind, payload, sender=666, seq=1, flags=7, role=wire.METER, boot=1):
        """For whoever is at that address, in boot `to`."""
        buf = bytearray(wire.MOST)
        number = self.town.nodes[address].number if to else 0
        wire.put_head(buf, kind, role, flags, 255, 255, 5, seq, sender, boot, to, 600, len(payload))
        buf[wire.HEAD : wire.HEAD + len(payload)] = payload
        return bytes(buf[: Seal(KEY).close(buf, wire.HEAD + len(payload), number.to_bytes(4, "big"))])

    def entries(self, count=16):
        """Well-formed entries of nobody."""
        return b"".join(
            struct.pack(
                ">I4BHHBBH",
                self.dice.randrange(1000, 1 << 30),
                *(10, 66, self.dice.randrange(256), self.dice.randrange(256)),
                7113,
                self.dice.randrange(1, 65536),
                wire.METER,
                0,
                0,
            )
            for _ in range(count)
        )

    def probe(self, flags=1, entries=16):
        return bytes([flags, 3, 15, 7, 0]) + self.entries(entries)


def everybody_is_reached(town, share=0.95):
    """Of 40 messages, how many nodes got each, on average."""
    numbers = [node.number for node in town if not node.down]
    got = [len(town.push(random.Random(k).choice(numbers), 4, 12) & set(numbers)) for k in range(40)]
    assert sum(got) >= share * 40 * len(numbers), got


def test_rubbish_entries_push_nobody_out(town):
    """A member of all views advertises 20 times a second, as PROBE and as MATCH, for 12 periods."""
    evil = Insider(town)
    for address in list(town.nodes):
        town.deliver(address, evil.datagram(address, 1, wire.PROBE, evil.probe()), EVIL)
    for _ in range(12 * PERIOD_MS // STEP_MS):
        for address in list(town.nodes):
            for kind in (wire.PROBE, wire.MATCH) * 5:
                town.deliver(address, evil.datagram(address, 1, kind, evil.probe()), EVIL)
        town.run(STEP_MS / PERIOD_MS)
    for node in town:
        assert len(node.view() - set(HOME) - {666}) == 0, "nobody is in a view who never answered"
        assert len(node.view() & set(HOME)) >= 10  # of 23; without an attack 12 to 16
        assert node.peers.count <= 28
    everybody_is_reached(town)
    assert town.accounted()


def test_made_up_nodes_that_answer_are_but_guests(town):
    """A hundred numbers a second from addresses of its own: into a full view comes one a period at most, and each
    view keeps its long links and most of its neighbours."""
    evil, victim = Insider(town), town.nodes[address_of(20)]
    longs = {victim.peers.number_at(i) for i in victim.peers.some(15, 10, 14)}
    assert len(longs) >= 2
    room = victim.peers.size - len(victim.view())
    for k in range(1000):
        number = 10_000 + k
        probe = evil.datagram(victim.address, 1, wire.PROBE, evil.probe(5, 0), number)  # link, needy
        town.deliver(victim.address, probe, address_of(number))
        if k % 100 == 99:
            town.run(0.1)
    # a thousand came, and two periods began
    assert sum(number >= 10_000 for number in victim.view()) <= room + 2 and longs <= victim.view()
    assert victim.peers.count <= 28
    for k in range(8 * 100):
        number = 20_000 + k
        probe = evil.datagram(victim.address, 1, wire.PROBE, evil.probe(5, 0), number)
        town.deliver(victim.address, probe, address_of(number))
        if k % 100 == 99:
            town.run(1)
    assert len(victim.view() & set(HOME)) >= 6 and longs <= victim.view()
    everybody_is_reached(town)
    town.run(60)  # it stops, they do not answer: they go
    assert victim.view() <= set(HOME) and len(victim.view()) >= 14


def test_answers_are_no_amplifier(town):
    """Unverified PROBEs at 200 a second from a forged address: never more bytes than came, and no more than 16
    answers a second."""
    evil, victim = Insider(town), town.nodes[address_of(20)]
    target = bytes([192, 0, 2, 1, 0, 53])
    town.run(5)
    town.log, came = [], 0
    for k in range(2000):  # 10 s
        probe = evil.datagram(victim.address, 0, wire.PROBE, evil.probe(1, 0), 5000 + k)
        came += len(probe)
        town.deliver(victim.address, probe, target)
        if k % 100 == 99:
            town.run(0.05)
    out = [datagram for source, to, datagram in town.log if to == target]
    assert all(len(datagram) == 38 for datagram in out) and sum(map(len, out)) <= came
    assert 48 <= len(out) <= 48 + 16 * 10  # and the last 16 answers are not for strangers
    assert not any(victim.peers.index(5000 + k) >= 0 for k in range(2000))
    evil_reasons = victim.end.counters[wire.RATE]
    assert evil_reasons >= 2000 - len(out) and town.accounted()
    town.log = []
    town.run(3)
    assert any(d[1] & 15 == wire.MATCH and len(d) > 38 and s == victim.address for s, _, d in town.log)


def test_answers_to_stale_ones_are_as_few(town):
    evil, victim = Insider(town), town.nodes[address_of(20)]
    target = bytes([192, 0, 2, 1, 0, 53])
    town.log = []
    for k in range(2000):
        town.deliver(victim.address, evil.datagram(victim.address, 9, wire.DATA, b"\x0a.", 5000 + k), target)
        if k % 100 == 99:
            town.run(0.05)
    out = [datagram for source, to, datagram in town.log if to == target]
    assert all(len(datagram) == 38 for datagram in out) and len(out) <= 48 + 16 * 10


def test_a_flood_of_one_neighbour_is_cut_to_its_rate(town):
    evil, victim = Insider(town), town.nodes[address_of(20)]
    taken = []
    victim.end.on[wire.DATA] = lambda message, i, now: taken.append(message.sender)
    number = next(iter(victim.view()))
    good = next(number for number in victim.view() if number != min(victim.view()))
    number = min(victim.view())
    for k in range(10_000):  # 1,000 a second
        data = evil.datagram(victim.address, 1, wire.DATA, b"\x0a.", number, k + 1)
        town.deliver(victim.address, data, address_of(number))
        if k % 100 == 50:
            data = evil.datagram(victim.address, 1, wire.DATA, b"\x0a.", good, k + 1)
            assert town.deliver(victim.address, data, address_of(good)) == wire.OK, "others are not cut"
        if k % 500 == 499:
            town.run(STEP_MS / PERIOD_MS)
    assert taken.count(number) <= 60 + 20 * 10 and taken.count(good) == 100
    assert victim.end.counters[wire.RATE] >= 9000 and town.accounted()


def test_a_stolen_number_does_not_move_a_live_peer(town):
    """From another address, also with a boot ahead, also as another role: as long as the peer itself is heard."""
    evil = Insider(town)
    known = {node.number: node.view() for node in town}
    for _ in range(20):
        for node in town:
            for stolen in known[node.number]:
                boot = evil.dice.choice((1, 2, 30_000))
                data = evil.datagram(node.address, 1, wire.PROBE, evil.probe(1, 0), stolen, boot=boot)
                assert town.deliver(node.address, data, EVIL) != wire.OK
        town.run(0.5)
    for node in town:
        for i in node.peers.some():
            assert node.peers.address(i) == address_of(node.peers.number_at(i)) and node.peers.boot(i) == 1
    town.run(10)
    everybody_is_reached(town)


def test_what_was_sent_before_a_restart_is_void(town):
    """Everything that a node was ever sent, again, after its restart: it is answered by 38 bytes at most; nobody
    becomes a peer, nothing is taken from it."""
    victim = town.nodes[address_of(20)]
    town.log = []
    for node in town:
        node.discovery.digests = lambda: [(1, 77)]
    town.run(20)
    old = [(source, datagram) for source, to, datagram in town.log if to == victim.address]
    assert len(old) > 30
    again = town.add(20, boot=2)
    again.discovery.seeds = []
    town.log = []
    for source, datagram in old:
        reason = town.deliver(again.address, datagram, source)
        assert reason == wire.STALE or datagram[1] & 15 == wire.PROBE and datagram[19:21] == b"\0\0"
    assert not again.peers.count and not again.heard
    assert all(len(datagram) == 38 for source, _, datagram in town.log if source == again.address)
    assert len(town.log) <= 64
    town.log = None
    town.run(20)  # the answers have told the others its boot
    assert len(again.view()) >= 12 and town.accounted()


def test_old_answers_within_one_boot_do_no_harm(town):
    """Replays to a node that did not restart: views stay, addresses stay."""
    town.log = []
    town.run(10)
    old, town.log = town.log, None
    town.run(10)
    for source, to, datagram in old:
        if to in town.nodes:
            town.deliver(to, datagram, source)
    town.run(5)
    everybody_is_reached(town)
    for node in town:
        assert node.view() <= set(HOME) and len(node.view()) >= 10
    assert town.accounted()
