"""Appliances of a node: golden days, expiry, emergency, reboot, no time, hooks that fail, commands that are wrong.

Prices and windows are those of test_tariff.py, worked out by hand there.
"""

import gc
import json
import sys
from time import ticks_add, ticks_ms

from firmware.appliances import Appliances
from settings.schema import check
from tariff import limit
from tariff.book import Book
from tariff.encode import encode_into
from tariff.table import Table

DAY = 1761436800  # 2025-10-26 00:00 UTC
# from (half hours) until before the next one: price, in ct/MWh
STEPS = ((0, 9000), (4, 4000), (5, 3000), (6, -1000), (7, -2000), (8, 5000), (12, 21000), (18, 14000), (24, 6000))
STEPS += ((28, 12000), (32, 32000), (38, 18000), (44, 10000), (48, None))
PRICES = [STEPS[i][1] for i in range(len(STEPS) - 1) for _ in range(STEPS[i + 1][0] - STEPS[i][0])]
NUMBER = 123456789

WASHER = {"kind": "run", "name": "washer", "relay": 0, "watts": 2000, "minutes": 120}
DISHES = {"kind": "run", "name": "dishes", "relay": 1, "watts": 1800, "minutes": 105}
CAR = {"kind": "charge", "name": "car", "relay": 2, "watts": 7360, "wh": 22000, "from": 1050, "by": 420}
HEAT = {"kind": "thermostat", "name": "heat", "relay": 3, "watts": 3000, "normal": 2000, "saving": 1800}
HEAT.update({"storing": 2150, "band": 40, "priority": 3})
BATTERY = {"kind": "supply", "name": "battery", "relay": 4, "charger": 5, "watts": 3000, "wh": 10000}
SOLAR = {"kind": "supply", "name": "solar", "relay": 6, "watts": 5000}


class Shelf:
    def __init__(self):
        self.files = {}
        self.fail = self.puts = 0

    def get(self, name):
        return self.files.get(name)

    def put(self, name, data):
        if self.fail:
            raise OSError(self.fail)
        self.puts += 1
        self.files[name] = bytes(data)


def at(hour, minute=0, second=0):
    return DAY + 3600 * hour + 60 * minute + second


class House:
    """Appliances with a clock that is set, relays that are noted, and a log of what was switched and told."""

    def __init__(self, configs, book, now, shelf=None, known=True, spread_s=0):
        node = {"id": "ied1", "role": "ied", "topic": {"area": "a", "location_type": "b", "location_id": "c"}}
        self.configs = []
        for one in configs:  # a node has four at most
            self.configs += check(dict(node, appliances=[one]))["appliances"]
        self.book = book
        self.shelf = shelf or Shelf()
        self.known = known
        self.now = now
        self.ms = ticks_ms()
        self.relays = {}
        self.switched, self.told, self.needs, self.errors = [], [], [], []
        self.at_on = None  # what is on the shelf when a relay comes on
        self.spread_s = spread_s
        self.start()

    def start(self):
        self.relays = {}
        self.made = Appliances(
            self.configs, self.book, self.shelf, self.relay, self.tell, self, NUMBER, self.spread_s
        )
        self.made._ms = self.ms
        self.made.announce = lambda jobs, day, sums: self.needs.append((jobs, day - DAY // 86400, list(sums)))

    def soc(self):
        assert self.known
        return self.now

    def relay(self, i, on):
        assert self.relays.get(i, False) != on, "on change only"
        assert not (on and i in (4, 5) and self.relays.get(9 - i)), "a battery charged and discharged"
        self.relays[i] = on
        if on:
            self.at_on = self.shelf.files.get("appliances")

    def tell(self, what, **fields):
        assert what == "appliance" and len(json.dumps(fields)) < 600
        if "error" in fields:
            self.errors.append(fields["error"])
        elif "start" in fields:
            self.told.append((fields["name"], fields["start"] - DAY, fields["end"] - DAY, fields["feasible"]))
        else:
            assert fields["on"] == (fields["w"] != 0)
            self.switched.append((self.now - DAY, fields["name"], fields["w"], fields["why"], fields["price"]))

    def ask(self, **command):
        return self.made.ask(json.dumps(command).encode())

    def go(self, until, step_s=20, each=None):
        """Time passes; as long as there is something to plan, none does."""
        while self.now < until:
            while self.made.step(self.ms):
                pass
            if each:
                each()
            passed_s = min(step_s, until - self.now)
            self.now += passed_s
            self.ms = ticks_add(self.ms, 1000 * passed_s)
        while self.made.step(self.ms):
            pass

    def seen(self, name):
        """[(h:mm, W, why), ...]"""
        mine = [one for one in self.switched if one[1] == name]
        return [("%d:%02d" % (one[0] // 3600, one[0] // 60 % 60), one[2], one[3]) for one in mine]


def add(book, table, since, until):
    buf = bytearray(283)
    assert book.add(buf, 0, encode_into(buf, 0, table), since, until) == ""


def two_days(default=25000):
    book = Book(Shelf(), default)
    for i in range(2):
        add(book, Table(1 + i, at(24 * i), 1800, PRICES, "EUR"), DAY, at(24 * i + 24))
    return book


def golden_day():
    house = House([WASHER, DISHES, CAR, HEAT, BATTERY, SOLAR], two_days(), DAY)
    assert house.ask(appliance="battery", stored_wh=2000)

    def thermometer():
        if house.now % 600 == 0:
            house.made.ask({"appliance": "heat", "temperature": 2000})

    thermometer()
    house.go(at(8), each=thermometer)
    assert house.ask(appliance="washer", finish_by=at(18))
    house.go(at(19, 10), each=thermometer)
    assert house.ask(appliance="dishes", finish_by=at(31))
    house.go(at(32), each=thermometer)
    assert house.seen("washer") == [("12:00", 2000, "tariff 1"), ("14:00", 0, "done")]
    assert house.seen("dishes") == [("26:15", 1800, "tariff 2"), ("28:00", 0, "done")]
    # the first day it is in its time from the start on: from midnight, 22 kWh at 7.36 kW are 2:59:21, from 2:00
    car = [("2:00", 7360, "tariff 1"), ("4:59", 0, "done"), ("26:00", 7360, "tariff 2"), ("28:59", 0, "done")]
    assert house.seen("car") == car, house.seen("car")
    # set points of test_tariff.heating around 20.00 degrees; rest_s after the start
    heat = [("0:05", 3000, "tariff 1"), ("6:00", 0, "tariff 1"), ("12:00", 3000, "tariff 1")]
    heat += [("16:00", 0, "tariff 1"), ("22:00", 3000, "tariff 1"), ("30:00", 0, "tariff 2")]
    assert house.seen("heat") == heat, house.seen("heat")
    # charged at 6000 and below until full, discharged at 21000 and above until empty
    battery = [("2:00", 3000), ("4:39", 0), ("6:00", -3000), ("9:00", 0), ("12:00", 3000), ("14:00", 0)]
    battery += [("16:00", -3000), ("18:18", 0), ("26:00", 3000)]
    assert [one[:2] for one in house.seen("battery")][:9] == battery, house.seen("battery")
    solar = [("0:00", -5000), ("3:00", 0), ("4:00", -5000), ("27:00", 0), ("28:00", -5000)]
    assert [one[:2] for one in house.seen("solar")] == solar
    told = [("washer", 43200, 50400, True), ("dishes", 94500, 100800, True)]
    assert house.told == told and not house.errors, (house.told, house.errors)
    prices = {("washer", 2000): 6000, ("car", 7360): 4000, ("dishes", 1800): 4000}
    for _, name, w, _, price in house.switched:
        assert prices.get((name, w), price) == price
    status = house.made.status()
    assert status["tariff"] == 2 and status["w"]["solar"] == -5000 and status["w"]["washer"] == 0
    assert "firmware.plans" not in sys.modules and "tariff.run" not in sys.modules


def announced():
    house = House([dict(WASHER, minutes=90), CAR], two_days(), at(8))
    house.go(at(8, 1))
    assert house.needs == [(0, 0, [0, 0, 0]), (0, 1, [0, 0, 0])]
    house.ask(appliance="washer", finish_by=at(18), energy_wh=1001)  # 12:00 to 13:30
    house.go(at(8, 2))
    assert house.needs[2:] == [(1, 0, [0, 1001, 0])]
    house.ask(appliance="washer", finish_by=at(17))  # as configured: 3000 Wh
    house.go(at(12, 20))
    assert house.needs[3] == (1, 0, [0, 3000, 0]) and house.needs[4] == (1, 0, [0, 2500, 0])  # a quarter is done
    house.go(at(17))
    assert house.needs[-1] == (0, 0, [0, 0, 0])
    house.go(at(18))
    assert house.needs[-1] == (1, 1, [22000, 0, 0])
    gap = len(house.needs)
    house.go(at(23, 59))
    assert len(house.needs) == gap  # nothing has changed
    house.go(at(24, 1))
    assert (1, 1, [22000, 0, 0]) in house.needs[gap - 1 :] and house.needs[-1] == (0, 2, [0, 0, 0])
    # over midnight: 22:30 to 24:30, 4000 Wh
    house = House([WASHER], two_days(), at(22, 30))
    house.ask(appliance="washer", finish_by=at(24, 30))
    house.go(at(22, 30, 20))
    assert house.needs == [(1, 0, [0, 0, 3000]), (1, 1, [1000, 0, 0])]


def expiry():
    book = Book(Shelf(), 15000)
    add(book, Table(1, DAY, 1800, PRICES, "EUR"), DAY, at(10))  # valid until 10:00 only
    house = House([WASHER, HEAT], book, at(8))
    house.ask(appliance="washer", finish_by=at(18))  # 9:00: 14000 + 15000; before 21000, after 2 x 15000
    for _ in range(13):
        house.made.ask({"appliance": "heat", "temperature": 2021})
        house.go(house.now + 600)
    assert house.seen("washer") == [("9:00", 2000, "tariff 1")]
    assert house.seen("heat") == [("9:00", 3000, "tariff 1"), ("10:00", 0, "default")]  # the cheapest; normal
    assert house.switched[-1][4] == 15000 and house.made.status()["tariff"] == 0
    house.made.ask({"appliance": "heat", "temperature": 1979})
    house.go(at(12))
    assert house.seen("washer")[1:] == [("11:00", 0, "done")]
    assert house.seen("heat")[2:] == [("10:10", 3000, "default"), ("10:40", 0, "default")]  # nobody told any more
    house.ask(appliance="washer", finish_by=at(20))
    house.go(at(12, 1))
    assert house.seen("washer")[2:] == [("12:00", 2000, "default")]
    # a newer table moves what has not begun
    house = House([WASHER], two_days(), at(8))
    house.ask(appliance="washer", finish_by=at(18))
    house.go(at(9))
    add(house.book, Table(7, at(15), 1800, [-9000] * 4, "EUR"), DAY, at(24))
    house.made.replan()
    house.go(at(18))
    assert house.seen("washer") == [("15:00", 2000, "tariff 7"), ("17:00", 0, "done")]


def emergency():
    spread_s = 900
    book = two_days()
    base = {"kind": "thermostat", "normal": 2000, "saving": 1800, "storing": 2150, "rest_s": 0}
    fridge = dict(base, name="fridge", relay=7, watts=100, priority=0)
    heat = dict(base, name="heat", relay=3, watts=1900, priority=3)
    house = House([heat, dict(CAR, by=-1), WASHER, fridge], book, at(15, 30), spread_s=spread_s)
    limit_w = [None]

    def look():
        if house.now % 600 == 0:
            house.made.ask({"appliance": "heat", "temperature": 1700})
            house.made.ask({"appliance": "fridge", "temperature": 1700})
        drawn = sum(one["watts"] for one in house.configs if house.relays.get(one["relay"]))
        assert limit_w[0] is None or drawn <= limit_w[0], (house.now - DAY, drawn)

    look()
    house.go(at(16), each=look)  # all came back in the first quarter of an hour
    house.ask(appliance="washer")
    house.ask(appliance="car", finish_by=at(19), energy_wh=22000)  # all the time till then
    house.go(at(17), each=look)
    assert house.seen("washer") == [("16:00", 2000, "asked")]
    assert house.seen("car") == [("16:00", 7360, "tariff 1")]
    add(book, Table(9, DAY, 900, [], "EUR", 0, (2, at(17), at(18)), (2500, at(17), at(18))), DAY, at(20))
    house.made.replan()
    house.go(at(17, 0, 20), 20)
    limit_w[0] = 2500
    house.go(at(17, 59, 59), each=look)
    for name in ("car", "heat"):
        assert house.seen(name)[1:] == [("17:00", 0, "emergency")]
    assert house.seen("washer")[1:] == [] and house.relays[7]  # a run that has begun goes on
    limit_w[0] = None
    house.go(at(18, 15), 1, each=look)
    order = [one.name for one in house.made._loads]
    assert order == ["fridge", "car", "washer", "heat"]
    back = {one[1]: one[0] - 18 * 3600 for one in house.switched if one[0] >= 18 * 3600 and one[2] > 0}
    due = {name: limit.delay_s(NUMBER, order.index(name), spread_s) for name in ("car", "heat")}
    assert all(0 <= back[name] - due[name] <= 1 for name in due) and len(back) == 2, (back, due)
    assert house.seen("washer")[1:] == [("18:00", 0, "done")]
    house.go(at(19, 20))
    assert house.seen("car")[-1] == ("19:00", 0, "deadline")  # 22 kWh were not to be had any more

    # not even a run that has begun goes beyond a limit; what it lacks then comes afterwards
    house = House([WASHER, dict(DISHES, priority=1)], book, at(19), spread_s=0)
    house.ask(appliance="washer")
    house.go(at(20))
    add(book, Table(11, DAY, 900, [], "EUR", 0, None, (1000, at(20), at(20, 30))), DAY, at(24))
    house.made.replan()
    house.go(at(22))
    seen = [("19:00", 2000, "asked"), ("20:00", 0, "limit"), ("20:30", 2000, "begun"), ("21:30", 0, "done")]
    assert house.seen("washer") == seen, house.seen("washer")

    # a limit that is known before: one after the other
    book = two_days()
    add(book, Table(3, DAY, 900, [], "EUR", 0, None, (3000, at(8), at(20))), DAY, at(24))
    house = House([WASHER, dict(DISHES, priority=1)], book, at(8))
    for name in ("washer", "dishes"):
        house.ask(appliance=name, finish_by=at(16))
    house.go(at(16))
    assert house.seen("dishes") == [("12:00", 1800, "tariff 1"), ("13:45", 0, "done")]
    assert house.seen("washer") == [("13:45", 2000, "tariff 1"), ("15:45", 0, "done")]
    assert house.made.refused == 0


def kept_off_by_a_limit():
    """Whether the plan leaves the limited time out or not, and whether all can be had all the same or not."""
    for wh, last in ((36800, "deadline"), (14720, "done")):  # 5 h, 2 h
        for most_w in (0, 7359):
            book = two_days()
            house = House([dict(CAR, by=-1)], book, at(14))
            house.ask(appliance="car", finish_by=at(19), energy_wh=wh)
            house.go(at(15) if last == "deadline" else at(14, 20))
            if last == "done":  # 14:00 and 15:00 cost 12,000, later hours 32,000
                assert house.seen("car") == [("14:00", 7360, "tariff 1")]
            add(book, Table(9, DAY, 900, [], "EUR", 0, None, (most_w, at(15), at(16))), DAY, at(20))
            house.made.replan()
            house.go(at(20))
            why = [one[2] for one in house.seen("car") if not one[1]]
            assert ("15:00", 0, "limit") in house.seen("car") and why == ["limit", last], house.seen("car")
    # what is left of it beside another
    book = two_days()
    house = House([dict(CAR, by=-1), dict(CAR, by=-1, name="van", relay=1, priority=3)], book, at(14))
    for name in ("car", "van"):
        house.ask(appliance=name, finish_by=at(19), energy_wh=36800)
    house.go(at(15))
    add(book, Table(9, DAY, 900, [], "EUR", 0, None, (8000, at(15), at(16))), DAY, at(20))
    house.made.replan()
    house.go(at(16))
    assert house.seen("van")[1:2] == [("15:00", 0, "limit")] and len(house.seen("car")) == 1
    # not where it is cheaper later, or warm enough
    book = two_days()
    add(book, Table(9, DAY, 900, [], "EUR", 0, None, (8000, at(8), at(12))), DAY, at(20))
    add(book, Table(10, DAY, 900, [], "EUR", 0, None, (2000, at(12), at(13))), DAY, at(20))
    house = House([dict(CAR, by=-1)], book, at(9))
    house.ask(appliance="car", finish_by=at(14), energy_wh=22000)
    house.go(at(12))
    assert house.seen("car")[1][1] == 0 and house.seen("car")[1][2][:6] == "tariff", house.seen("car")
    house = House([HEAT], book, at(11, 50))
    house.ask(appliance="heat", temperature=1700)
    house.go(at(11, 59, 59))
    house.now, house.ms = at(12), ticks_add(house.ms, 1000)
    house.ask(appliance="heat", temperature=2500)
    house.go(at(12, 1))
    assert [one[2][:6] for one in house.seen("heat") if not one[1]] == ["tariff"], house.seen("heat")


def reboot():
    house = House([WASHER, CAR], two_days(), at(8), spread_s=300)
    house.ask(appliance="washer", finish_by=at(18))
    house.go(at(9))
    house.start()  # what was asked is not forgotten
    house.go(at(12, 20))
    assert house.seen("washer") == [("12:00", 2000, "tariff 1")]
    kept = json.loads(house.at_on)
    assert kept["runwasher"][3] is True, "on the shelf before the relay was on"
    house.go(at(13, 10))
    house.known = False
    house.start()  # the power is back, the time not yet
    house.go(at(13, 10, 20), 1)
    assert house.relays == {0: True} and house.seen("washer")[1:] == [("13:10", 2000, "no time")]
    house.known = True
    house.go(at(14, 9), 1)  # an hour was left at 13:00, when that was put on the shelf
    assert house.relays[0]
    house.go(at(24))
    assert house.seen("washer")[2:] == [("14:10", 0, "done")], house.seen("washer")
    for i in range(30):  # at any instant, it is begun once only
        house = House([dict(WASHER, minutes=60)], two_days(), at(11, 40))
        house.ask(appliance="washer", finish_by=at(13))  # 12:00
        house.go(at(11, 40) + 200 * i)
        house.start()
        house.go(at(15))
        seen = house.seen("washer")
        drawn_s = [0, at(15) - DAY]
        assert seen[-1][2] == "done" and len(seen) == (2 if i < 6 or i > 23 else 3), (i, seen)
        starts = [one for one in house.switched if one[3] == "tariff 1"]
        assert len(starts) == 1 and starts[0][0] == drawn_s[0] + 43200, (i, starts)
        assert house.switched[-1][0] <= 13 * 3600 + 900
    # what stands on the shelf is another's
    shelf = Shelf()
    shelf.files["appliances"] = b'{"runheat": [600, 1, 0, true, 0, 0]}'
    house = House([HEAT], two_days(), at(8), shelf)
    house.go(at(8, 1))
    assert not house.made._loads[0].begun


def shelf_fails():
    house = House([WASHER], two_days(), at(8))
    house.shelf.fail = 28
    assert house.ask(appliance="washer", finish_by=at(18))
    house.go(at(8, 15))
    assert house.errors and "28" in house.errors[0]
    house.shelf.fail = 0
    house.go(at(8, 31))
    assert "runwasher" in json.loads(house.shelf.files["appliances"])  # tried again
    puts = house.shelf.puts
    house.go(at(11, 59))
    assert house.shelf.puts == puts, "nothing new, nothing written"
    house.go(at(15))
    assert house.seen("washer")[0][0] == "12:00" and house.shelf.puts < puts + 12


def without_time():
    house = House([WASHER, DISHES, CAR, HEAT, BATTERY, SOLAR], two_days(), 0, known=False)
    assert house.ask(appliance="washer", finish_by=at(18)) and house.ask(appliance="dishes")
    house.made.ask({"appliance": "heat", "temperature": 1979})
    house.go(880)
    names = [one[1] for one in house.switched]
    assert set(names) == {"dishes", "heat", "solar"}, names  # as soon as possible; normal set point; as ever
    assert house.made.status()["tariff"] == 2 and house.needs == []
    house.go(1000)
    seen = [one[1:4] for one in house.switched if one[1] in ("washer", "car")]
    assert sorted(seen) == [("car", 7360, "no time"), ("washer", 2000, "no time")]
    house.go(1000 + 7300)
    assert house.relays[2] and not house.relays[0] and house.seen("washer")[-1][1] == 0
    house.known, house.now = True, at(15)  # now there is one: the car is not due before 17:30
    house.go(at(16))
    assert not house.relays[2]
    # it comes in good time: nothing has begun too early
    house = House([WASHER], two_days(), 0, known=False)
    house.ask(appliance="washer", finish_by=at(18))
    house.go(600)
    house.known, house.now = True, at(8)
    house.go(at(15))
    assert house.seen("washer") == [("12:00", 2000, "tariff 1"), ("14:00", 0, "done")]


def hooks():
    house = House([WASHER, SOLAR], two_days(), at(8))
    shown = []

    def broken(*what):
        raise RuntimeError("the display is gone")

    house.made.on_change = [broken, lambda *what: shown.append(what), broken]
    house.ask(appliance="washer")
    house.go(at(11))
    first = [("solar", -5000, "tariff 1", 21000), ("washer", 2000, "asked", 21000)]  # it gives before that draws
    assert shown == first + [("washer", 0, "done", 14000)], shown
    assert house.made.hook_errors == 6 and house.relays == {0: False, 6: True}


def commands():
    house = House([WASHER, CAR, HEAT, BATTERY], two_days(), at(8))
    wrong = [b"", b"{", b"[]", b"7", b"null", b'"washer"', b"\xff\xfe", b"[" * 900, b'{"finish_by": 1}']
    for name in ("[]", "{}", "null", "7", '"toaster"', '"' + "x" * 900 + '"'):
        wrong.append(b'{"appliance": ' + name.encode() + b"}")
    for name, key, values in (
        ("washer", "finish_by", (0, -1, 1 << 32, 1.5, "1", None, True, [], at(8), at(7), at(8 + 96, 0, 1))),
        ("washer", "duration_s", (-1, 86401, "60", 1e300)),
        ("washer", "temperature", (2000,)),
        ("washer", "on", (True,)),
        ("washer", "\x01" * 900, (1,)),
        ("car", "energy_wh", (-1, 1000001, {})),
        ("car", "duration_s", (60,)),
        ("heat", "temperature", (-10001, 20001, "warm", None)),
        ("heat", "finish_by", (at(10),)),
        ("battery", "stored_wh", (-1, 1000001)),
    ):
        wrong += [json.dumps({"appliance": name, key: value}).encode() for value in values]
    wrong += [b'{"appliance": "heat"}', b'{"appliance": "battery"}']
    for i, command in enumerate(wrong):
        assert house.made.ask(command) is False, command
        assert house.made.refused == i + 1 == len(house.errors), command
    assert house.errors[10] == "appliance: one of washer, car, heat, battery"
    assert "finish_by: must be within four days from now" in house.errors
    assert "duration_s: must be a whole number from 0 to 86400" in house.errors
    assert "temperature: not a key of a run" in house.errors
    state = 1
    good = b'{"appliance": "car", "finish_by": %d, "energy_wh": 100}' % at(10)
    for _ in range(200):
        mutant = bytearray(good)
        for _ in range(3):
            state = (state * 69069 + 1) & 0x3FFFFFFF
            mutant[(state >> 8) % len(mutant)] = state >> 20 & 255
        house.made.ask(bytes(mutant))
    house.made.ask({"appliance": "car", "energy_wh": 0})
    house.go(at(8, 1))
    assert house.switched == [], house.switched
    assert "firmware.plans" not in sys.modules and "firmware.demand" not in sys.modules
    # what has begun is not changed, what has not can be taken back
    assert house.ask(appliance="washer", finish_by=at(18)) and house.ask(appliance="washer", duration_s=0)
    house.go(at(13))
    assert house.seen("washer") == []
    assert house.ask(appliance="washer", finish_by=at(18), duration_s=1800, energy_wh=300)
    house.go(at(13, 1))
    assert house.ask(appliance="washer", duration_s=0) is False and "begun" in house.errors[-1]
    house.go(at(14))
    assert house.seen("washer") == [("13:00", 2000, "tariff 1"), ("13:30", 0, "done")]
    assert house.ask(appliance="battery", stored_wh=999999) and house.made._loads[-1].stored == 36000000


def lax_json():
    """MicroPython's takes what is none, keys that are no strings among it: told, and nothing else."""
    house = House([WASHER], two_days(), at(8))
    wrong = [b'{"appliance": "washer", %s: 2}' % key for key in (b"1", b"null", b"[1]", b"1e999", b"{}")]
    wrong += [b'{"appliance"}', b'{"appliance":}', b"{[]: 1}", b"{{}: 1}"]
    for i, command in enumerate(wrong):
        assert house.made.ask(command) is False and len(house.errors) == i + 1, command
    assert "firmware.demand" not in sys.modules


def to_all():
    """A command to the whole segment is for those who have that appliance: others say nothing of it."""
    house = House([WASHER], two_days(), at(8))
    for command in ({"appliance": "car", "energy_wh": 5}, {"appliance": None}, {}, [], 7):
        house.made.ask(json.dumps(command).encode(), True)
    assert not house.errors and not house.made.refused and not house.made._loads[0].left_s
    assert not house.made.ask(b'{"appliance": "washer", "energy_wh": -1}', True) and len(house.errors) == 1
    assert house.made.ask(b'{"appliance": "washer"}', True) and house.made._loads[0].left_s == 7200


def wrong_clock():
    """It was ahead by a month for an hour: the jobs of each day go on all the same."""
    house = House([dict(DISHES, by=1200)], two_days(), at(5))

    def runs(days):
        before = len(house.switched)
        house.go(house.now + days * 86400, 60)
        return len([one for one in house.switched[before:] if one[2] > 0])

    assert runs(2) == 3  # 12:00, 26:15, 48:00
    house.now += 30 * 86400
    house.go(house.now + 3600, 60)
    house.now -= 30 * 86400 + 3600
    n = runs(10)
    assert n >= 9, n
    house.now -= 600  # as time is corrected: what is done is not begun again
    n = runs(1)
    assert n == 1, n


def stopped():
    """All is off at the end, whatever the relay; at the next start what had begun goes on."""
    house = House([WASHER, CAR, BATTERY, SOLAR], two_days(), at(12))
    house.ask(appliance="washer", finish_by=at(14))
    house.ask(appliance="car", finish_by=at(14))
    house.go(at(12, 10))
    assert house.relays[0] and house.relays[2] and house.relays[5] and house.relays[6]
    told, kept = len(house.switched), dict(house.shelf.files)
    house.made.stop()
    assert not any(house.relays.values()) and len(house.relays) == 4, house.relays
    house.made.stop()  # on change only
    assert len(house.switched) == told and house.shelf.files == kept
    house.start()
    house.go(at(12, 11))
    assert house.relays[0] and house.seen("washer")[-1][2] == "begun"
    # a battery that gives
    house = House([BATTERY], two_days(), at(17))
    house.ask(appliance="battery", stored_wh=9000)
    house.go(at(17, 1))
    assert house.relays == {4: True}
    house.made.stop()
    assert house.relays == {4: False}


def task():
    import asyncio

    house = House([SOLAR], two_days(), at(8))

    async def main():
        running = asyncio.create_task(house.made.run())
        while not house.switched:
            await asyncio.sleep_ms(5)
        running.cancel()

    asyncio.run(main())
    assert house.made.turns > 1


for test in (
    golden_day, announced, expiry, emergency, kept_off_by_a_limit, reboot, shelf_fails, without_time, hooks,
    commands, lax_json, to_all, wrong_clock, stopped, task
):  # fmt: skip
    test()
    gc.collect()
