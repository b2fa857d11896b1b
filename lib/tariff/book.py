"""Which tariff applies: the tables a node holds, each valid for its time, kept through reboots."""

from array import array
from binascii import crc32
from struct import pack, unpack_from

from tariff.table import NO_LIMIT, QUARTER, decode

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_TABLES = const(4)  # held at once: today's, tomorrow's, and an alert or two
_QUARTERS = const(384)  # four days: most that `prices` gives
_BY = const(5)  # bytes that say who signed a table
_UNKNOWN = const(-0x40000000)  # no price is so low
EMERGENCY, LIMIT, PRICE = range(3)  # what a table may say


class _Held:
    """A table that is held: valid from `since` until before `until`, signed `by`, in file `place`."""

    def __init__(self, table, since, until, by, place):
        self.table = table
        self.since = since
        self.until = until
        self.by = by
        self.place = place

    def span(self, what):
        """(from, until) where it says `what`; until is not later than from if nowhere."""
        table = self.table
        window = (table.emergency, table.limit, (0, table.start, table.end))[what]
        return (max(self.since, window[1]), min(self.until, window[2])) if window else (0, 0)

    def value(self, what, soc):
        """The level, the W or the price at a SOC within its span."""
        table = self.table
        return table.price_at(soc) if what == PRICE else (table.limit if what else table.emergency)[0]


def _rank(held):
    return held.table.priority, -held.table.number


class Book:
    """At most four tables. At any time, the first one that says something counts, of those valid then, by priority
    (least first), then number (greatest first); else the default price (or None), level 0 and no limit (None).

    shelf: get(name) -> bytes or None, put(name, data) whole or not at all, raises OSError. currency: the only one
    that is taken; "": any, and amounts in several are not told apart. damaged: tables on the shelf that were
    dropped for damage (or their currency). ended(by): whether what was signed `by` is void by now, five bytes;
    None: nothing is. place: of the last table that was taken, or held already.
    """

    def __init__(self, shelf, default=None, currency="", ended=None):
        self._shelf = shelf
        self.default = default
        self._currency = currency
        self._ended = ended
        self.damaged = 0
        self._held = []  # in the order of _rank
        for place in range(_TABLES):
            blob = shelf.get("tariff%d" % place)
            if blob and not self._restore(blob, place):
                self.damaged += 1

    def _restore(self, blob, place):
        n = len(blob) - 12 - _BY
        if n < 0 or unpack_from(">I", blob, n + 8 + _BY)[0] != crc32(blob[:-4]):
            return False
        by = blob[8 + n : -4]
        if self._ended and self._ended(by):
            return True
        table = decode(blob, 8, n)
        if isinstance(table, str) or self.holds(table.number) or self._foreign(table):
            return False
        since, until = unpack_from(">II", blob, 0)
        self._keep(_Held(table, since, until, by, place))
        return True

    def _foreign(self, table):
        return self._currency and table.currency != self._currency

    def _keep(self, held):
        self._held.append(held)
        self._held.sort(key=_rank)

    def drop(self):
        """What was signed by those who are not believed any more goes; a start finds it void again."""
        self._held = [held for held in self._held if not self._ended(held.by)]

    def add(self, buf, off, n, since, until, now=None, by=bytes(_BY)):
        """Take the table in buf[off:off + n], valid from since until before `until`, signed `by`. now: SOC; if that
        is not known a time that has passed for sure, or None.

        "": taken, and on the shelf. "held": it was already. Else why not: what `decode` says, "expired",
        "currency", "number" (of another that is held), "full" (of four that are needed, it would be the last in
        order), "storage" (the shelf did not take it: nothing has changed).
        """
        table = decode(buf, off, n)
        if isinstance(table, str):
            return table
        if since >= until or now is not None and until <= now:
            return "expired"
        blob = pack(">II", since, until) + bytes(buf[off : off + n]) + by
        blob += pack(">I", crc32(blob))
        new, out = _Held(table, since, until, by, 0), None
        for held in self._held:
            if held.table.number == table.number:
                kept = self._shelf.get("tariff%d" % held.place)
                if kept and kept[: -4 - _BY] != blob[: -4 - _BY]:
                    return "number"
                if held.by == by:
                    self.place = held.place
                    return "held"
                out = held  # the same, signed anew
        if self._foreign(table):
            return "currency"
        if not out and len(self._held) == _TABLES:
            out = self._worst(new, now or 0)
            if out is new:
                return "full"
        taken = [held.place for held in self._held if held is not out]
        while out and new.place != out.place or new.place in taken:
            new.place += 1
        try:
            self._shelf.put("tariff%d" % new.place, blob)
        except OSError:
            return "storage"
        if out:
            self._held.remove(out)
        self._keep(new)
        self.place = new.place
        return ""

    def _worst(self, new, now):
        """Which table to let go: the last of which nothing is to come, or nothing that counts; else the last."""
        order = sorted(self._held + [new], key=_rank)
        for i in range(_TABLES, -1, -1):
            old = order[i]
            if not any(self._needed(old, what, order[:i], now) for what in (EMERGENCY, LIMIT, PRICE)):
                return old
        return order[-1]

    def _needed(self, old, what, before, now):
        since, until = old.span(what)
        since = max(since, now)
        for held in before:
            span = held.span(what)
            if span[0] <= since and until <= span[1]:
                return False
        return since < until

    def numbers(self):
        """Of the tables that are held."""
        return [held.table.number for held in self._held]

    def holds(self, number):
        """Whether the table of a number is held."""
        return number in self.numbers()

    def _first(self, what, soc):
        for held in self._held:
            since, until = held.span(what)
            if since <= soc < until:
                return held
        return None

    def _at(self, what, soc, default):
        held = self._first(what, soc)
        return held.value(what, soc) if held else default

    def current(self, now=None):
        """(table, price, level, limit): the Table to show, and what to act on: price, emergency level, W or None.

        now: SOC. A node that does not know it (None) shows the first table in order, and acts as without any.
        """
        if now is None:
            return self._held[0].table if self._held else None, self.default, 0, None
        held = self._first(PRICE, now)
        limit = self._at(LIMIT, now, NO_LIMIT)
        return (
            held.table if held else None,
            held.value(PRICE, now) if held else self.default,
            self._at(EMERGENCY, now, 0),
            None if limit == NO_LIMIT else limit,
        )

    def prices(self, now, until):
        """(first, prices): SOC of the quarter of an hour of `now`, and an array: the price now, then at the start
        of each following quarter before `until`, four days at most.

        Where no table says one it is the default, without a default the mean of those that are known, of none 0.
        """
        first = now // QUARTER * QUARTER
        count = min(max(-((first - until) // QUARTER), 1), _QUARTERS)
        found = array("i", [_UNKNOWN] * count)
        for k in range(len(self._held) - 1, -1, -1):
            since, until = self._held[k].span(PRICE)
            table = self._held[k].table
            prices, step_s, ahead_s = table.prices, table.step_s, first - table.start
            for i in range(max(-((first - since) // QUARTER), 0), min(-((first - until) // QUARTER), count)):
                found[i] = prices[(ahead_s + i * QUARTER) // step_s]
        found[0] = self._at(PRICE, now, _UNKNOWN)
        fill = self.default
        if fill is None:
            known = [price for price in found if price != _UNKNOWN]
            fill = sum(known) // len(known) if known else 0
        for i in range(count):
            if found[i] == _UNKNOWN:
                found[i] = fill
        return first, found

    def windows(self, what, now, until):
        """[(from, until, value), ...] in order between now and until: EMERGENCY: where the level is not 0, LIMIT:
        where there is a limit (W)."""
        nothing = NO_LIMIT if what == LIMIT else 0
        edges = {now, max(now, until)}
        for held in self._held:
            for edge in held.span(what):
                if now < edge < until:
                    edges.add(edge)
        edges = sorted(edges)
        found = []
        for i in range(len(edges) - 1):
            value = self._at(what, edges[i], nothing)
            if value != nothing:
                found.append((edges[i], edges[i + 1], value))
        return found
