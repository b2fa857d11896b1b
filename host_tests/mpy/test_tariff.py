"""Tariffs on MicroPython: a day's schedules worked out by hand, with two tables, an alert, a reboot and expiry."""

import gc

from plain_shelf import Shelf

from tariff import charge, limit, needs, run, supply, thermostat
from tariff.book import EMERGENCY, LIMIT, Book
from tariff.encode import encode_into, split
from tariff.table import Table, decode

DAY = 1761436800  # 2025-10-26 00:00 UTC
NEXT = DAY + 86400
# from (half hours) until before the next one: price, in ct/MWh
STEPS = ((0, 9000), (4, 4000), (5, 3000), (6, -1000), (7, -2000), (8, 5000), (12, 21000), (18, 14000), (24, 6000))
STEPS += ((28, 12000), (32, 32000), (38, 18000), (44, 10000), (48, None))
PRICES = [STEPS[i][1] for i in range(len(STEPS) - 1) for _ in range(STEPS[i + 1][0] - STEPS[i][0])]


def at(hour, minute=0, second=0):
    return DAY + 3600 * hour + 60 * minute + second


def add(book, table, since, until, now=DAY):
    buf = bytearray(283)
    assert book.add(buf, 0, encode_into(buf, 0, table), since, until, now) == ""


def two_days(default=None):
    shelf = Shelf()
    book = Book(shelf, default)
    add(book, Table(1, DAY, 1800, PRICES, "EUR"), DAY, NEXT)
    add(book, Table(2, NEXT, 1800, PRICES, "EUR"), at(13), NEXT + 86400)
    return Book(shelf, default)  # after a reboot


def today_only(default=None):
    book = Book(Shelf(), default)
    add(book, Table(1, DAY, 1800, PRICES, "EUR"), DAY, NEXT)
    return book


def bytes_of_a_table():
    buf = bytearray(300)
    table = Table(
        5, DAY, 900, [8520 - 333 * i for i in range(100)], "GBP", 0, (3, DAY, DAY + 1), (1 << 31, DAY, DAY + 2)
    )
    n = encode_into(buf, 9, table)
    again = decode(memoryview(buf), 9, n)
    assert n == 240 and list(again.prices) == table.prices and again.limit == (1 << 31, DAY, DAY + 2)
    assert (again.number, again.priority, again.end, again.currency) == (5, 0, DAY + 90000, "GBP")
    refused = 0
    state = 1
    for bit in range(8 * n):
        buf[9 + bit // 8] ^= 1 << bit % 8
        refused += isinstance(decode(buf, 9, n), str)
        buf[9 + bit // 8] ^= 1 << bit % 8
    assert refused > 60
    for i in range(2000):  # anything at all
        for k in range(0 if i & 1 else 2, 60):
            state = (state * 69069 + 1) & 0x3FFFFFFF
            buf[k] = state >> 20 & 255
        buf[0], buf[1] = 1, i >> 1 & 3
        decode(buf, 0, 21 + i % 100)
    top = Table(1, DAY, 900, [0x3FFFFFFF, -0x3FFFFFFF], "EUR")  # each on its own
    assert [list(part.prices) for part in split(top)] == [[0x3FFFFFFF], [-0x3FFFFFFF]]


def washing_machine():
    book = two_days()
    first, prices = book.prices(at(8), at(18))
    assert run.plan(first, prices, at(8), 7200, at(18)) == (at(12), True)
    assert run.plan(first, prices, at(8), 7200, at(13)) == (at(11), True)
    assert run.plan(first, prices, at(11), 7200, at(12, 59)) == (at(11), False)
    assert run.plan(first, prices, at(13), 7200, at(18), started=at(12)) == (at(12), True)
    book = today_only(15000)  # expired: the default, all the same
    first, prices = book.prices(NEXT + 8 * 3600, NEXT + 18 * 3600)
    assert set(prices) == {15000} and book.current(NEXT)[1] == 15000
    assert run.plan(first, prices, NEXT + 28801, 7200, NEXT + 64800) == (NEXT + 28801, True)


def dishwasher():
    book = two_days()
    now, finish_by = at(19, 10), at(31)
    first, prices = book.prices(now, finish_by)
    assert first == at(19) and run.plan(first, prices, now, 6300, finish_by) == (at(26, 15), True)
    assert run.plan(first, prices, now, 6300, at(26)) == (at(24), True)  # 9000 ct/MWh, before it gets cheap
    # no more than 1 kW from 2:00 to 3:00: after it
    add(book, Table(3, DAY, 900, [], "EUR", 0, limit=(1000, at(26), at(27))), DAY, NEXT + 86400)
    limits = book.windows(LIMIT, now, finish_by)
    assert limits == [(at(26), at(27), 1000)]
    assert run.plan(first, prices, now, 6300, finish_by, 1800, limits) == (at(27), True)
    assert run.plan(first, prices, now, 6300, finish_by, 1000, limits) == (at(26, 15), True)


def vehicle():
    now, depart, need_wh, most_w = at(17, 30), at(31), 22000, 7360  # 10,760.9 s
    book = two_days()
    first, prices = book.prices(now, depart)
    plan = [(at(26), at(28, 59, 21), 7360)]
    assert charge.plan(first, prices, now, need_wh, depart, most_w) == (plan, True)
    limits = [(at(27), at(28), 3680)]
    plan = [(at(26), at(27), 7360), (at(27), at(28), 3680), (at(28), at(29, 29, 21), 7360)]
    assert charge.plan(first, prices, now, need_wh, depart, most_w, 1380, limits) == (plan, True)
    assert charge.plan(first, prices, at(30), need_wh, depart, most_w) == ([(at(30), depart, 7360)], False)
    # tomorrow is not known: the default is 8000 ct/MWh
    first, prices = today_only(8000).prices(now, depart)
    assert charge.plan(first, prices, now, need_wh, depart, most_w) == ([(at(24), at(26, 59, 21), 7360)], True)
    # nor is there a default: the mean of what is left of today (18769) stands for it
    first, prices = today_only().prices(now, depart)
    assert prices[-1] == 18769
    plan = [(at(19), at(19, 59, 21), 7360), (at(22), at(24), 7360)]
    assert charge.plan(first, prices, now, need_wh, depart, most_w) == (plan, True)
    # expired without a default: at once
    first, prices = Book(Shelf()).prices(now, depart)
    assert charge.plan(first, prices, now, need_wh, depart, most_w) == ([(now, now + 10761, 7360)], True)


def heating():
    book = two_days()
    _, prices = book.prices(DAY, NEXT)
    aims = {}
    for i in range(48):
        price = book.current(DAY + 1800 * i)[1]
        aims[price] = thermostat.set_point(price, prices, 2000, 1800, 2150)
    expected = {9000: 2048, 4000: 2094, 3000: 2103, -1000: 2140, -2000: 2150, 5000: 2085, 21000: 1923, 14000: 2001}
    expected.update({6000: 2075, 12000: 2020, 32000: 1800, 18000: 1957, 10000: 2038})
    assert aims == expected, aims  # the mean is 14208
    assert thermostat.set_point(book.current(NEXT + 86400)[1], prices, 2000, 1800, 2150) == 2000  # expired
    assert thermostat.set_point(9000, prices, 2000, 1800, 2150, 2) == 1800
    paid, ran, starts = [], [], 0
    for follow in (False, True):
        room, on, for_s, cost, minutes = 200000, False, 9999, 0, 0  # 1/10,000 degree, 5 degrees outside
        for minute in range(1440):
            price = PRICES[minute // 30]
            aim = thermostat.set_point(price, prices, 2000, 1800, 2150) if follow else 2000
            want = thermostat.switch(on, for_s, room // 100, aim, 40, False, 600)
            for_s, starts, on = (60, starts + want, want) if want != on else (for_s + 60, starts, on)
            room += (250 if on else 0) - (room - 50000) // 1500
            cost += price if on else 0
            minutes += on
            assert 177000 < room < 219000
        paid.append(cost)
        ran.append(minutes)
    assert paid[1] * 10 < paid[0] * 8 and abs(ran[1] - ran[0]) * 10 < ran[0] and starts < 144, (paid, ran, starts)


def battery():
    book = two_days()
    _, prices = book.prices(DAY, NEXT)
    low, high = supply.thresholds(prices)
    assert (low, high) == (6000, 21000)
    stored_wh, least_wh, most_wh, gained = 2000, 1000, 10000, 0
    for price in prices:
        w = supply.battery(price, low, high, stored_wh, (least_wh, most_wh), (3000, 3000), 900)
        stored_wh += w // 4
        gained -= w * price
        assert least_wh <= stored_wh <= most_wh
        assert (w > 0) <= (price <= 6000) and (w < 0) <= (price >= 21000)
        assert supply.solar(price, 5000) == (0 if price < 0 else 5000)
    assert gained > 0 and stored_wh < 2000


def alert():
    book = two_days()
    window = (at(17), at(18))
    add(book, Table(9, DAY, 900, [], "EUR", 0, (2,) + window, (2000,) + window), DAY, at(20), at(16))
    loads = [(3, 7360), (0, 300), (1, 1500), (2, 2000)]
    state = [-1] * 4
    number = 123456789
    seen = []
    for minute in range(16 * 60, 20 * 60):
        _, _, level, limit_w = book.current(DAY + 60 * minute)
        may = limit.shed(loads, level, limit_w)
        assert may == ([False, True, True, False] if 17 * 60 <= minute < 18 * 60 else [True] * 4)
        seen.append(limit.restore(state, may, 60 * minute, number, 900))
    assert seen[30] == seen[59] == [True] * 4 and seen[60] == seen[119] == [False, True, True, False]
    back = [limit.delay_s(number, i, 900) for i in range(4)]
    assert len(set(back)) == 4 and max(back) < 900
    for i in (0, 3):
        assert [on[i] for on in seen[120:]].index(True) == -(-back[i] // 60)
    assert book.windows(EMERGENCY, at(16), at(20)) == [window + (2,)] and book.current()[0].number == 9


def announced():
    day = DAY // 86400
    sums = [0, 0, 0]
    needs.job(sums, day, 1200, 6300, at(8, 30))  # 4500 of 6300 s before 8:00
    needs.spread(sums, day, 22000, [(at(14), at(15), 7360), (at(15, 30), at(18), 7360)])
    # 857.14 before 8:00; 1.5 of 3.5 hours before 16:00: 9428.57
    assert sums == [857, 343 + 9428, 12572], sums
    sums = [0, 0, 0]
    needs.spread(sums, day, 4000000000, [(at(-3), at(30), 5000)])
    assert sums == [969696970, 969696970, 969696969]  # 3, 11, 19 and 27 of 33 hours, each rounded down


for test in (bytes_of_a_table, washing_machine, dishwasher, vehicle, heating, battery, alert, announced):
    test()
    gc.collect()
