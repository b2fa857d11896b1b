"""The readers of prices: whatever order, notation and mistakes, against slots made from integers."""

import json
import random
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmote.fault import Fault
from gridmote.tariff.check import Bounds, check
from gridmote.tariff.clock import Zone
from gridmote.tariff.day import cheapest
from gridmote.tariff.prices import Prices, Slot
from gridmote.tariff.rows import Wanted
from gridmote.tariff.source import read
from gridmote.tariff.units import price_of, unit_of
from host_tests.property import examples
from host_tests.tariff_rig import soc

STEPS = st.sampled_from((900, 1800, 3600))
# hours since 2026-01-01: all of 2026 and 2027, often near the changes of clocks
BEGINS = st.one_of(st.integers(0, 2 * 365 * 24), *(
    st.integers(-30, 6).map(lambda hours, at=at: (soc(at) - soc("2026-01-01T00:00Z")) // 3600 + hours)
    for at in ("2026-03-29T01:00Z", "2026-10-25T01:00Z", "2027-03-28T01:00Z", "2027-10-31T01:00Z")))
ZONES = st.sampled_from(("Europe/Rome", "Europe/London", "UTC", "Australia/Lord_Howe", "Asia/Kolkata"))
NAMES = {900: 15, 1800: 30, 3600: 60}


def iso(seconds):
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prices")


@given(begin=BEGINS, step_s=STEPS, zone=ZONES, number=st.integers(2, 120), ends=st.booleans(), down=st.booleans(),
       delimiter=st.sampled_from(",;\t|"), dots=st.booleans())
@examples(150)
def test_local_times_in_order_mean_what_clocks_showed(
        folder, begin, step_s, zone, number, ends, down, delimiter, dots):
    """From any slot on, over changes of clocks, unless the file begins or ends amid the hour that comes twice."""
    begin = soc("2026-01-01T00:00Z") + 3600 * begin
    slots = [(begin + i * step_s, begin + (i + 1) * step_s, 100 * i - 500) for i in range(number)]
    info = ZoneInfo(zone)
    if any(twice(at, info) for at in (slots[0][0], slots[-1][0])):
        return
    form = "%d.%m.%Y %H:%M" if dots else "%Y-%m-%d %H:%M"
    rows = [[f"{datetime.fromtimestamp(at, info):{form}}" for at in slot[:2]] + [str(slot[2])] for slot in slots]
    rows = [row if ends else [row[0], row[2]] for row in (rows[::-1] if down else rows)]
    head = ["start", "end", "ct/MWh"] if ends else ["start", "ct/MWh"]
    path = folder / "local.csv"
    path.write_text("\n".join(delimiter.join(row) for row in [head, *rows]))
    prices = read(path, Wanted(zone=Zone(zone), step_s=step_s))
    assert [tuple(slot[:3]) for slot in sorted(prices.slots)] == slots
    assert not any(finding.wrong for finding in check(prices, Bounds()) if finding.place)


def twice(seconds, info):
    local = datetime.fromtimestamp(seconds, info)
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


@given(data=st.data(), step_s=STEPS, number=st.integers(4, 60), seed=st.integers(0, 1 << 30))
@examples(100)
def test_any_order_of_entries_and_every_gap_and_overlap_is_found(folder, data, step_s, number, seed):
    begin = soc("2026-10-24T20:00Z")
    slots = [(begin + i * step_s, begin + (i + 1) * step_s) for i in range(number)]
    gone = data.draw(st.sets(st.integers(1, number - 2), max_size=3))
    again = data.draw(st.sets(st.integers(0, number - 1).filter(lambda i: i not in gone), max_size=3))
    entries = [{"value_inc_vat": 7, "valid_from": iso(a), "valid_to": iso(b)}
               for i, (a, b) in enumerate(slots) if i not in gone for _ in range(1 + (i in again))]
    random.Random(seed).shuffle(entries)
    path = folder / "shuffled.json"
    path.write_text(json.dumps(entries))
    prices = read(path, Wanted(zone=Zone("UTC")))
    found = [finding for finding in check(prices, Bounds()) if finding.wrong]
    doubles = [finding for finding in found if "is there twice" in finding.text]
    gaps = [finding for finding in found if "a gap of" in finding.text]
    assert len(found) == len(doubles) + len(gaps) and len(doubles) == len(again)
    runs = [i for i in sorted(gone) if i - 1 not in gone]
    assert len(gaps) == len(runs)
    for finding in gaps:  # it names the first entry behind the gap
        entry = entries[finding.place - 1]
        at = slots.index((soc(entry["valid_from"]), soc(entry["valid_to"])))
        assert at not in gone and at - 1 in gone
    begins = [entry["valid_from"] for entry in entries]
    told = any("out of order" in finding.text for finding in prices.remarks)
    assert told == (begins not in (sorted(begins), sorted(begins)[::-1]))


DIGITS = {"p/kWh": 3, "ct/kWh": 3, "EUR/MWh": 2, "EUR/kWh": 5, "p/MWh": 0, "JPY/kWh": 3}


@given(minor=st.integers(-10**9, 10**9), unit=st.sampled_from(sorted(DIGITS)), comma=st.booleans())
def test_prices_are_exact(minor, unit, comma):
    """Digits are moved as text; the same integer comes back, and as text again."""
    digits = DIGITS[unit]
    whole = str(abs(minor)).rjust(digits + 1, "0")
    text = ("-" if minor < 0 else "") + (f"{whole[:-digits]}.{whole[-digits:]}" if digits else whole)
    given_text = text.replace(".", ",") if comma else text
    assert price_of(given_text, unit_of(unit)) == (minor, False)
    assert price_of(unit_of(unit).exact(minor), unit_of(unit)) == (minor, False)


@pytest.mark.parametrize(("text", "unit", "minor", "rounded"), [
    ("17.325", "p/kWh", 17325, False), ("22.3965", "p/kWh", 22396, True), ("22.3975", "p/kWh", 22398, True),
    ("-0.0005", "p/kWh", 0, True), ("-0.00051", "p/kWh", -1, True), ("85.2", "EUR/MWh", 8520, False),
    ("0.1", "€/kWh", 10_000, False), ("1e2", "ct/kWh", 100_000, False), ("+3,5", "SEK/MWh", 350, False),
    ("99999999999999999999.99999999999999999999", "p/kWh", 10**23, True), ("5", "KWD/MWh", 5000, False),
])
def test_prices_by_hand(text, unit, minor, rounded):
    assert price_of(text, unit_of(unit)) == (minor, rounded)


@pytest.mark.parametrize("text", ["", "-", "1_000", "1.000,5", "1,000.5", "0x10", "inf", "NaN", "1e999", "٣"])
def test_what_is_no_price(text):
    with pytest.raises(ValueError, match="not a number"):
        price_of(text, unit_of("p/kWh"))


@given(text=st.text(max_size=200) | st.from_regex(r"(start|[0-9:.TZ ,;+-]|price|ct/kWh|\n){0,40}", fullmatch=True))
@examples(200)
def test_any_text_is_read_or_a_fault(folder, text):
    path = folder / "any"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    try:
        prices = read(path, Wanted(unit=unit_of("ct/kWh"), zone=Zone("Europe/Rome")))
    except Fault as fault:
        assert str(fault).startswith(str(path))
    else:
        check(prices, Bounds())


@given(values=st.lists(st.integers(-100, 100), min_size=1, max_size=40), quarters=st.integers(1, 24), step_s=STEPS,
       hole=st.integers(0, 40))
def test_the_cheapest_window_is_that_of_brute_force(values, quarters, step_s, hole):
    slots = [Slot(i * step_s, (i + 1) * step_s, value, i) for i, value in enumerate(values) if i != hole]
    by_quarter = {at: slot.price for slot in slots for at in range(slot.begin, slot.end, 900)}
    options = []
    for slot in slots:
        parts = [by_quarter.get(slot.begin + 900 * i) for i in range(quarters)]
        if None not in parts:
            options.append((Fraction(sum(parts), quarters), slot.begin))
    best = cheapest(slots, 900 * quarters)
    assert (best and (best.mean, best.begin)) == min(options, default=None)


@pytest.mark.parametrize(("text", "columns", "slots"), [
    ("Price [EUR/MWh];MTU (UTC)\n12,5;01/05/2026 00:00 - 01/05/2026 01:00\n", None,
     [("2026-05-01T00:00Z", "2026-05-01T01:00Z", 1250)]),
    ("value_exc_vat,valid_from,valid_to\n1.5,2026-05-01T00:00Z,2026-05-01T00:30Z\n", None,
     [("2026-05-01T00:00Z", "2026-05-01T00:30Z", 150)]),
    ("\ufeff2026-05-01T00:00Z;2026-05-01T01:00Z;7\n\n2026-05-01T01:00+00:00;2026-05-01T03:00+0100;8\n", None,
     [("2026-05-01T00:00Z", "2026-05-01T01:00Z", 700), ("2026-05-01T01:00Z", "2026-05-01T02:00Z", 800)]),
    ("1777593600,7\n1777597200,8\n", None,
     [("2026-05-01T00:00Z", "2026-05-01T01:00Z", 700), ("2026-05-01T01:00Z", "2026-05-01T02:00Z", 800)]),
    ('"Ora d\'inizio","Prezzo","Nota"\n"2026-05-01 02:00","7,5","a, b"\n"2026-05-01 03:00","8","c\nd"\n'
     '"2026-05-01 04:00","9",""\n', None,
     [("2026-05-01T00:00Z", "2026-05-01T01:00Z", 750), ("2026-05-01T01:00Z", "2026-05-01T02:00Z", 800),
      ("2026-05-01T02:00Z", "2026-05-01T03:00Z", 900)]),
    ("x|y|z\n9|2026-05-01T00:00Z|7\n9|2026-05-01T00:15Z|8\n", ("Y", "3"),
     [("2026-05-01T00:00Z", "2026-05-01T00:15Z", 700), ("2026-05-01T00:15Z", "2026-05-01T00:30Z", 800)]),
])
def test_notations(tmp_path, text, columns, slots):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    wanted = Wanted(unit=unit_of("EUR/MWh"), zone=Zone("Europe/Rome"), columns=columns, day_first=True)
    expected = [(soc(begin), soc(end), price) for begin, end, price in slots]
    assert [tuple(slot[:3]) for slot in read(path, wanted).slots] == expected


def test_vat_and_what_is_rounded(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"results": [{"value_exc_vat": 21.33, "value_inc_vat": 22.3965, '
                    '"valid_from": "2026-05-01T00:00:00Z", "valid_to": "2026-05-01T01:30:00+01:00"}]}')
    prices = read(path, Wanted())
    assert prices.slots == (Slot(soc("2026-05-01T00:00Z"), soc("2026-05-01T00:30Z"), 22396, 1),)
    assert [remark.text for remark in prices.remarks] == [
        "1 price is rounded to a whole p/MWh, a half to the even one"]
    assert read(path, Wanted(vat=False)).slots[0].price == 21330
    assert isinstance(prices, Prices) and prices.zone.name == "Europe/London" and prices.unit.currency == "GBP"
