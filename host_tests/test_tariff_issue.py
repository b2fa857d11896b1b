"""Prices to tables for nodes: whole, in as few as hold them, each standing alone, and as a node reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmote.fault import Fault
from gridmote.tariff.clock import Zone, moment
from gridmote.tariff.issue import HELD, Wish, issues, summary
from gridmote.tariff.prices import Prices, Slot
from gridmote.tariff.units import unit_of
from host_tests.mpy.plain_shelf import Shelf
from host_tests.property import examples
from host_tests.tariff_rig import CHANGES, soc
from tariff.book import Book
from tariff.table import MOST, decode

NOW = soc("2026-10-24T15:00Z")
ROME = Zone("Europe/Rome")


def prices_of(begin, step_s, values, unit="EUR/MWh"):
    slots = [Slot(begin + i * step_s, begin + (i + 1) * step_s, value, i + 1) for i, value in enumerate(values)]
    return Prices("prices.csv", "line", unit_of(unit), ROME, tuple(slots))


def taken(found, now, currency="EUR"):
    """A node's Book that has them all."""
    book = Book(Shelf(), currency=currency)
    for issue in found:
        body = issue.body()
        assert len(body) == issue.size <= MOST
        assert not isinstance(decode(body, 0, len(body)), str)
        assert book.add(body, 0, len(body), issue.since, issue.until, now) == ""
    return book


@pytest.mark.parametrize("minutes", (15, 30, 60))
@pytest.mark.parametrize("facts", CHANGES.values())
def test_a_day_of_clocks_that_change_is_one_table_even_with_emergency_and_limit(facts, minutes):
    begin, end, hours = facts
    values = [8520 + 317 * i for i in range(hours * 60 // minutes)]
    prices = prices_of(soc(begin), 60 * minutes, values)
    now = soc(begin) - 3600
    wish = Wish(now, emergency=(3, now, now + 7200), limit=(3000, now, now + 7200), number=77)
    found, passed = issues(prices, wish)
    assert (len(found), passed) == (1, 0) and found[0].until == soc(end)
    book = taken(found, now)
    for i, value in enumerate(values):
        assert book.current(soc(begin) + 60 * minutes * i)[1] == value
    assert book.current(soc(end))[1] is None
    assert book.current(now)[2:] == (3, 3000) and book.current(now + 7200)[2:] == (0, None)


RUN = st.tuples(st.sampled_from((900, 1800, 3600)), st.integers(1, 160), st.integers(0, 3))


@given(runs=st.lists(RUN, min_size=1, max_size=3), start=st.integers(-50, 50), data=st.data())
@examples(60)
def test_what_a_node_reads_is_what_the_file_has(runs, start, data):
    at, slots = NOW + 900 * start, []
    wild = data.draw(st.sampled_from((100, 40_000, 10**9)))
    for step_s, count, gap in runs:
        for value in data.draw(st.lists(st.integers(-wild, wild), min_size=count, max_size=count)):
            slots.append(Slot(at, at + step_s, value, len(slots) + 1))
            at += step_s
        at += 3600 * gap
    prices = Prices("prices.csv", "line", unit_of("ct/MWh"), ROME, tuple(slots))
    try:
        found, passed = issues(prices, Wish(NOW))
    except Fault as fault:
        assert "all of its prices have passed" in str(fault) or "a node holds 4" in str(fault)
        return
    assert passed == sum(slot.end <= NOW for slot in slots)
    assert [issue.table.number for issue in found] == list(range(1, len(found) + 1)) and len(found) <= HELD
    book = taken(found, NOW)
    for slot in slots[passed:]:
        assert book.current(max(slot.begin, NOW))[1] == slot.price
        assert book.current(slot.end - 1)[1] == slot.price
    for other in found:  # each alone
        alone = taken([other], NOW)
        for slot in slots:
            if other.table.start <= slot.begin < other.table.end and slot.end > NOW:
                assert alone.current(slot.end - 1)[1] == slot.price


def test_bounds():
    with pytest.raises(Fault, match=r"^prices.csv: all of its prices have passed: it ends at 2026-10-24 17:00$"):
        issues(prices_of(NOW - 7200, 3600, [1, 2]), Wish(NOW))
    with pytest.raises(Fault, match=r"5 tables, but a node holds 4: sign less at once"):
        issues(prices_of(NOW, 900, [0] * (4 * 132 + 1)), Wish(NOW))
    assert len(issues(prices_of(NOW, 900, [0] * (4 * 132)), Wish(NOW))[0]) == 4
    with pytest.raises(Fault, match=r"price 1073741824 of slot 0 is beyond"):
        issues(prices_of(NOW, 900, [1 << 30]), Wish(NOW))
    with pytest.raises(Fault, match=r"valid until a time that is not after"):
        issues(prices_of(NOW, 900, [1]), Wish(NOW, NOW))
    with pytest.raises(Fault, match=r"emergency 4 is not 0 to 3"):
        issues(prices_of(NOW, 900, [1]), Wish(NOW, emergency=(4, NOW, NOW + 1)))


def test_an_alert_without_prices_leaves_prices_alone():
    found, _ = issues(prices_of(NOW, 3600, [7, 8]), Wish(NOW))
    alert, passed = issues(None, Wish(NOW + 60, emergency=(3, NOW + 60, NOW + 660), number=2, currency="EUR"))
    assert passed == 0 and len(alert) == 1 and alert[0].until == NOW + 660
    book = taken([*found, *alert], NOW + 60)
    assert book.current(NOW + 60)[1:] == (7, 3, None) and book.current(NOW + 3600)[1:] == (8, 0, None)
    assert summary(alert[0], ROME, None) == "tariff 2: emergency 3 from 2026-10-24 17:01 to 2026-10-24 17:11"
    with pytest.raises(Fault, match="neither a price nor an emergency nor a limit"):
        issues(None, Wish(NOW, currency="EUR"))


def test_summary():
    prices = prices_of(soc("2026-10-24T22:00Z"), 3600, range(-500, 9500, 400))
    found, _ = issues(prices, Wish(NOW, emergency=(2, NOW, NOW + 900), limit=(3000, NOW, NOW + 900), number=9))
    assert summary(found[0], ROME, prices.unit) == (
        "tariff 9: 25 hours of EUR from 2026-10-25 00:00 to 2026-10-26 00:00, -5.00 to 91.00 EUR/MWh; emergency 2 "
        "from 2026-10-24 17:00 to 2026-10-24 17:15; limit 3,000 W from 2026-10-24 17:00 to 2026-10-24 17:15")


@pytest.mark.parametrize(("text", "utc"), [
    ("now", "2026-10-24T15:00Z"), ("+90min", "2026-10-24T16:30Z"), ("+2h", "2026-10-24T17:00Z"),
    ("+1d", "2026-10-25T15:00Z"), ("2026-10-25 01:30", "2026-10-24T23:30Z"),
    ("2026-10-25 03:30", "2026-10-25T02:30Z"), ("2026-10-25T02:30+01:00", "2026-10-25T01:30Z"),
    ("1792800000", "2026-10-24T00:00Z"),
])
def test_moments(text, utc):
    assert moment(text, ROME, NOW) == soc(utc)


@pytest.mark.parametrize(("text", "said"), [
    ("2026-10-25 02:30", r"comes twice in Europe/Rome: 2026-10-25T02:30\+02:00 or 2026-10-25T02:30\+01:00\?"),
    ("2026-03-29 02:30", "does not exist in Europe/Rome"),
    ("soon", r"time 'soon': expected something like .*now, "),
])
def test_what_is_no_moment(text, said):
    with pytest.raises(Fault, match=said):
        moment(text, ROME, NOW)
