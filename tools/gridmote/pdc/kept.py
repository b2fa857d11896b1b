"""Telling what a broker kept for the time of an absence from what is new: by order, else by pace."""

import collections

_PACE = 240  # messages of a topic in a second: no PMU makes that many frames
_QUIET = 2  # seconds, one after the other, that had less
_AT_ALL_S = 60.0  # live messages may be as dense as kept ones, too
_TURN_MOST_S = 0.25  # how long a turn may count: in a longer one it was we who did not read


class Kept:
    """`late`: whether the messages of a connection are still those that the broker kept.

    That is over with the first retained message that is none from before: those are asked for anew at each
    connection and sent in turn. Where nothing is retained it is over when no topic was faster than a PMU for 2 s,
    and at the latest 60 s after connecting. Times are monotonic.
    """

    def __init__(self):
        self.late = False

    def begin(self, now_s, late):
        """The broker took the connection. late: it had kept the session."""
        self.late = late
        self._began_s = self._turned_s = now_s
        self._quiet = 0
        self._count_anew()

    def _count_anew(self):
        self._second_s = 0.0
        self._counts = collections.Counter()
        self._dense = False

    def message(self, topic, anew):
        """It was read; anew: retained, and none from before."""
        if self.late:
            self._counts[topic] += 1
            self._dense |= self._counts[topic] > _PACE
            self.late = not anew

    def turn(self, now_s):
        """After each turn of reading."""
        if not self.late:
            return
        self._second_s += min(now_s - self._turned_s, _TURN_MOST_S)
        self._turned_s = now_s
        if self._dense:
            self._quiet = 0
            self._count_anew()
        elif self._second_s >= 1:
            self._quiet += 1
            self._count_anew()
        self.late = self._quiet < _QUIET and now_s - self._began_s <= _AT_ALL_S
