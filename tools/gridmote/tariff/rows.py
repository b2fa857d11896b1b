"""From the rows of a file, as its reader has taken them, to slots: what time each means, and where it ends."""

from collections import Counter
from typing import NamedTuple

from gridmote.fault import Fault
from gridmote.tariff.clock import Zone, in_order
from gridmote.tariff.prices import STEPS_S, Finding, Prices, Slot, lasting, said

_TOLD = 10  # mistakes of a file


class Wanted(NamedTuple):
    """What whoever typed the command says of the file."""

    unit: object = None  # units.Unit; None: what the file tells
    zone: object = None  # clock.Zone of times without offset, and of days
    vat: bool = True  # the prices with VAT, where there are both
    columns: tuple | None = None  # (start, price) or (start, price, end): titles or numbers from 1, of a CSV
    day_first: bool = False  # 03/04/2026 is in April
    step_s: int | None = None  # of a CSV that tells no ends


class Row(NamedTuple):
    place: int
    options: list  # what its begin can mean, POSIX seconds
    begin: object  # datetime as it is written
    end: object  # the same; None where the file tells none
    price: int  # minor units per MWh
    rounded: bool


class NoOffset(ValueError):
    """A time that does not say whose clock it is."""


def options(given, zone):
    """Of Row; ValueError, NoOffset."""
    if given.tzinfo is None and zone is None:
        raise NoOffset(f"time {given:%Y-%m-%d %H:%M} says no offset from UTC: "
                         "whose clock is it? --zone Europe/Rome, or another")
    return zone.options(given) if zone else [int(given.timestamp())]


def settled(path, kind, rows, mistakes, unit, wanted, about, remarks):
    """-> Prices. mistakes: [Finding] of the rows that could not be taken; Fault if there are any, or come up."""
    zone = wanted.zone or Zone("UTC")
    head = Prices(path, kind, unit, zone, ())
    complain(head, mistakes)
    if not rows:
        raise Fault(f"{path}: no prices in it")
    begins, out = in_order([row.options for row in rows])
    if out is not None:
        unclear = next((row for row in rows if len(row.options) > 1), None)
        if unclear:
            complain(head, [Finding(True, unclear.place, (
                f"{unclear.begin:%Y-%m-%d %H:%M} comes twice in {zone.name} and {kind} {rows[out].place} is out of "
                "order: which of the two it is cannot be told; sort the file, or write offsets from UTC"))])
        remarks = [*remarks, Finding(False, rows[out].place, "out of order; taken in the order of time")]
    ends = _ends(head, rows, begins, zone, wanted.step_s)
    slots = tuple(Slot(begin, end, row.price, row.place)
                  for row, begin, end in zip(rows, begins, ends, strict=True))
    rounded = sum(row.rounded for row in rows)
    if rounded:
        remarks = [*remarks, Finding(False, None, (
            f"{rounded:,} price{' is' if rounded == 1 else 's are'} rounded to a whole {unit.minor}/MWh, a half to "
            "the even one"))]
    return head._replace(slots=slots, remarks=tuple(remarks), about=about)


def complain(prices, findings):
    """Fault with each on a line, the first ones of many."""
    if findings:
        told = [said(prices, finding) for finding in findings[:_TOLD]]
        if len(findings) > _TOLD:
            told.append(f"and {len(findings) - _TOLD:,} more")
        raise Fault("\n".join(told))


def _ends(head, rows, begins, zone, step_s):
    if rows[0].end is None:
        step_s = step_s or _step(head, rows, begins)
        return [begin + step_s for begin in begins]
    ends, mistakes = [], []
    for row, begin in zip(rows, begins, strict=True):
        try:
            ends.append(zone.end(begin, row.begin, row.end))
        except ValueError as error:
            mistakes.append(Finding(True, row.place, str(error)))
    complain(head, mistakes)
    return ends


def _step(head, rows, begins):
    """Seconds of each slot, where only begins are told: the most frequent distance. Fault where that is unclear."""
    order = sorted(range(len(rows)), key=begins.__getitem__)
    gaps = [begins[b] - begins[a] for a, b in zip(order, order[1:], strict=False)]
    counts = Counter(gap for gap in gaps if gap in STEPS_S)
    if not counts:
        raise Fault(f"{head.path}: how long is a price valid? No column tells the end; --step says the minutes")
    usual = max(counts, key=lambda step_s: (counts[step_s], -step_s))
    for i in range(len(gaps) - 2):
        if gaps[i] != usual and gaps[i] in STEPS_S and gaps[i] == gaps[i + 1] == gaps[i + 2]:
            complain(head, [Finding(True, rows[order[i]].place, (
                f"steps of {lasting(gaps[i])} begin here, others are of {lasting(usual)}: "
                "a column with the end of each price is needed to tell them from gaps"))])
    return usual
