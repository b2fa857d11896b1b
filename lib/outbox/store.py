"""The flash side of the outbox: makes room, writes, and goes on when the storage fails."""

from outbox.record import TICKS

_ENOSPC = 28
_RETRY_MS = 10000  # after a failure


class Store:
    """stream, durable: the logs; boots: Boots. What writes raises OSError; the caller tells `failed`.

    hold_ms: so long the file of an acknowledged segment stays. error: "" or what is wrong. Of the budget of both
    logs the durable one takes what it needs: the stream goes first, oldest segment by oldest segment, only then the
    oldest durable one.
    """

    def __init__(self, boots, stream, durable, hold_ms):
        self.hold_ms = hold_ms
        self.boots = boots
        self.stream = stream
        self.durable = durable
        self.error = boots.error
        self.budget = stream.budget + durable.budget
        self.failing = False
        self._failed_ms = 0

    def ready(self, now):
        """Whether a write may be tried: there is storage, and it did not fail just now."""
        if not self.stream.storage:
            return False
        return not self.failing or (now - self._failed_ms) & TICKS >= _RETRY_MS

    def failed(self, error, now):
        self.failing = True
        self._failed_ms = now
        self.error = "storage: %s" % error

    def _worked(self):
        self.failing = False
        self.error = self.boots.error

    def filled(self):
        """How full the room of the stream is, in 64ths."""
        room = self.budget - max(self.durable.blocks, self.durable.budget)
        return 64 * (self.stream.blocks - self.stream.held()) // max(1, room) if self.stream.storage else 0

    def _drop(self, most, durable):
        """Give up one segment if there are `most` blocks or more; False if there is none or no need."""
        if self.stream.blocks + self.durable.blocks < most:
            return False
        return self.stream.drop() or durable and self.durable.drop()

    def write(self):
        """Make the stream's block in RAM durable."""
        stream = self.stream
        while stream.blocks >= stream.budget and stream.drop():
            pass
        while self._drop(self.budget, False):
            pass
        self._retry(stream.write, (), False)

    def append(self, *record):
        """Make a durable record durable: (kind, chunk, number, ticks, data)."""
        if self.durable.wants_block(len(record[4])):
            while self._drop(self.budget, True):
                pass
        self._retry(self.durable.append, record, True)

    def rescue(self):
        """The same for the oldest durable record that is in RAM."""
        self.append(*self.durable.ram[0])
        self.durable.ram.pop(0)

    def _retry(self, write, arguments, durable):
        """Write; while the file system is full, with one segment less."""
        while True:
            try:
                write(*arguments)
                break
            except OSError as e:
                if e.errno != _ENOSPC or not self._drop(0, durable):
                    raise
        self._worked()

    def reserve(self, like):
        """A chunk, as `Boots.reserve`."""
        chunk = self.boots.reserve(like)
        self._worked()
        return chunk

    def keep_house(self, now, hold=True):
        """Make one of the small writes that are due; False if none is."""
        hold_ms = self.hold_ms if hold else 0
        if self.boots.dirty:
            self.boots.save()
        elif self.durable.ram:
            self.rescue()
        elif not (self.stream.tidy(now, hold_ms) or self.durable.tidy(now, hold_ms)):
            return False
        self._worked()
        return True
