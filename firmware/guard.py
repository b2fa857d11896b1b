"""Feeds the watchdog while everything goes on. What does not ends the node in order, with the reason."""

from micropython import const

_LOW = const(3)  # times in a row


class Restart(Exception):
    """The node is to begin anew; its text says why."""


class Guard:
    """feed(): the watchdog's. progress: (name, object, attribute: a number which changes while it goes on) each.
    floor: bytes of heap that must be free after a collection. `look` is to be called twice a second.

    It counts its own looks, not the time: a program that was held has not stood still.
    """

    LOOKS = 40  # without progress: longer than any wait for the next second, for a look-up, for flash

    def __init__(self, feed, progress, floor):
        progress = list(progress) + [("memory", self, "reports")]
        self._feed = feed
        self._progress = progress
        self._floor = floor
        self._seen = [-1] * len(progress)
        self._still = [0] * len(progress)
        self._low = 0
        self.reports = 0  # of the task that collects, counted by it: that is looked at as well
        self.heap = self.heap_least = 0  # free after the last collection; least of all

    def look(self):
        """Restart when a part stood still for too long; the watchdog is fed only if none did."""
        for i in range(len(self._progress)):
            name, part, count = self._progress[i]
            now = getattr(part, count)
            if now != self._seen[i]:
                self._seen[i] = now
                self._still[i] = 0
            else:
                self._still[i] += 1
                if self._still[i] >= self.LOOKS:
                    raise Restart("%s stood still for %d s" % (name, self.LOOKS // 2))
        self._feed()

    def collected(self, free):
        """So many bytes were free after a collection. Restart when that is too little for long."""
        self.heap = free
        if not self.heap_least or free < self.heap_least:
            self.heap_least = free
        self._low = self._low + 1 if free < self._floor else 0
        if self._low == _LOW:
            raise Restart("memory: %d bytes are free" % free)
