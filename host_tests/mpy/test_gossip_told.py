"""What a node's gossip makes of the wrong: answers that are no text, questions that are none, tables that are not
taken, datagrams without a byte, commands that are for others, too much to say."""

import asyncio
import gc
import json
import sys
from struct import pack

from board_contract import lean

from firmware.fit import fit
from firmware.gossip import Gossip
from firmware.lean import _appliances
from firmware.link import Link
from firmware.log import Log
from firmware.member import Member
from firmware.notes import Notes
from firmware.shelf import Shelf
from gossip.quantity import COUNT, ROLL, VERSIONS
from gossip.wire import COMMAND, ORDER, SHORT, TARIFF
from tariff.encode import encode_into
from tariff.table import Table

NOW = 1761436800
RUN = {"kind": "run", "name": "washer", "relay": 0, "watts": 2000, "minutes": 90}


class Clock:
    known, tq = True, 0

    def soc(self):
        return NOW


class Board:
    clock = Clock()

    def relay(i, on):
        pass


class Datagrams:
    joined, address = True, b""

    def __init__(self):
        self.came = []

    def join(self):
        return True

    def receive(self, buf):
        return len(self.came.pop(0)) if self.came else -1

    def send(self, address, buf, n):
        return True


class Network:
    station = None

    def datagrams(self, port, group):
        return Datagrams()


class Shelved(Shelf):
    """In RAM; full while `full`."""

    full = False

    def put(self, name, data):
        if self.full:
            raise OSError(28)
        super().put(name, data)


class House:
    """A Gossip, a Member that it commands, and what both told."""

    def __init__(self):
        self.shelf, self.told, self.asked = Shelved(None), [], []
        log = Log(lambda line: None, "error")
        self.notes = Notes(self.shelf, Clock(), 1, log, True)
        config = lean(gossip={"segment_key": "11" * 32, "number": 100, "rated_w": 1000})
        self.made = Gossip(config, Network(), self.shelf, 1, Clock(), log, self.tell)
        self.member = Member(None, "ied", 1, {}, self.notes, None, None, None, log)
        self.member.gossip, self.member.appliances = self.made, self
        self.made.on_command = self.member.ordered
        self.stopped = 0

    def tell(self, what, **fields):
        self.told.append((what, fields))
        self.notes.event(what, **fields)  # as long as it may be, and JSON

    def ask(self, command, to_all):
        self.asked.append((command, to_all))

    def stop(self):
        self.stopped += 1

    def keep(self, table, seq, until=NOW + 86400):
        body = bytearray(283)
        n = encode_into(body, 0, table)
        item = Item(pack(">BBIIH", TARIFF, 1, NOW, until, n) + body[:n], seq)
        kept = self.made.signed.keep(item.buf, 7, 1, seq, 60)
        if kept:
            self.made._delivered(item)
        return kept


class Item:
    """A message of origin 1 that came."""

    origin = 1

    def __init__(self, buf, seq):
        self.buf, self.size, self.seq = buf, len(buf), seq


class Query:
    function, arg, contributors, faults = VERSIONS, 0, 2, 0

    def __init__(self, *versions):
        self.value = 0, tuple([(version, 1) for version in versions])

    def missing(self):
        return 0


def test_answers_that_are_no_text():
    house = House()
    for raw, text in ((b"\xff\xfe\0\0\0\0\0\0", "??"), (b"a\0\x07\"\\\x7fz\0", 'a??"\\?z'), (bytes(8), "")):
        house.made.answered(Query(*[raw] * 6))
        assert house.told.pop()[1]["value"] == [0, [[text, 1]] * 6]
        assert json.loads(house.notes.waiting[-1])["value"][1][0][0] == text


def test_a_roll_is_told_in_hexadecimal():
    house, query = House(), Query()
    query.function, query.value = ROLL, (bytes([0x21, 0x80]) + bytes(61),)
    house.made.answered(query)
    assert house.told.pop()[1]["value"] == ["2180" + 61 * "00"]


def test_questions_that_are_none():
    house = House()
    wrong = [b'{"query"}', b'{"query":}', b'{"query",1}', b'{"query":[1,0],[]:1}', b'{"query":[1,0],{}:1}', b"{"]
    wrong += [b'{"query":[1,0],1:1}', b'{"query":[1,0],null:1}', b"[]", b"7", b"null", b"\xff", b'{"query":{}}']
    wrong += [b'{"query":[%d,0]}' % function for function in (-1, 0, ROLL + 1, 200, 255, 256, 65535, 1 << 40)]
    wrong += [b'{"query":[1,0],"every_s":5,"least":-1}', b'{"query":[12,0],"every_s":5}', b'{"query":[true,0]}']
    for command in wrong:
        assert house.made.inquire(command) is False, command
        assert house.told.pop()[0] == "query" and not house.told
        house.member.ask(command)
        house.told.clear()
    assert not house.made.repeats and "firmware.inquiry" not in sys.modules
    for function in (COUNT, ROLL):
        assert house.made.inquire(b'{"query":[%d,0]}' % function) and not house.told


def test_tables_that_are_not_taken():
    house = House()
    book = house.made.book
    replanned = []
    house.made.on_tariff = lambda: replanned.append(1)
    for seq in (1, 2):  # the second time it is the same once more
        assert house.keep(Table(5, NOW, 900, [777] * 8, "EUR"), seq)
        assert house.told.pop() == ("tariff", {"origin": 1, "message": seq, "number": 5})
        assert json.loads(house.notes.waiting[-1])["message"] == seq
    assert len(replanned) == 2
    for table, until in ((Table(5, NOW, 900, [-50], "EUR", 0), 9), (Table(5, NOW, 900, [777] * 8, "EUR"), 9)):
        assert house.keep(table, 3, NOW + until)
        assert house.told.pop() == ("tariff-refused", {"origin": 1, "message": 3, "number": 5, "why": "number"})
    assert house.made.signed.keep(pack(">BBIIH", TARIFF, 1, NOW, NOW + 9, 2) + b"ab", 7, 1, 4, 60)
    house.made._delivered(Item(pack(">BBIIH", TARIFF, 1, NOW, NOW + 9, 2) + b"ab", 4))
    assert house.told == [("tariff-refused", {"origin": 1, "message": 4, "number": 0, "why": "length"})]
    house.told.clear()
    assert book.current(NOW)[1] == 777
    house.shelf.full = True
    assert not house.keep(Table(6, NOW, 900, [888] * 8, "EUR"), 4)  # others will offer it again
    assert book.current(NOW)[1] == 777 and book.numbers() == [5]
    house.shelf.full = False
    assert house.keep(Table(6, NOW, 900, [888] * 8, "EUR"), 4)
    assert book.current(NOW)[1] == 888 and book.numbers() == [6, 5]
    assert [told[0] for told in house.told] == ["tariff"]


def test_datagrams_without_a_byte():
    """Each is one, counted, and holds up no more than another."""
    house = House()
    house.made._datagrams.came = [b""] * 20

    async def main():
        running = asyncio.create_task(house.made.run())
        while house.made._datagrams.came:
            await asyncio.sleep_ms(1)
        running.cancel()

    asyncio.run(main())
    assert house.made.stack.end.counters[SHORT] == 20 and house.made.turns <= 6


def test_commands_to_all_and_to_one():
    house = House()

    body = b'{"appliance": "car"}'
    for kind in (COMMAND, ORDER):
        buf = pack(">BBIIH", kind, 1, 0, 0, len(body)) if kind == COMMAND else bytes([kind]) + bytes(12)
        house.made._delivered(Item(buf + body + bytes(16), 5))
    assert house.asked == [(body, True), (body, False)]
    assert house.told == [("command", {"origin": 1, "message": 5})] * 2


def test_a_meter_that_measures_asks_too():
    class Session:
        class _inbound:
            flags = 0

    class Stub:
        session, unknown_commands, inquire = Session, 0, None

    Link.command(Stub, b"", b'{"query":[1,0]}')
    assert Stub.unknown_commands == 1  # it has no gossip
    asked = []
    Stub.inquire = asked.append
    for flags in (0, 1):  # retained: it would be asked at each connection
        Session._inbound.flags = flags
        Link.command(Stub, b"", b'{"query":[1,0]}')
    Link.command(Stub, b"", b'{"appliance":"a"}')
    assert asked == [b'{"query":[1,0]}'] and Stub.unknown_commands == 3


def test_at_the_end_all_is_off():
    house = House()
    asyncio.run(house.member.leave(10))
    assert house.stopped == 1
    house.member.save()  # it died
    assert house.stopped == 2


def test_what_others_need_is_bounded():
    assert House().made.needs._most_wh == 8000  # of a third of a day, in Wh, at rated_w


def test_a_status_at_its_longest():
    """Every counter has ten digits, every text is long in JSON: what is the least goes, and the message with it."""
    house = House()
    stack = house.made.stack
    for i in range(len(stack.end.counters)):
        stack.end.counters[i] = 4000000000
    stack.end.sent = 4000000000
    for short in (False, True):
        names = ["w%d" % i if short else '"' * 31 + str(i) for i in range(4)]
        fields = {"state": "online", "boot": 600000000, "uptime_s": 999999999, "last_error": '"\\' * 130}
        fields["appliances"] = {"tariff": 1 << 29, "price": -1000000, "w": dict.fromkeys(names, -1000000)}
        fields["gossip"] = house.made.status()
        fields.update({"n%d" % i: 4000000000 for i in range(10 if short else 20)})
        said = json.loads(fit(dict(fields), 1400))
        assert len(fit(dict(fields), 1400)) <= 1400 and said["boot"] == 600000000
        assert ("gossip" in said, "appliances" in said) == (short, True)
    said = json.loads(fit(dict(fields), 400))
    assert "gossip" not in said and "appliances" not in said and said["n9"] == 4000000000
    assert fit({"a": "b"}, 1) == b'{"a": "b"}'


def test_neighbours_without_gossip_come_back_at_different_times():
    numbers = []
    for name in ("ied1", "ied2"):
        config = lean(id=name, role="ied", appliances=[RUN])
        member = Member(None, "ied", 1, {}, Notes(Shelf(None), Clock(), 1, None, True), None, None, None, None)
        numbers.append(_appliances(config, Board, Shelf(None), member)._number)
    assert numbers[0] != numbers[1] and 0 not in numbers and max(numbers) < 1 << 30


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        test()
        gc.collect()
