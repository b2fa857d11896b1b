"""When what waited may follow what is fresh, and when to try the broker again."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_LONGEST_MS = const(1000)  # of a pause that counts at all
_BURST_MS = const(100)  # a pause earns no more than this

_BASE_MS = const(700)
_PATIENCE_MS = const(600000)  # a network that is away for longer is asked less and less often
_CAP_MS = const(120000)
_STABLE_MS = const(10000)  # a connection that lived this long makes the broker trusted again


class Pace:
    """A token bucket. per_s: records a second, 1 to 100,000. Allocates nothing.

    `ready(now_ms)`: whether one may go now (of ticks_ms); `take(n)`: n went, a debt that is earned back before the
    next.
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


class Retry:
    """Delays in ms until the next attempt; `random(n)` gives 0..n - 1.

    The network refused or did not answer: 0.7 +- 0.2 s, so that live data is back at once; beyond ten minutes
    a 600th of the outage more. The broker refused, or accepted and dropped: it may be overloaded, so the
    delay doubles each time, with a quarter of it as jitter. Neither exceeds two minutes by more than its jitter.
    """

    def __init__(self, random):
        self._random = random
        self._outage_ms = 0
        self._refusals = 0

    def connected(self):
        """The broker took the connection: the network's outage is over."""
        self._outage_ms = 0

    def network_failed(self, waited_ms):
        """waited_ms: since the failure before, 0 if the connection was lost just now."""
        self._outage_ms = min(self._outage_ms + waited_ms, 600 * _CAP_MS)
        delay = min(_BASE_MS + max(0, self._outage_ms - _PATIENCE_MS) // 600, _CAP_MS)
        return delay - 200 + self._random(401)

    def broker_failed(self, lived_ms):
        """lived_ms: how long the connection was open, 0 if the broker refused it."""
        self._outage_ms = 0
        if lived_ms >= _STABLE_MS:
            self._refusals = 0
        delay = min(_BASE_MS << self._refusals, _CAP_MS)
        if delay < _CAP_MS:
            self._refusals += 1
        return delay - delay // 4 + self._random(delay // 2 + 1)
