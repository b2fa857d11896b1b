"""Writes a tariff table (docs/tariff-table.md), and splits one that does not fit. Nodes do not load it."""

from struct import pack_into

from tariff.table import MOST, NO_LIMIT, QUARTER, STEPS, Table

VERSION = 1
HEAD = 21  # bytes up to and with the first price
PRICE_MOST = 0x3FFFFFFF  # either sign: a small integer on a 32-bit port
EXPONENT_MOST = 4
NUMBER_MOST = 0x3FFFFFFF
LEVEL_MOST = 3


def size(table):
    """Bytes of a Table."""
    n = HEAD + 2 * max(len(table.prices) - 1, 0)
    return n + (9 if table.emergency else 0) + (12 if table.limit else 0)


def complaint(table):
    """What keeps a Table from being encoded, whatever its size and its differences; None if nothing does."""
    if not 0 < table.number <= NUMBER_MOST:
        return "number %d is not 1 to %d" % (table.number, NUMBER_MOST)
    if not 0 <= table.priority <= 255:
        return "priority %d is not 0 to 255" % table.priority
    if len(table.currency) != 3 or not all("A" <= c <= "Z" for c in table.currency):
        return "currency %s is not three capital letters" % table.currency
    if table.step_s not in STEPS:
        return "a step of %d s is none of 900, 1800, 3600 s" % table.step_s
    if table.start % QUARTER or not 0 <= table.start <= table.end <= 0xFFFFFFFF:
        return "start %d is not at a whole quarter of an hour, or too late" % table.start
    for i in range(len(table.prices)):
        if not -PRICE_MOST <= table.prices[i] <= PRICE_MOST:
            return "price %d of slot %d is beyond %d" % (table.prices[i], i, PRICE_MOST)
    if not table.prices and not table.emergency and not table.limit:
        return "neither a price nor an emergency nor a limit"
    for name, window, most in (("emergency", table.emergency, LEVEL_MOST), ("limit", table.limit, NO_LIMIT)):
        if window and not 0 <= window[0] <= most:
            return "%s %d is not 0 to %d" % (name, window[0], most)
        if window and not 0 <= window[1] < window[2] <= 0xFFFFFFFF:
            return "%s is not from a time until a later one: %d, %d" % (name, window[1], window[2])
    return None


def _exponent(prices):
    """(exponent, None): the least power of ten that divides all prices and brings all differences into 16 bits.

    (None, slot): there is no such one; before that slot the differences fit.
    """
    at = None
    for exponent in range(EXPONENT_MOST + 1):
        scale = 10**exponent
        if any(price % scale for price in prices):
            break
        at = None
        for i in range(1, len(prices)):
            if not -32768 <= (prices[i] - prices[i - 1]) // scale <= 32767:
                at = i
                break
        if at is None:
            return exponent, None
    return None, at


def encode_into(buf, off, table):
    """Write a Table into buf from off; bytes written. ValueError in words: what does not fit, `split` may help."""
    why = complaint(table)
    if why:
        raise ValueError(why)
    prices = table.prices
    exponent, at = _exponent(prices)
    if exponent is None:
        raise ValueError("from %d to %d in slot %d is more than 16 bits hold" % (prices[at - 1], prices[at], at))
    n = size(table)
    if n > MOST:
        raise ValueError("%d slots take %d bytes, %d fit" % (len(prices), n, MOST))
    if off + n > len(buf):
        raise ValueError("the buffer is too short for %d bytes" % n)
    scale = 10**exponent
    flags = (1 if table.emergency else 0) + (2 if table.limit else 0)
    currency = table.currency.encode()
    pack_into(">BBBI", buf, off, VERSION, flags, table.priority, table.number)
    pack_into(">3sIBBB", buf, off + 7, currency, table.start, table.step_s // 60, len(prices), exponent)
    pack_into(">i", buf, off + 17, prices[0] // scale if prices else 0)
    at = off + HEAD
    for i in range(1, len(prices)):
        pack_into(">h", buf, at, (prices[i] - prices[i - 1]) // scale)
        at += 2
    if table.emergency:
        pack_into(">BII", buf, at, *table.emergency)
        at += 9
    if table.limit:
        pack_into(">III", buf, at, *table.limit)
    return n


def split(table):
    """A Table as a list of Tables that each fit and stand alone, numbered on from its number as time goes.

    Cut where the bytes end, or where a difference needs more than 16 bits; each part has emergency and
    limit. ValueError as of `complaint`.
    """
    why = complaint(table)
    if why:
        raise ValueError(why)
    room = (MOST - size(table) + 2 * max(len(table.prices) - 1, 0)) // 2 + 1
    parts, at = [], 0
    while not parts or at < len(table.prices):
        prices = table.prices[at : at + room]
        while _exponent(prices)[0] is None:
            prices = prices[: _exponent(prices)[1]]
        start = table.start + at * table.step_s
        parts.append(
            Table(
                table.number + len(parts),
                start,
                table.step_s,
                prices,
                table.currency,
                table.priority,
                table.emergency,
                table.limit,
            )
        )
        at += len(prices)
    if parts[-1].number > NUMBER_MOST:
        raise ValueError("number %d is not 1 to %d" % (parts[-1].number, NUMBER_MOST))
    return parts
