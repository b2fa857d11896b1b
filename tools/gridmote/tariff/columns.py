"""Prices of a CSV: a column with the begin of each, one with the price, perhaps one with the end."""

import csv
import io
import re
from typing import NamedTuple

from gridmote.fault import Fault
from gridmote.tariff.clock import Zone, parsed
from gridmote.tariff.prices import Finding
from gridmote.tariff.rows import NoOffset, Row, options, settled
from gridmote.tariff.units import is_number, price_of, unit_in

_DELIMITERS = ";\t|,"  # a comma last: it may be the decimal one
_SAMPLE = 20  # lines that tell the delimiter
_TITLES = {  # words of a title by what its column is, the most telling ones first
    "end": ("valid to", "end", "until", "to", "bis", "fine"),
    "start": ("valid from", "start", "begin", "from", "von", "inizio", "timestamp", "datetime", "time", "mtu",
              "zeit", "date", "datum", "hour", "ora"),
    "price": ("value inc vat", "price", "value", "preis", "prezzo", "prix", "tariff", "cost", "rate"),
}
_TITLES["without"] = ("value exc vat", *_TITLES["price"][1:])


class _Places(NamedTuple):
    """Which cell is what, counted from 0."""

    count: int  # of cells in a row
    start: int
    price: int
    end: int | None
    titles: list | None  # None: the file begins with its first price


def read(path, text, wanted):
    """-> Prices; Fault."""
    delimiter, lines = _lines(path, text)
    at = _places(path, lines[0][1], wanted)
    unit, zone = wanted.unit, wanted.zone
    if at.titles:
        lines = lines[1:]
        unit = unit or unit_in(at.titles[at.price])
        if "utc" in _words(at.titles[at.start]):
            zone = Zone("UTC")
    if unit is None:
        raise Fault(f"{path}: which unit have the prices? --unit EUR/MWh, or another")
    rows, mistakes = [], []
    for line, cells in lines:
        try:
            rows.append(_row(line, cells, at, unit, zone, wanted.day_first))
        except ValueError as error:
            comma = len(cells) > at.count and delimiter == ","
            hint = "; a decimal comma needs quotes around it, or another delimiter" if comma else ""
            mistakes.append(Finding(True, line, f"{error}{hint}"))
            if isinstance(error, NoOffset):
                break  # the others are no better
    return settled(path, "line", rows, mistakes, unit, wanted, "CSV", [])


def _row(line, cells, at, unit, zone, day_first):
    """-> Row; ValueError."""
    if len(cells) < at.count or any(cells[at.count:]):
        raise ValueError(f"{len(cells)} cells, but the first line has {at.count}")
    start, end = cells[at.start], None if at.end is None else cells[at.end]
    if end is None and " - " in start:  # as ENTSO-E writes it
        start, end = start.split(" - ", 1)
    begin = parsed(start, day_first)
    price, rounded = price_of(cells[at.price], unit)
    return Row(line, options(begin, zone), begin, None if end is None else parsed(end, day_first), price, rounded)


def _lines(path, text):
    """(delimiter, [(line, stripped cells)] that are not empty, at least one); Fault."""
    head = "\n".join(text.splitlines()[:_SAMPLE])
    widths = {}
    for delimiter in _DELIMITERS:
        try:
            counts = [len(cells) for cells in csv.reader(io.StringIO(head), delimiter=delimiter) if cells]
        except csv.Error:
            counts = []
        widths[delimiter] = (min(counts, default=0) > 1, max(counts, default=0))
    delimiter = max(_DELIMITERS, key=lambda each: (widths[each][0], widths[each][1] if not widths[each][0] else 0))
    if widths[delimiter][1] < 2:
        raise Fault(f"{path}: no CSV: start and price are wanted, with comma, semicolon, tab or | between them")
    lines = list(_split(path, text, delimiter))
    if not lines:
        raise Fault(f"{path}: nothing in it")
    return delimiter, lines


def _split(path, text, delimiter):
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in table:
            begin, line = line, table.line_num + 1
            if any(cell.strip() for cell in cells):
                yield begin, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise Fault(f"{path}:{line}: {error}") from None


def _places(path, first, wanted):
    """-> _Places from the first row, and from what is wanted; Fault."""
    times = [i for i, cell in enumerate(first) if _is_time(cell.split(" - ", 1)[0])]
    if wanted.columns:
        found = [_named(path, first, name) for name in wanted.columns]
        return _Places(len(first), found[0], found[1], found[2] if len(found) > 2 else None,
                       None if found[0] in times else first)
    if times:
        others = [i for i, cell in enumerate(first) if i not in times and is_number(cell)]
        if len(others) != 1 or len(times) > 2:
            raise Fault(f"{path}: no titles, and which is the price? --columns 1,2 (start, price) or 1,2,3 (end)")
        return _Places(len(first), times[0], others[0], times[1] if len(times) > 1 else None, None)
    end = _titled(path, first, "end", ())
    start = _titled(path, first, "start", (end,))
    words = "price" if wanted.vat else "without"
    price = _titled(path, first, words, (start, end))
    if price is None:
        price = next((i for i, title in enumerate(first) if unit_in(title)), None)
    for what, found in (("the begin", start), ("the price", price)):
        if found is None:
            raise Fault(f"{path}: which column is {what}? --columns START,PRICE or START,PRICE,END: titles or "
                        f"numbers; it has {', '.join(first)[:200]}")
    return _Places(len(first), start, price, end, first)


def _is_time(cell):
    try:
        return bool(parsed(cell, True))
    except ValueError:
        return False


def _named(path, first, name):
    """Number of the column of that title or number from 1; Fault."""
    for i, title in enumerate(first):
        if title.lower() == name.lower() or str(i + 1) == name:
            return i
    raise Fault(f"{path}: no column {name!r}; it has {', '.join(first)[:200]}")


def _words(title):
    return set(re.split(r"[\W_]+", title.lower()))


def _titled(path, titles, what, taken):
    """Number of the column that is `what` by its title, None for none; Fault where it could be two."""
    for words in _TITLES[what]:
        found = [i for i, title in enumerate(titles) if i not in taken and set(words.split()) <= _words(title)]
        if len(found) > 1:
            raise Fault(f"{path}: {titles[found[0]]!r} and {titles[found[1]]!r}: which of them? "
                        "--columns START,PRICE or START,PRICE,END")
        if found:
            return found[0]
    return None
