"""What is signed takes effect and is given to others, whenever the power goes; and what was taken back does not."""

import gc
from binascii import hexlify
from struct import unpack_from

from board_contract import lean
from lms_signer import Key

from firmware.gossip import Gossip
from firmware.log import Log
from firmware.shelf import Shelf
from gossip import wire
from gossip.seal import Seal
from gossip.stack import Stack
from tariff.encode import encode_into
from tariff.table import Table

NOW, LATER = 1761436800, 0xFFFFFFFF
recovery, first, second = Key(0, secret=b"in the safe", real=6), Key(1, real=24), Key(2, real=6)


class Cut(Exception):
    pass


class Clock:
    known = True

    def soc(self):
        return NOW


class Network:
    joined = True

    def datagrams(self, port, group):
        return self

    def join(self):
        return False

    def send(self, address, buf, n):
        return True


class Power(Shelf):
    """In RAM; the power goes instead of write `cut`; a write of `full` fails with `why`."""

    cut, full, why = -1, "", OSError(28)

    def put(self, name, data):
        if not self.cut:
            raise Cut(name)
        self.cut -= 1
        if name == self.full:
            raise self.why
        super().put(name, data)


class House:
    """A node that starts again and again on one shelf; `told`: its EVENTs, and what it was commanded; `given`: what
    it took from its shelf to give it to others."""

    def __init__(self, key=first):
        self.shelf, self.boot, self.told, self.key = Power(None), 0, [], key

    def start(self):
        self.boot += 1
        keys = {"tariff_key": hexlify(self.key.public).decode(), "recovery_key": hexlify(recovery.public).decode()}
        config = lean(gossip=dict(segment_key="11" * 32, number=100, **keys))
        log = Log(lambda line: None, "error")
        gc.collect()
        self.made = made = Gossip(config, Network(), self.shelf, self.boot, Clock(), log, self.tell)
        made.on_command = lambda *what: self.told.append(("did", what))
        self.verify()
        self.given = [(item.buf[0], item.seq) for item in made.stack.relay.store.items if item.state == 2]
        return self

    def tell(self, what, **fields):
        self.told.append((what, fields))

    def verify(self):
        while self.made.stack.verify(1 << 20, 1000):
            pass

    def hear(self, payload, seq, origin=1):
        """What became of a message that a neighbour sends."""
        sent = []
        other = Stack(200, wire.METER, 3, Seal(b"\x11" * 32), None, lambda *one: sent.append(one), lambda n: 0, 0)
        i = other.peers.learn(100, b"\x0a\0\0\1\1\1", self.boot, wire.METER)
        other.end.out[wire.HEAD : wire.HEAD + len(payload)] = payload
        other.end.post(i, wire.DATA, 7, 8, 3, origin, seq, 60, len(payload))
        counters = self.made.stack.end.counters
        before = list(counters)
        reason = self.made._received(bytearray(sent[0][1]), sent[0][2], b"\x0a\0\0\2\1\1", 1000)
        self.verify()
        assert sum(counters) == sum(before) + 1
        return [k for k in range(len(before)) if counters[k] > before[k]][0] if reason == wire.CHECKING else reason

    def names(self):
        return [told[0] for told in self.told]

    def epochs(self):
        return [key[8] for key in self.made.trust._keys if key]


def tariff(key, leaf, seq, origin=1, priority=128, limit=None, number=0):
    table = Table(number or seq, NOW, 900, [seq] * 8, "EUR", priority, limit=limit)
    buf = bytearray(283)
    body = bytes(buf[: encode_into(buf, 0, table)])
    return key.message(leaf, seq, wire.TARIFF, body, NOW - 10, LATER if limit else NOW + 9999, origin)


def of_recovery(leaf, seq, kind, body, origin=2):
    return recovery.message(leaf, seq, kind, body, NOW - 10, NOW + 9999, origin)


def cases():
    """(message, sequence, origin, whether it took effect in a House)."""
    yield of_recovery(0, 5, wire.REVOKE, b"\2"), 5, 2, lambda house: not house.epochs()
    yield of_recovery(0, 5, wire.KEY, second.public), 5, 2, lambda house: house.epochs() == [2]
    yield tariff(first, 0, 5), 5, 1, lambda house: house.made.book.current(NOW)[1] == 5
    off = first.message(0, 5, wire.COMMAND, b"off", NOW - 10, NOW + 9999)
    yield off, 5, 1, lambda house: house.names().count("did") == 1


def test_the_power_goes_between_any_two_writes():
    for payload, seq, origin, happened in cases():
        kind, writes = payload[0], 4 if payload[0] == wire.TARIFF else 3
        for cut in range(writes + 1):
            house = House().start()
            assert not happened(house)
            house.shelf.cut = cut
            try:
                assert house.hear(payload, seq, origin) == wire.OK and cut == writes
            except Cut as e:
                assert cut < writes, e
            house.shelf.cut = -1
            house.start()
            kept = cut >= writes - 2  # what stands on the shelf needs no neighbour
            obeyed_once_at_most = kind == wire.COMMAND and cut == 2
            assert happened(house) == (not obeyed_once_at_most and cut >= 1), (kind, cut)
            assert ((kind, seq) in house.given) == kept, (kind, cut)
            assert house.hear(payload, seq, origin) == (wire.DUPLICATE if kept else wire.OK), (kind, cut)
            for _ in range(2):
                assert happened(house) != obeyed_once_at_most, (kind, cut)
                house.start()
                assert (kind, seq) in house.given and house.hear(payload, seq, origin) == wire.DUPLICATE
            assert house.names().count("did") <= 1


def test_the_power_goes_while_one_table_takes_the_place_of_another():
    for cut in range(5):
        house = House().start()
        for k in range(4):
            assert house.hear(tariff(first, k, 20 + k), 20 + k) == wire.OK
        house.shelf.cut = cut
        try:
            assert house.hear(tariff(first, 4, 40, priority=0), 40) == wire.OK and cut == 4
        except Cut:
            house.shelf.cut = -1
        numbers = house.start().made.book.numbers()
        given = [seq for kind, seq in house.given]
        assert len(numbers) == 4 and (40 in numbers) == (cut > 0) and set(given) <= set(numbers), (cut, given)


def test_no_room_for_what_came():
    for why in (OSError(28), MemoryError()):
        for name in ("trust", "trust2", "tariff0", "signed0", "signed4", "signed5", "signed6"):
            for payload, seq, origin, happened in cases():
                house = House().start()
                house.shelf.full, house.shelf.why = name, why
                said = house.hear(payload, seq, origin)
                house.shelf.full = ""
                if said == wire.OK:  # at most there is no copy for others
                    assert name[:6] == "signed" or name == "tariff0" and payload[0] != wire.TARIFF
                else:
                    assert said == wire.STORAGE
                    assert house.hear(payload, seq, origin) == wire.OK, (name, payload[0])
                assert happened(house), (name, payload[0])
                if payload[0] != wire.COMMAND:
                    house.start()
                    assert happened(house), (name, payload[0])


def test_each_has_its_place():
    """Four tables, a key, a command and a revocation, whatever came last, and however they are numbered."""
    house = House().start()
    said = [(wire.COMMAND, first.message(4, 30, wire.COMMAND, b"off", NOW - 10, NOW + 9999), 30, 1)]
    said += [(wire.TARIFF, tariff(first, leaf, 20 + 2 * leaf), 20 + 2 * leaf, 1) for leaf in range(4)]
    said += [(wire.KEY, first.message(5, 31, wire.KEY, second.public, NOW - 10, NOW + 9999), 31, 1)]
    said += [(wire.REVOKE, of_recovery(0, 4, wire.REVOKE, b"\1"), 4, 2)]
    for turn in (said, said[::-1]):
        house = House().start()
        for _, payload, seq, origin in turn:
            assert house.hear(payload, seq, origin) == wire.OK
        there = [unpack_from(">IB", house.shelf.get("signed%d" % place), 7) for place in range(7)]
        assert sorted(there) == sorted([(seq, kind) for kind, _, seq, _ in said])
        assert house.hear(tariff(first, 6, 40, priority=0), 40) == wire.OK  # one of the four goes
        numbers = house.start().made.book.numbers()
        there = [unpack_from(">IB", house.shelf.get("signed%d" % place), 7) for place in range(4)]
        assert sorted(there) == sorted([(number, wire.TARIFF) for number in numbers]) and 40 in numbers
        kept = [(wire.TARIFF, number) for number in numbers]
        assert sorted(house.given) == sorted(kept + [(wire.KEY, 31), (wire.COMMAND, 30), (wire.REVOKE, 4)])


def test_what_is_not_in_the_book_is_not_kept():
    house = House().start()
    assert house.hear(tariff(first, 0, 5), 5) == wire.OK
    assert house.hear(tariff(first, 1, 6, number=5), 6) == wire.OK  # of another number, as its prices show
    assert house.told[-1] == ("tariff-refused", {"origin": 1, "message": 6, "number": 5, "why": "number"})
    assert house.names() == ["tariff", "tariff-refused"]
    assert house.start().given == [(wire.TARIFF, 5)]
    assert house.hear(tariff(first, 1, 6, number=5), 6) in (wire.OLD, wire.DUPLICATE)


def test_a_thief():
    """Who has stolen the key puts tables into the book that hold for ever, and uses up the numbers of all origins;
    the recovery key takes it all back, in the same boot, whenever the power goes."""
    most = wire.NUMBER_MOST
    theft = [(tariff(first, k, most - k, 1, 0, (0, NOW, LATER)), most - k, 1) for k in range(4)]
    theft += [(tariff(first, 3 + o, most, o, 1), most, o) for o in range(2, 16)]
    revoke = of_recovery(0, 5, wire.REVOKE, b"\2", 15), 5, 15
    key = of_recovery(1, 6, wire.KEY, second.public, 15), 6, 15
    anew = tariff(second, 0, 1, 15), 1, 15
    for by_revoke in (True, False):
        back = revoke if by_revoke else key
        for cut in (-1, 0, 1, 2):
            house = House().start()
            assert [house.hear(*one) for one in theft] == [wire.OK] * 18
            assert house.made.book.current(NOW)[3] == 0 and len(house.made.book.numbers()) == 4
            house.told.clear()
            house.shelf.cut = cut
            try:
                assert house.hear(*back) == wire.OK
                assert house.told == [("revoked" if by_revoke else "tariff-key", {"epoch": 1 if by_revoke else 2})]
            except Cut:
                house.shelf.cut = -1
                assert house.start().hear(*back) in (wire.OK, wire.DUPLICATE, wire.OLD)
            for again in (False, True):
                assert not house.made.book.numbers() and house.made.book.current(NOW)[3] is None
                held = [item for item in house.made.stack.relay.store.items if item.state == 2]
                assert [(item.buf[0], item.seq) for item in held] == [(back[0][0], back[1])]
                assert {house.hear(*one) for one in theft} <= {wire.SIGNATURE, wire.OLD, wire.DUPLICATE}
                if cut < 0:
                    break  # all of it in one boot
                if not again:
                    house.start()
            if by_revoke:
                assert house.hear(*key) == wire.OK
            assert house.hear(*anew) == wire.OK and house.made.book.numbers() == [1]
            assert house.hear(*key) == wire.DUPLICATE == house.hear(*anew)
            assert house.start().made.book.current(NOW)[1] == 1 and (wire.TARIFF, 1) in house.given
            assert {house.hear(*one) for one in theft} == {wire.SIGNATURE}


def test_the_recovery_key_counts_by_its_leaves():
    """Its sequence numbers say nothing of those of an origin, in the same boot and after a start."""
    for kind, body, key in ((wire.REVOKE, b"\1", first), (wire.KEY, second.public, second)):
        for again in (False, True):
            house = House().start()
            assert house.hear(tariff(first, 0, 20), 20) == wire.OK
            assert house.hear(of_recovery(0, 1000, kind, body, 1), 1000) == wire.OK
            if again:
                house.start()
            assert house.hear(tariff(key, 1, 21), 21) == wire.OK and 21 in house.made.book.numbers()
            assert house.hear(of_recovery(0, 1000, kind, body, 1), 1000) == wire.DUPLICATE


def test_what_is_to_be_taken_back_is_when_there_is_memory():
    most = wire.NUMBER_MOST
    house = House().start()
    assert house.hear(tariff(first, 0, most, 3, 0, (0, NOW, LATER)), most, 3) == wire.OK
    book = house.made.book

    def no_memory():
        raise MemoryError()

    drop, book.drop = book.drop, no_memory
    assert house.hear(of_recovery(0, 6, wire.KEY, second.public), 6, 2) == wire.OK and book.numbers()
    house.made._look()
    assert book.numbers()
    book.drop = drop
    house.made._look()
    held = [(item.buf[0], item.seq) for item in house.made.stack.relay.store.items if item.state == 2]
    assert not book.numbers() and held == [(wire.KEY, 6)]
    assert house.hear(tariff(second, 0, 1, 3), 1, 3) == wire.OK


def test_no_command_twice_when_nobody_knows_what_came():
    house = House().start()
    assert house.hear(first.message(0, 5, wire.COMMAND, b"off", NOW - 10, NOW + 9999), 5) == wire.OK
    for name in ("trust", "trust2"):
        house.shelf._ram[name] = False  # damaged
    house.start()
    assert house.names() == ["command", "did", "trust-lost"] and house.given == []


def test_another_recovery_key_in_the_configuration():
    """Its leaves begin anew, and so does what it signs."""
    global recovery
    house = House().start()
    assert house.hear(of_recovery(3, 5, wire.KEY, second.public), 5, 2) == wire.OK and house.epochs() == [2]
    recovery, before = Key(0, secret=b"in another safe", real=6), recovery
    try:
        house.start()
        assert house.hear(of_recovery(0, 6, wire.KEY, first.public), 6, 2) == wire.OK and house.epochs() == [1]
    finally:
        recovery = before


def test_another_key_in_the_configuration():
    most = wire.NUMBER_MOST
    house = House().start()
    assert house.hear(tariff(first, 0, most, 1, 0, (0, NOW, LATER)), most) == wire.OK
    house.key = second
    for _ in range(2):
        assert not house.start().made.book.numbers() and house.given == []
        assert house.hear(tariff(first, 0, most, 1, 0, (0, NOW, LATER)), most) == wire.SIGNATURE
    assert house.hear(tariff(second, 0, 1), 1) == wire.OK
    assert house.start().made.book.numbers() == [1]


def test_a_rotation_takes_nothing_back():
    house = House().start()
    assert house.hear(tariff(first, 0, 1), 1) == wire.OK
    assert house.hear(first.message(1, 2, wire.KEY, second.public, NOW - 10, NOW + 9999), 2) == wire.OK
    assert house.start().made.book.numbers() == [1]
    same = tariff(first, 0, 1)
    again = second.message(0, 3, wire.TARIFF, same[12 : 12 + (same[10] << 8 | same[11])], NOW - 10, NOW + 9999)
    assert house.hear(again, 3) == wire.OK and house.hear(tariff(first, 2, 4), 4) == wire.OK
    assert house.hear(of_recovery(0, 5, wire.REVOKE, b"\2"), 5, 2) == wire.OK
    assert house.made.book.numbers() == [1] == house.start().made.book.numbers()  # the new key signed it, too
    assert sorted(house.given) == [(wire.TARIFF, 3), (wire.REVOKE, 5)]


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        test()
        gc.collect()
