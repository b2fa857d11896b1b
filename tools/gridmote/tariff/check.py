"""What is wrong with prices: overlaps, gaps, absurd ones, days on which clocks change, steps that no table has."""

from typing import NamedTuple

from gridmote.tariff.day import days_of
from gridmote.tariff.prices import STEPS_S, Finding, counted, lasting

_QUARTER_S = 900  # a table begins at whole quarters of an hour
_USUAL = (500, 60_000)  # minor units per MWh: 0.5 to 60 ct/kWh, in which the middle one of real prices lies
_LAST = 1 << 32  # seconds in a table have 32 bits
_NAMED = 6  # missing slots of a day by their time


class Bounds(NamedTuple):
    """Prices beyond are absurd; minor units per MWh. Those of Europe's day-ahead market: -500 and 4,000 EUR/MWh."""

    least: int = -50_000
    most: int = 400_000


def check(prices, bounds):
    """-> [Finding], those of the reader first; then by place."""
    found = [*_each(prices, bounds), *_pairs(prices), *_days(prices), *_whole(prices)]
    return [*prices.remarks, *sorted(found, key=lambda finding: (finding.place or 0, not finding.wrong))]


def _each(prices, bounds):
    unit, when = prices.unit, prices.zone.when
    for slot in prices.slots:
        if not bounds.least <= slot.price <= bounds.most:
            yield Finding(True, slot.place, (
                f"{unit.exact(slot.price)} {unit.text} from {when(slot.begin)} is absurd: not between "
                f"{unit.exact(bounds.least)} and {unit.exact(bounds.most)} (--least, --most)"))
        if slot.end <= slot.begin:
            yield Finding(True, slot.place, f"ends at {when(slot.end)}, not after its begin at {when(slot.begin)}")
        elif slot.step_s not in STEPS_S:
            yield Finding(True, slot.place, (
                f"{when(slot.begin)} to {when(slot.end)} is {lasting(slot.step_s)}: a table has steps of 15, 30 or "
                "60 min"))
        if slot.begin % _QUARTER_S:
            yield Finding(True, slot.place, f"begins at {when(slot.begin)}:{slot.begin % 60:02d}, "
                                            "not at a whole quarter of an hour")
        if not 0 <= slot.begin < slot.end < _LAST and slot.end > slot.begin:
            yield Finding(True, slot.place, f"{when(slot.begin)} is beyond what a table can tell")


def _pairs(prices):
    """Overlaps, gaps and changes of the step, of neighbours in time."""
    when, kind = prices.zone.when, prices.kind
    slots = sorted(prices.slots)
    last = slots[0]  # that ends last
    for slot in slots[1:]:
        if slot.begin == last.begin and slot.end == last.end:
            same = "the same price" if slot.price == last.price else "another price"
            yield Finding(True, slot.place, f"{when(slot.begin)} is there twice: {kind} {last.place} has {same}")
        elif slot.begin < last.end:
            yield Finding(True, slot.place, (
                f"begins at {when(slot.begin)} and overlaps {kind} {last.place}, which ends at {when(last.end)}"))
        elif slot.begin > last.end:
            yield Finding(True, slot.place, (
                f"a gap of {lasting(slot.begin - last.end)} before it: nothing from {when(last.end)} to "
                f"{when(slot.begin)}"))
        elif slot.step_s != last.step_s and slot.step_s in STEPS_S and last.step_s in STEPS_S:
            yield Finding(False, slot.place, (
                f"the step changes from {lasting(last.step_s)} to {lasting(slot.step_s)} at {when(slot.begin)}: "
                "a new table begins there"))
        last = max(last, slot, key=lambda each: each.end)


def _days(prices):
    """Those on which clocks change: what they lack, or have twice. Of others gaps and overlaps tell it all."""
    days = days_of(prices)
    for i, day in enumerate(days):
        holes, doubles = (day.holes(), day.doubles()) if day.changes else ((), ())
        if not holes and not doubles:
            continue
        there = f"{day.full - len(holes):,} of {counted(day.full, day.step_s)}"
        names = [f"missing {_named(prices, holes)}"] if holes else []
        names += [f"double {_named(prices, doubles)}"] if doubles else []
        text = f"{day.date}, a day of {float(day.hours):g} hours, has {there}; {'; '.join(names)}"
        edge = not doubles and _at_edge(day, holes, i == 0, i == len(days) - 1)
        ordinary = day.full - len(holes) == 86400 // day.step_s
        if ordinary:
            text += "; made for a day of 24 hours?"
        yield Finding(not edge or ordinary, None, text)


def _at_edge(day, holes, first, last):
    """Whether what is missing is only before the first price of the file, or after its last one."""
    begin, end = day.slots[0].begin, max(slot.end for slot in day.slots)
    return all(first and hole < begin or last and hole >= end for hole in holes)


def _named(prices, begins):
    shown = ", ".join(prices.zone.of_day(begin) for begin in begins[:_NAMED])
    return shown + (f" and {len(begins) - _NAMED} more" if len(begins) > _NAMED else "")


def _whole(prices):
    middle = sorted(abs(slot.price) for slot in prices.slots)[len(prices.slots) // 2]
    if not _USUAL[0] <= middle <= _USUAL[1]:
        yield Finding(False, None, (
            f"the middle one of the prices is {prices.unit.exact(middle)} {prices.unit.text}: is the unit right?"))
