"""A question that is asked again and again."""

from gossip.datagram import diff


class Repeat:
    """queries: Queries; every_ms: at most a day; what, how: as Queries.start takes them after `now`.

    `tick(now)`: asks when it is time, the first time at once. `missed`: times there was no place for it.
    """

    def __init__(self, queries, every_ms, now, *what, **how):
        self._start, self._every_ms = queries.start, every_ms
        self._what, self._how = what, how
        self._next = now
        self.missed = 0

    def tick(self, now):
        if diff(now, self._next) >= 0:
            self._next = now + self._every_ms & 0x3FFFFFFF
            if not self._start(now, *self._what, **self._how):
                self.missed += 1
