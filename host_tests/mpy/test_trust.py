"""Which signed messages are believed: replays, gaps, key after key, thieves, a failing shelf, the clock."""

import gc
from struct import pack

from lms_signer import Key

from gossip import wire
from gossip.seal import Seal
from gossip.trust import Trust

OK, OLD, WINDOW, SIGNATURE, REUSE = wire.OK, wire.OLD, wire.WINDOW, wire.SIGNATURE, wire.REUSE
KEY, COMMAND, REVOKE = wire.KEY, wire.COMMAND, wire.REVOKE
NODE_KEY = bytes(range(32))

recovery = Key(0, secret=b"in the safe")
first, second, third = Key(1), Key(2), Key(3)


class Shelf:
    """What was put outlives the node; fails while `broken`."""

    def __init__(self):
        self.files, self.broken, self.puts = {}, False, 0

    def get(self, name):
        return self.files.get(name)

    def put(self, name, data):
        if self.broken:
            raise OSError(5)
        self.files[name] = bytes(data)
        self.puts += 1


class Node:
    """A Trust at `now`, that can start again."""

    def __init__(self, key=first, now=2000):
        self.shelf, self.key, self.now, self.alarms = Shelf(), key, now, []
        self.start()

    def start(self):
        self.trust = Trust(
            self.key.public, recovery.public, Seal(NODE_KEY), self.shelf, lambda: self.now, self._alarm
        )

    def _alarm(self, *what):
        self.alarms.append(what)

    def hear(self, payload, seq, origin=1, reach=7, lifetime_s=60):
        reason = self.trust.begin(memoryview(payload), reach, origin, seq, lifetime_s)
        if reason:
            return reason
        while self.trust.step(200) is None:
            pass
        before = self.shelf.puts
        reason = self.trust.accept()
        assert (self.shelf.puts == before + 2) == (reason == OK)  # on the shelf before it is OK, else never
        assert self.trust.accept() == SIGNATURE  # once
        return reason


def replays_and_gaps():
    node = Node()
    said = [(first.message(q, seq), seq) for q, seq in ((0, 10), (1, 11), (2, 12), (3, 44))]
    assert node.hear(*said[1]) == OK
    assert node.hear(*said[0]) == OK  # overtaken
    assert node.hear(*said[3]) == OK
    assert node.hear(*said[2]) == OLD  # 32 behind: whether it came is not known any more
    for now in (2000, 0):
        node.now = now
        node.start()
        assert [node.hear(*one) for one in said] == [OLD] * 4
        assert node.trust.check(said[0][0], 7, 1, 10, 60) == OLD  # no signature was looked at
    assert node.trust.floor == 1000 and node.trust.reuses == 0


def damage():
    node = Node()
    payload = first.message(0, 5)
    for other in ({"origin": 2}, {"reach": 3}, {"lifetime_s": 61}):
        assert node.hear(payload, 5, **other) == SIGNATURE
    assert node.hear(payload, 6) == SIGNATURE
    for at in list(range(1, 24)) + [60, 500, len(payload) - 1]:
        bad = bytearray(payload)
        bad[at] ^= 1
        assert node.hear(bad, 5) in (SIGNATURE, wire.LENGTH, WINDOW, wire.TYPE), at
    for n in range(0, len(payload), 60):
        assert node.hear(payload[:n], 5) in (wire.LENGTH, SIGNATURE)
    assert node.hear(payload, 5, origin=16) == wire.ORIGIN and node.hear(payload, 5, origin=0) == wire.ORIGIN
    assert node.hear(bytes([5]) + payload[1:], 5) == wire.TYPE
    assert not node.shelf.puts and not node.trust.floor
    assert node.hear(payload, 5) == OK


def storage():
    node = Node()
    payload = first.message(0, 5)
    node.shelf.broken = True
    assert node.hear(payload, 5) == wire.STORAGE
    assert node.hear(payload, 5) == wire.STORAGE and node.trust.floor == 0
    node.shelf.broken = False
    assert node.hear(payload, 5) == OK and node.hear(payload, 5) == OLD


def one_leaf_twice():
    node = Node()
    assert node.hear(first.message(0, 5, body=b"a"), 5) == OK
    assert node.hear(first.message(1, 6, body=b"a"), 6) == OK
    assert node.hear(first.message(0, 7, body=b"b"), 7) == REUSE  # two copies of a key, with numbers of their own
    assert node.hear(first.message(1, 6, body=b"b"), 6) == REUSE  # or with the same
    assert node.hear(first.message(0, 5, body=b"a"), 5) == OLD  # that is but a replay
    for body in (b"b", b"c"):  # it is known: that costs no verification any more
        assert node.trust.check(first.message(0, 8, body=body), 7, 1, 8, 60) == OLD
    assert node.alarms == [(1, 1, 0), (1, 1, 1)] and node.trust.reuses == 2
    assert node.hear(first.message(2, 7), 7) == OK
    forged = bytearray(first.message(2, 8, body=b"c"))
    forged[700] ^= 1
    assert node.hear(forged, 8) == SIGNATURE and node.trust.reuses == 2  # nobody can cry wolf
    node.start()
    assert node.hear(first.message(0, 9), 9) == REUSE
    assert node.hear(first.message(3, 9), 9) == OK
    assert node.hear(recovery.message(0, 1, REVOKE, b"\x00"), 1) == OK
    assert node.hear(recovery.message(0, 1, REVOKE, b"\x01"), 1) == REUSE


def time():
    node = Node(now=2000)
    assert node.hear(first.message(0, 1, since=100, until=2000), 1) == WINDOW
    assert node.hear(first.message(0, 1, since=3000, until=3000), 1) == WINDOW
    assert node.hear(first.message(0, 1, since=2000 + 33 * 86400, until=5000000), 1) == WINDOW
    assert node.hear(first.message(1, 2, since=90000, until=99000), 2) == OK  # tomorrow's
    assert node.trust.floor == 2000  # but it is not tomorrow
    node.now = 1999  # somebody sets its clock back
    assert node.hear(first.message(2, 3, since=100, until=2000), 3) == WINDOW  # that has ended before `floor`
    node.now = 0
    node.start()
    assert node.hear(first.message(2, 3, since=100, until=2000), 3) == WINDOW
    assert node.hear(first.message(2, 3, since=100, until=2001), 3) == OK and node.trust.floor == 2000
    assert node.hear(first.message(3, 4, since=1800000000, until=1900000000), 4) == OK
    node.start()
    assert node.trust.floor == 1800000000


def keys():
    node = Node()
    assert node.hear(second.message(0, 5), 5) == SIGNATURE
    assert node.hear(first.message(0, 1, KEY, third.public), 1) == wire.FIELD  # not the next epoch
    assert node.hear(first.message(0, 1, KEY, second.public[:-1]), 1) == wire.FIELD
    assert node.hear(first.message(0, 1, KEY, second.public), 1) == OK
    assert node.hear(second.message(0, 5), 5) == OK
    assert node.hear(first.message(1, 2), 2) == OK  # two are live
    assert node.hear(first.message(2, 3, KEY, second.public), 3) == OK  # said again for who missed it
    assert node.hear(first.message(3, 4, KEY, Key(2, secret=b"thief").public), 4) == wire.FIELD
    node.start()
    assert node.hear(second.message(1, 6), 6) == OK and node.hear(first.message(1, 2), 2) == OLD
    assert node.hear(second.message(2, 7, KEY, third.public), 7) == OK
    assert node.hear(first.message(3, 8), 8) == SIGNATURE  # its time is over
    assert node.hear(second.message(3, 8), 8) == OK and node.hear(third.message(0, 9), 9) == OK
    node.start()
    assert node.hear(second.message(0, 10), 10) == REUSE and node.hear(third.message(0, 10), 10) == REUSE
    node.key = third  # provisioned again, with the key that it knows: nothing is forgotten
    node.start()
    assert node.hear(second.message(3, 8), 8) == OLD and node.hear(third.message(0, 10), 10) == REUSE
    node.key = Key(7)
    node.start()
    assert node.hear(third.message(1, 11), 11) == SIGNATURE and node.hear(node.key.message(0, 11), 11) == OK


def a_thief():
    """Who has stolen the tariff key brings his own and uses up the numbers; the recovery key ends it."""
    node = Node(now=0)
    assert node.hear(first.message(0, 1), 1) == OK
    mine = Key(2, secret=b"thief")
    assert node.hear(first.message(1, 2, KEY, mine.public), 2) == OK
    assert node.hear(mine.message(0, wire.NUMBER_MOST, since=4000000000, until=4100000000), wire.NUMBER_MOST) == OK
    assert node.hear(mine.message(1, 3, REVOKE, b"\xff"), 3) == SIGNATURE
    assert node.hear(recovery.message(0, 4), 4) == SIGNATURE  # the recovery key is for keys alone
    end = recovery.message(0, 4, REVOKE, b"\x03")
    assert node.hear(end, 4) == OK and node.hear(end, 4) == OLD
    assert node.hear(mine.message(2, 5), 5, origin=2) == SIGNATURE == node.hear(first.message(2, 5), 5)
    node.start()
    assert node.hear(mine.message(2, 5), 5) == SIGNATURE
    assert node.hear(recovery.message(1, 5, KEY, second.public), 5) == wire.FIELD  # revoked
    start = recovery.message(2, 6, KEY, third.public)
    assert node.hear(start, 6) == OK and node.trust.floor == 1000
    assert node.hear(third.message(0, 1, origin=2), 1, origin=2) == OK
    node.start()
    assert node.hear(end, 4) == OLD == node.hear(start, 6)
    assert node.hear(third.message(1, 2, COMMAND, origin=2), 2, origin=2) == OK


def a_thief_burns_all_numbers():
    """The last sequence number of every origin, and the time; what the recovery key or the configuration brings
    begins anew, and nothing of before is believed again."""
    key, last = Key(1, real=18), wire.NUMBER_MOST
    for again in (False, True):
        node = Node(key, now=0)
        old = [(key.message(o, last, since=4000000000, until=4100000000, origin=o), last, o) for o in range(1, 16)]
        old.append((key.message(16, 5, body=b"of the utility"), 5, 1))
        assert node.hear(*old[-1]) == OK
        assert [node.hear(*one) for one in old[:-1]] == [OK] * 15
        assert node.hear(key.message(17, 6), 6) == OLD and node.trust.floor == 4000000000
        before = node.trust.signed_by(1)
        if again:
            node.key = third
            node.start()
        else:
            assert node.hear(recovery.message(0, last, KEY, third.public), last) == OK
        for _ in range(2):
            assert node.trust.floor == 1000 * (not again) and node.trust.ended(before)
            assert [node.hear(*one) for one in old] == [SIGNATURE] * 16
            assert not node.trust.ended(node.trust.signed_by(3))
            node.start()
        for origin in (1, 2, 3):
            assert node.hear(third.message(origin, 1, origin=origin), 1, origin) == OK
        node.start()
        for origin in (1, 2, 3):
            assert node.hear(third.message(origin, 1, origin=origin), 1, origin) == OLD
        assert not node.trust.reuses


def recoveries():
    """Of two keys that the recovery key brings the one of the later leaf stays, whatever comes first: the earlier
    one was stolen, too. Epochs begin anew, if they must."""
    thirds, next_one, least = Key(3), Key(255), Key(1, secret=b"another")
    node = Node()
    assert node.hear(recovery.message(1, 2, KEY, next_one.public), 2) == OK
    for _ in range(2):
        assert node.hear(recovery.message(0, 1, KEY, thirds.public), 1) == OLD
        assert node.hear(thirds.message(0, 3), 3) == SIGNATURE
        node.start()
    assert node.hear(next_one.message(0, 3, KEY, least.public), 3) == wire.FIELD  # nothing follows 255
    assert node.hear(recovery.message(2, 4, KEY, least.public), 4) == OK
    assert node.hear(first.message(0, 5), 5) == SIGNATURE  # of the same epoch
    assert node.hear(least.message(0, 1), 1) == OK
    by = [node.trust.signed_by(epoch) for epoch in (1, 2)]
    assert node.hear(recovery.message(3, 5, REVOKE, b"\2"), 5) == OK
    node.start()
    assert [node.trust.ended(one) for one in by] == [True, False]


def two_origins_under_one_key():
    """What one of them said is long overtaken by the other's leaves: no alarm, and no verification."""
    key = Key(1, h=10, real=60)
    node = Node(key)
    late = key.message(17, 1, COMMAND, origin=2)
    assert node.hear(key.message(50, 51), 51) == OK
    assert node.hear(late, 1, origin=2) == OLD and not node.alarms
    assert node.hear(key.message(19, 2, COMMAND, origin=2), 2, origin=2) == OK


def no_memory():
    node = Node()

    def full(*_):
        raise MemoryError

    payload = first.message(0, 5)
    node.trust.keep = full
    assert node.hear(payload, 5) == wire.STORAGE
    node.trust.keep, put = None, node.shelf.put
    node.shelf.put = full
    assert node.hear(payload, 5) == wire.STORAGE
    order = pack(">BIII", 8, 77, 1000, 5000) + b"off"
    order += Seal(NODE_KEY).mac(b"gridmote2", pack(">II", 1, 5), order)[:16]
    assert node.trust.order(order, 1, 5) == wire.STORAGE
    node.shelf.put = put
    assert node.hear(payload, 5) == OK == node.trust.order(order, 1, 5)


def orders():
    node = Node()

    def order(seq, key=NODE_KEY, origin=1, since=1000, until=5000, body=b"off"):
        payload = pack(">BIII", 8, 77, since, until) + body
        return payload + Seal(key).mac(b"gridmote2", pack(">II", origin, seq), payload)[:16]

    said = order(5)
    assert node.trust.order(said, 1, 6) == SIGNATURE == node.trust.order(order(6, bytes(32)), 1, 6)
    for at in range(1, len(said)):
        bad = bytearray(said)
        bad[at] ^= 128
        assert node.trust.order(bad, 1, 5) in (SIGNATURE, WINDOW), at
    assert [node.trust.order(said[:n], 1, 5) for n in (0, 28)] == [wire.LENGTH] * 2
    assert node.trust.order(said, 0, 5) == wire.ORIGIN == node.trust.order(said, 16, 5)
    assert node.trust.order(order(5, until=2000), 1, 5) == WINDOW
    node.shelf.broken = True
    assert node.trust.order(said, 1, 5) == wire.STORAGE
    node.shelf.broken = False
    assert not node.shelf.puts
    assert node.trust.order(memoryview(said), 1, 5) == OK
    assert node.trust.order(said, 1, 5) == OLD
    node.now = 0
    node.start()
    assert node.trust.order(said, 1, 5) == OLD and node.trust.order(order(4), 1, 4) == OK
    assert node.trust.order(order(5, origin=15), 15, 5) == OK
    assert node.hear(first.message(0, 5), 5) == OK  # its numbers are counted apart


def no_keys():
    shelf = Shelf()
    trust = Trust(b"", b"", None, shelf, lambda: 0)
    assert trust.begin(memoryview(first.message(0, 1)), 7, 1, 1, 60) == SIGNATURE
    assert trust.begin(memoryview(recovery.message(0, 1, KEY, first.public)), 7, 1, 1, 60) == SIGNATURE
    assert trust.order(bytes(40), 1, 1) == wire.ORIGIN
    assert trust.accept() == SIGNATURE


def little_memory():
    node = Node()
    payloads = [first.message(q, q + 1) for q in range(4)]
    node.hear(payloads[0], 1)
    gc.collect()
    before = gc.mem_alloc()
    for q in (1, 2, 3):
        node.hear(payloads[q], q + 1)
    gc.collect()
    assert gc.mem_alloc() - before < 300


for test in (replays_and_gaps, damage, storage, one_leaf_twice, time, keys, a_thief, orders, no_keys,
             a_thief_burns_all_numbers, recoveries, two_origins_under_one_key, no_memory):
    test()
if hasattr(gc, "mem_alloc"):
    little_memory()
