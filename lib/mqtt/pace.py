"""A token bucket: how fast what waited may follow what is fresh."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_LONGEST_MS = const(1000)  # of a pause that counts at all
_BURST_MS = const(100)  # a pause earns no more than this


class Pace:
    """per_s: records a second, 1 to 100,000. `ready(now_ms)`: whether one may go now; `take(n)`: n went, a debt
    that is earned back before the next. now_ms: of ticks_ms. Allocates nothing.
    """

    def __init__(self, per_s):
        if not 1 <= per_s <= 100000:
            raise ValueError("pace of %r records a second: 1 to 100000" % (per_s,))
        self._per_s = per_s
        self._most = max(per_s * _BURST_MS, 1)
        self._credit = 0  # in thousandths of a record
        self._at_ms = 0

    def ready(self, now_ms):
        passed_ms = (now_ms - self._at_ms) & 0x3FFFFFFF
        if passed_ms:
            self._at_ms = now_ms
            self._credit = min(self._credit + min(passed_ms, _LONGEST_MS) * self._per_s, self._most)
        return self._credit > 0

    def take(self, n):
        self._credit -= n * 1000
