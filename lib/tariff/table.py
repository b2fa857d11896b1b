"""A tariff table (docs/tariff-table.md): prices by the slot, an emergency, a limit. Written by tariff.encode."""

from array import array
from struct import unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_VERSION = const(1)  # these have names without _ in tariff.encode
_HEAD = const(21)  # bytes up to and with the first price
MOST = const(283)  # bytes of a table: with envelope and signature it fills one datagram
QUARTER = const(900)  # s: slots begin at whole quarters of an hour
STEPS = (900, 1800, 3600)  # s a slot
_PRICE_MOST = const(0x3FFFFFFF)  # either sign: a small integer on a 32-bit port
_EXPONENT_MOST = const(4)
_NUMBER_MOST = const(0x3FFFFFFF)
_LEVEL_MOST = const(3)
NO_LIMIT = const(0xFFFFFFFF)  # W: takes an earlier limit away
_EMERGENCY = const(1)  # flags
_LIMIT = const(2)


class Table:
    """Prices from `start` (SOC) on, one every `step_s` (of STEPS): an array "i", minor units of `currency` a MWh.

    number: 1..2^30-1, of two tables of one priority the higher one is the newer. priority: 0..255, 0 is the
    most urgent, as in OpenADR 3. emergency: (level 0..3, from, until) or None; limit: (W, from, until) or None;
    level 0 and NO_LIMIT end what a less urgent or older table said. end: SOC where the last slot ends; a table
    without prices ends where it starts.
    """

    def __init__(self, number, start, step_s, prices, currency, priority=128, emergency=None, limit=None):
        self.number = number
        self.start = start
        self.step_s = step_s
        self.prices = prices
        self.currency = currency
        self.priority = priority
        self.emergency = emergency
        self.limit = limit
        self.end = start + len(prices) * step_s

    def price_at(self, soc):
        """The price at a SOC, None outside of the table."""
        return self.prices[(soc - self.start) // self.step_s] if self.start <= soc < self.end else None


def decode(buf, off, n):
    """The Table in buf[off:off + n], or a str: what is wrong. Never raises."""
    if n < _HEAD or n > MOST or off < 0 or off + n > len(buf):
        return "length"
    version, flags, priority, number, start, minutes, count, exponent, base = unpack_from(">BBBIxxxIBBBi", buf, off)
    currency = bytes(buf[off + 7 : off + 10])
    if version != _VERSION:
        return "version"
    at = off + _HEAD + 2 * max(count - 1, 0)
    if flags > 3 or n != at - off + (9 if flags & _EMERGENCY else 0) + (12 if flags & _LIMIT else 0):
        return "length"
    step_s = 60 * minutes
    if not 0 < number <= _NUMBER_MOST or exponent > _EXPONENT_MOST or not (count or flags):
        return "field"
    if step_s not in STEPS or start % QUARTER or start + count * step_s > 0xFFFFFFFF:
        return "time"
    for letter in currency:
        if not 65 <= letter <= 90:
            return "currency"
    scale = 10**exponent
    prices = array("i", bytes(4 * count))
    for i in range(count):
        if i:
            base += unpack_from(">h", buf, off + _HEAD - 2 + 2 * i)[0]
        price = base * scale
        if not -_PRICE_MOST <= price <= _PRICE_MOST:
            return "price"
        prices[i] = price
    emergency = limit = None
    if flags & _EMERGENCY:
        emergency = unpack_from(">BII", buf, at)
        at += 9
    if flags & _LIMIT:
        limit = unpack_from(">III", buf, at)
    for window in (emergency, limit):
        if window and window[1] >= window[2]:
            return "time"
    if emergency and emergency[0] > _LEVEL_MOST:
        return "field"
    return Table(number, start, step_s, prices, currency.decode(), priority, emergency, limit)
