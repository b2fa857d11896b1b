"""From prices to tables that nodes take, each of which stands alone, and what is to be told of them."""

from array import array
from typing import NamedTuple

from gridmote.fault import Fault
from gridmote.tariff.prices import counted
from tariff.encode import encode_into, size, split
from tariff.table import MOST, NO_LIMIT, QUARTER, Table

HELD = 4  # tables that a node holds at once (lib/tariff/book.py)
AHEAD_S = 32 * 86400  # a validity that begins later is refused by nodes (lib/gossip/trust.py)


class Wish(NamedTuple):
    """What is asked of the tables; times in POSIX seconds."""

    since: int  # valid from
    until: int | None = None  # valid until; None: as long as each table says something
    priority: int = 128
    emergency: tuple | None = None  # (level, from, until)
    limit: tuple | None = None  # (W, from, until)
    number: int = 1  # of the first table
    currency: str = ""  # of an alert without prices


class Issue(NamedTuple):
    """A table and its validity."""

    table: object
    since: int
    until: int

    def body(self):
        buf = bytearray(MOST)
        return bytes(buf[:encode_into(buf, 0, self.table)])

    @property
    def size(self):
        return size(self.table)


def issues(prices, wish):
    """-> ([Issue] in the order of time, how many prices had passed). prices: None for an alert."""
    slots = sorted(prices.slots) if prices else []
    coming = [slot for slot in slots if slot.end > wish.since]
    if slots and not coming:
        raise Fault(f"{prices.path}: all of its prices have passed: it ends at {prices.zone.when(slots[-1].end)}")
    try:
        tables = []
        for run in _runs(coming) if coming else [[]]:
            tables += split(_table(prices, run, wish, wish.number + len(tables)))
    except ValueError as error:
        raise Fault(f"{prices.path}: {error}" if prices else str(error)) from None
    found = [Issue(table, wish.since, wish.until or _end(table)) for table in tables]
    _complain(found, wish)
    return found, len(slots) - len(coming)


def _runs(slots):
    """Lists of slots of one step without a gap between them."""
    found = [[slots[0]]]
    for last, slot in zip(slots, slots[1:], strict=False):
        if slot.begin == last.end and slot.step_s == last.step_s:
            found[-1].append(slot)
        else:
            found.append([slot])
    return found


def _table(prices, run, wish, number):
    start = run[0].begin if run else wish.since // QUARTER * QUARTER
    values = array("q", [slot.price for slot in run])
    currency = prices.unit.currency if prices else wish.currency
    return Table(number, start, run[0].step_s if run else QUARTER, values, currency, wish.priority, wish.emergency,
                 wish.limit)


def _end(table):
    return max([table.end, *(window[2] for window in (table.emergency, table.limit) if window)])


def _complain(found, wish):
    if len(found) > HELD:
        raise Fault(f"{len(found)} tables, but a node holds {HELD}: sign less at once (--from, --until)")
    for issue in found:
        if issue.until <= issue.since:
            raise Fault("valid until a time that is not after that from which it is valid")


def summary(issue, zone, unit):
    """One line for a person."""
    table, said = issue.table, []
    if table.prices:
        values = list(table.prices)
        said.append(f"{counted(len(values), table.step_s)} of {table.currency} from {zone.when(table.start)} to "
                    f"{zone.when(table.end)}, {unit.short(min(values))} to {unit.short(max(values))} {unit.text}")
    if table.emergency:
        level, begin, end = table.emergency
        said.append(f"emergency {level} from {zone.when(begin)} to {zone.when(end)}")
    if table.limit:
        watts, begin, end = table.limit
        amount = "no limit" if watts == NO_LIMIT else f"limit {watts:,} W"
        said.append(f"{amount} from {zone.when(begin)} to {zone.when(end)}")
    return f"tariff {table.number}: {'; '.join(said)}"
