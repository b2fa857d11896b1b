"""Which tariff applies: against a list of all tables, through reboots, cut power, damage, without time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tests.property import examples
from tariff.book import EMERGENCY, LIMIT, Book
from tariff.encode import encode_into
from tariff.table import NO_LIMIT, Table

DAY = 1_761_436_800  # 2025-10-26 00:00 UTC
HOUR = 3600


class Shelf:
    """In memory; `puts` more succeed, None: all."""

    def __init__(self, puts=None):
        self.files, self.puts = {}, puts

    def get(self, name):
        return self.files.get(name)

    def put(self, name, data):
        assert len(name) <= 15 and isinstance(data, bytes)
        if self.puts is not None:
            if not self.puts:
                raise OSError(28)
            self.puts -= 1
        self.files[name] = data


def add(book, table, since=0, until=1 << 32, now=None, by=bytes(5)):
    buf = bytearray(290)
    return book.add(buf, 3, encode_into(buf, 3, table), since, min(until, 0xFFFFFFFF), now, by)


def hourly(number, start, prices, priority=128, **given):
    return Table(number, start, HOUR, prices, "EUR", priority, **given)


def test_newest_valid_one_applies_and_expiry_returns_to_the_default():
    for default in (777, None):
        book = Book(Shelf(), default)
        assert book.current(DAY) == (None, default, 0, None)
        assert add(book, hourly(1, DAY, [100] * 24), DAY, DAY + 24 * HOUR, DAY) == ""
        assert add(book, hourly(2, DAY + HOUR, [200] * 2), DAY + 2 * HOUR, DAY + 24 * HOUR, DAY) == ""
        assert [book.current(DAY + h * HOUR)[1] for h in (-1, 0, 1, 2, 3, 23, 24)] == [
            *(default, 100, 100, 200, 100, 100, default)
        ]
        assert book.current(DAY + 2 * HOUR)[0].number == 2 and book.current(DAY + 24 * HOUR)[0] is None
        # a less urgent one is not asked, whatever its number; a more urgent one is, to the second
        assert add(book, hourly(9, DAY, [900] * 24, 129), DAY, DAY + 24 * HOUR, DAY) == ""
        assert add(book, hourly(3, DAY, [300] * 24, 127), DAY + 5 * HOUR + 1, DAY + 6 * HOUR + 1, DAY) == ""
        at = DAY + 5 * HOUR
        assert [book.current(t)[1] for t in (at, at + 1, at + HOUR, at + HOUR + 1)] == [100, 300, 300, 100]
        assert [book.holds(n) for n in (0, 1, 2, 3, 9)] == [False, True, True, True, True]


def test_today_and_tomorrow_stand_side_by_side():
    book = Book(Shelf())
    add(book, hourly(5, DAY, list(range(24))), DAY, DAY + 24 * HOUR, DAY)
    add(book, hourly(6, DAY + 24 * HOUR, list(range(100, 124))), DAY + 12 * HOUR, DAY + 48 * HOUR, DAY)
    first, prices = book.prices(DAY + 22 * HOUR + 901, DAY + 26 * HOUR)
    assert first == DAY + 22 * HOUR + 900
    assert list(prices) == [22] * 3 + [23] * 4 + [100] * 4 + [101] * 4
    first, prices = book.prices(DAY + 46 * HOUR, DAY + 50 * HOUR)
    assert list(prices) == [122] * 4 + [123] * 4 + [122] * 8  # the mean of what is known, rounded down
    assert list(book.prices(DAY + 60 * HOUR, DAY + 61 * HOUR)[1]) == [0] * 4
    assert list(book.prices(DAY, DAY)[1]) == [0] and len(book.prices(DAY, DAY + 10**6)[1]) == 384
    book.default = 5
    assert list(book.prices(DAY + 47 * HOUR, DAY + 48 * HOUR + 1)[1]) == [123] * 4 + [5]


def test_without_time_it_is_shown_and_not_acted_on():
    shelf = Shelf()
    book = Book(shelf, 40)
    assert book.current() == (None, 40, 0, None)
    alert = (3, DAY, DAY + HOUR)
    assert add(book, hourly(5, DAY, [100] * 24, emergency=alert, limit=(0, DAY, DAY + HOUR)), DAY, DAY + HOUR) == ""
    for one in (book, Book(shelf, 40)):
        shown = one.current()
        assert shown[0].number == 5 and shown[1:] == (40, 0, None)
        assert one.current(DAY)[1:] == (100, 3, 0)
        assert one.current(DAY + HOUR) == (None, 40, 0, None)


def test_an_alert_leaves_prices_alone_and_is_taken_back():
    book = Book(Shelf())
    add(book, hourly(1, DAY, [100] * 24, limit=(9000, DAY, DAY + 9 * HOUR)), DAY, DAY + 24 * HOUR, DAY)
    window = (DAY + HOUR, DAY + 4 * HOUR)
    add(book, hourly(2, DAY, [], 0, emergency=(2, *window), limit=(3000, *window)), DAY, DAY + 24 * HOUR, DAY)
    assert [book.current(DAY + h * HOUR)[1:] for h in (0, 1, 3, 4, 9)] == [
        *((100, 0, 9000), (100, 2, 3000), (100, 2, 3000), (100, 0, 9000), (100, 0, None))
    ]
    assert book.windows(EMERGENCY, DAY, DAY + 24 * HOUR) == [(*window, 2)]
    at = [DAY, *window, DAY + 9 * HOUR]
    assert book.windows(LIMIT, DAY, DAY + 24 * HOUR) == [
        *((at[0], at[1], 9000), (at[1], at[2], 3000), (at[2], at[3], 9000))
    ]
    back = {"emergency": (0, DAY, DAY + 24 * HOUR), "limit": (NO_LIMIT, DAY, DAY + 24 * HOUR)}
    add(book, hourly(3, DAY, [], 0, **back), DAY + 2 * HOUR, DAY + 24 * HOUR, DAY)
    assert [book.current(DAY + h * HOUR)[2:] for h in (1, 2)] == [(2, 3000), (0, None)]
    assert book.windows(EMERGENCY, DAY, DAY + 24 * HOUR) == [(DAY + HOUR, DAY + 2 * HOUR, 2)]
    assert book.windows(LIMIT, DAY, DAY) == book.windows(LIMIT, DAY + 5, DAY) == []


def test_what_is_not_taken():
    book = Book(Shelf(), currency="EUR")
    table = hourly(5, DAY, [100] * 24)
    assert add(book, table, DAY, DAY + HOUR, DAY + HOUR) == "expired"
    assert add(book, table, DAY, DAY) == "expired"
    assert add(book, Table(5, DAY, HOUR, [1], "GBP")) == "currency"
    assert book.add(b"\0" * 30, 0, 30, 0, 1 << 31) == "version" and book.add(b"", 0, 0, 0, 1) == "length"
    assert book.current() == (None, None, 0, None)
    assert add(book, table) == "" and add(book, hourly(5, DAY, [100] * 24)) == "held"
    assert add(book, hourly(5, DAY, [5])) == "number" == add(book, table, DAY) and book.current(DAY)[1] == 100
    for number in (6, 7, 8):
        assert add(book, hourly(number, DAY + number * 24 * HOUR, [1] * 24)) == ""
    assert add(book, hourly(4, DAY + 24 * HOUR, [1] * 24, 128)) == "full"
    assert add(book, hourly(4, DAY + 24 * HOUR, [1] * 24, 127)) == "" and not book.holds(5)


def test_half_hourly_tables_do_not_push_tomorrow_out():
    shelf = Shelf()
    book = Book(shelf)
    add(book, hourly(1, DAY + 24 * HOUR, [7] * 24), DAY, DAY + 48 * HOUR, DAY)
    add(book, hourly(2, DAY, [], 0, emergency=(1, DAY + 23 * HOUR, DAY + 24 * HOUR)), DAY, DAY + 48 * HOUR, DAY)
    for i in range(46):
        now = DAY + 1800 * i
        table = Table(10 + i, now, 1800, [i] * (48 - i), "EUR")
        assert add(book, table, now, DAY + 48 * HOUR, now) == ""
        book = Book(shelf) if i % 5 == 0 else book
        assert book.current(now)[1] == i
        assert book.holds(1) and book.holds(2)
    assert book.current(DAY + 24 * HOUR)[1] == 7 and len(shelf.files) == 4
    assert book.current(DAY + 23 * HOUR)[2] == 1


def test_what_its_signer_may_no_longer_say():
    """It is gone at once, and after a reboot, and its number is free; what another one has signed as well stays."""
    shelf, over = Shelf(), set()
    book = Book(shelf, ended=over.__contains__)
    for number, by in ((1, b"lost1"), (2, b"lost2"), (3, b"good1")):
        assert add(book, hourly(number, DAY, [number] * 24), by=by) == ""
    over.add(b"lost1")
    assert Book(shelf, ended=over.__contains__).numbers() == [3, 2]
    book.drop()
    assert book.numbers() == [3, 2] and book.place == 2
    assert add(book, hourly(2, DAY, [2] * 24), by=b"good1") == "" and book.place == 1
    assert add(book, hourly(2, DAY, [2] * 24), by=b"good1") == "held" and book.place == 1
    assert add(book, hourly(2, DAY, [5] * 24), by=b"good1") == "number"
    over.add(b"lost2")
    book.drop()
    assert add(book, hourly(1, DAY, [1] * 12), by=b"good1") == "" and book.place == 0
    for one in (book, Book(shelf, ended=over.__contains__)):
        assert one.numbers() == [3, 2, 1] and not one.damaged


SOON = st.integers(0, 9000)
WINDOW = st.one_of(st.none(), st.builds(lambda v, a, n: (v, a, a + n + 1), st.integers(0, 3), SOON, SOON))
ENTRY = st.tuples(
    st.integers(0, 2), st.integers(0, 8), st.sampled_from((900, 1800)), st.lists(st.integers(-9, 9), max_size=5),
    WINDOW, WINDOW, st.integers(0, 9000), st.integers(1, 9000),
)  # fmt: skip


@examples(200)
@given(st.lists(ENTRY, min_size=1, max_size=4), st.permutations(range(4)), st.integers(0, 9000), st.booleans())
def test_against_a_list_of_all_tables(entries, numbers, after_s, reboot):
    shelf = Shelf()
    book, model = Book(shelf, 1000), []
    for number, (priority, quarter, step_s, prices, emergency, limit, since, valid_s) in zip(
        numbers, entries, strict=False
    ):
        emergency, limit = (w and (w[0], DAY + w[1], DAY + w[2]) for w in (emergency, limit))
        if not prices and not emergency and not limit:
            continue
        table = Table(number + 1, DAY + 900 * quarter, step_s, prices, "EUR", priority, emergency, limit)
        assert add(book, table, DAY + since, DAY + since + valid_s) == ""
        model.append((priority, -number, DAY + since, DAY + since + valid_s, table))
    book = Book(shelf, 1000) if reboot else book
    model.sort(key=lambda one: one[:2])

    def expected(soc):
        valid = [one[4] for one in model if one[2] <= soc < one[3]]
        prices = [t.price_at(soc) for t in valid if t.price_at(soc) is not None]
        levels = [t.emergency[0] for t in valid if t.emergency and t.emergency[1] <= soc < t.emergency[2]]
        limits = [t.limit[0] for t in valid if t.limit and t.limit[1] <= soc < t.limit[2]]
        return [*prices, 1000][0], [*levels, 0][0], [*limits, None][0]

    now = DAY + after_s
    assert book.current(now)[1:] == expected(now)
    assert book.damaged == 0
    first, prices = book.prices(now, now + 18000)
    assert first <= now < first + 900
    assert list(prices) == [expected(max(now, first + 900 * i))[0] for i in range(len(prices))]
    assert now + 18000 <= first + 900 * len(prices) < now + 18900
    for what, at in ((EMERGENCY, 1), (LIMIT, 2)):
        windows = book.windows(what, now, now + 18000)
        assert all(a < b for a, b, _ in windows)
        assert all(one[1] <= two[0] for one, two in zip(windows, windows[1:], strict=False))
        for soc in {now, now + 17999, *(e + d for w in windows for e in w[:2] for d in (-1, 0))}:
            if now <= soc < now + 18000:
                inside = [value for a, b, value in windows if a <= soc < b]
                assert (inside or [None if what == LIMIT else 0])[0] == expected(soc)[at]


def test_damage_on_the_shelf_is_dropped_and_counted():
    shelf = Shelf()
    book = Book(shelf)
    add(book, hourly(1, DAY, [100] * 3, emergency=(1, DAY, DAY + 1)))
    add(book, hourly(2, DAY, [200] * 3, 0))
    good = dict(shelf.files)
    assert sorted(good) == ["tariff0", "tariff1"]
    for bit in range(8 * len(good["tariff1"])):
        bad = bytearray(good["tariff1"])
        bad[bit // 8] ^= 1 << bit % 8
        shelf.files["tariff1"] = bytes(bad)
        after = Book(shelf)
        assert after.damaged == 1 and after.current(DAY)[1] == 100
    for n in range(1, len(good["tariff1"])):
        shelf.files["tariff1"] = good["tariff1"][:n]
        assert Book(shelf).damaged == 1
    shelf.files.update(good, tariff2=good["tariff0"], tariff3=b"")
    after = Book(shelf)
    assert after.damaged == 1 and after.current(DAY)[1] == 200
    assert Book(shelf, currency="GBP").damaged == 3 and Book(shelf, currency="GBP").current()[0] is None
    assert add(after, hourly(3, DAY, [300], 0)) == "" and after.current(DAY)[1] == 300
    assert Book(shelf).current(DAY)[1] == 300


@examples(100)
@given(st.lists(st.binary(max_size=320), max_size=4))
def test_anything_on_the_shelf(files):
    shelf = Shelf()
    shelf.files = {f"tariff{i}": raw for i, raw in enumerate(files)}
    assert Book(shelf).damaged == len([raw for raw in files if raw])


@pytest.mark.parametrize("puts", range(7))
def test_a_shelf_that_fails(puts):
    shelf = Shelf(puts)
    book = Book(shelf)
    for i in range(6):
        said = add(book, hourly(i + 1, DAY, [i] * 24), DAY, DAY + 24 * HOUR, DAY)
        assert said == ("" if i < puts else "storage")
        kept = min(i, puts - 1) if puts else None
        # nothing is acted on that a power cut would take back
        assert book.current(DAY)[1] == Book(shelf).current(DAY)[1] == kept
        assert book.numbers() == Book(shelf).numbers()
    shelf.puts = None
    again = add(book, hourly(6, DAY, [5] * 24), DAY, DAY + 24 * HOUR, DAY)
    assert again == ("" if puts < 6 else "held")
    assert book.current(DAY)[1] == Book(shelf).current(DAY)[1] == 5
