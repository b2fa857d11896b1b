"""Telling what a broker kept for the time of an absence from what is new: by order, else by pace."""

_QUIET_S = 2.0
_AT_ALL_S = 60.0  # live messages may be as dense as kept ones, too
_PACE = 150  # messages/s of a topic, on average: 120 frames/s is the fastest rate that PMUs usually have
_AHEAD = 30  # messages of a topic beyond that pace
_TURN_MOST_S = 0.1  # how long a turn may count: in a longer one it was we who did not read


class Kept:
    """`late`: whether the messages of a connection are still those that the broker kept.

    That is over with the first retained message that is none from before: those are asked for anew at each
    connection and sent in turn. Where nothing is retained it is over when messages came no faster than PMUs make
    them for 2 s, and at the latest 60 s after connecting. Times are monotonic.
    """

    def __init__(self):
        self.late = False

    def begin(self, now_s, late):
        """The broker took the connection. late: it had kept the session."""
        self.late = late
        self._began_s = self._turned_s = now_s
        self._quiet_s = self._ahead = 0.0
        self._topics = set()

    def message(self, topic, anew):
        """It was read; anew: retained, and none from before."""
        if self.late:
            self._topics.add(topic)
            self._ahead += 1
            self.late = not anew

    def turn(self, now_s):
        """After each turn of reading."""
        if not self.late:
            return
        passed_s = min(now_s - self._turned_s, _TURN_MOST_S)
        self._turned_s = now_s
        self._ahead = max(0.0, self._ahead - passed_s * _PACE * len(self._topics))
        self._quiet_s += passed_s
        if self._ahead > _AHEAD * len(self._topics):
            self._ahead = self._quiet_s = 0.0
        self.late = self._quiet_s <= _QUIET_S and now_s - self._began_s <= _AT_ALL_S
