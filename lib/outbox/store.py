"""The flash side of the outbox: makes room, writes, and goes on when the storage fails."""

from outbox.record import TICKS

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_ENOSPC = const(28)
_RETRY_MS = const(10000)  # after a failure
_GIVEN_MOST = const(2)  # segments given up for a full file system; if that is of no use
_PATIENCE = const(6)  # another after so many failures, the next after twice as many, and so on
_WRITE = const(0)  # what may fail: one does not hold up another
_STATE = const(1)
_TIDY = const(2)


class Store:
    """stream, durable: the logs; boots: Boots. What writes records raises OSError; the caller tells `failed`.

    hold_ms: so long the file of an acknowledged segment stays. Of the budget of both logs the durable one takes
    what it needs: the stream goes first, oldest segment by oldest segment, only then the oldest durable one.
    """

    def __init__(self, boots, stream, durable, hold_ms):
        self.hold_ms = hold_ms
        self.boots = boots
        self.stream = stream
        self.durable = durable
        self.budget = stream.budget + durable.budget
        self._errors = [""] * 3
        self._failed_ms = [0] * 3
        self._given = self._failures = 0

    @property
    def error(self):
        """"" or what is wrong."""
        for error in self._errors:
            if error:
                return error
        return self.boots.error

    @property
    def failing(self):
        """Whether it takes no records."""
        return bool(self._errors[_WRITE])

    def ready(self, now, what=_WRITE):
        """Whether it may be tried: there is storage, and it did not fail just now."""
        if not self.stream.storage:
            return False
        return not self._errors[what] or (now - self._failed_ms[what]) & TICKS >= _RETRY_MS

    def failed(self, error, now, what=_WRITE):
        self._failed_ms[what] = now
        self._errors[what] = "storage: %s" % error
        if what == _WRITE:
            self._failures += 1

    def filled(self):
        """How full the room of the stream is, in 64ths."""
        room = self.budget - max(self.durable.blocks, self.durable.budget)
        return 64 * (self.stream.blocks - self.stream.held()) // max(1, room) if self.stream.storage else 0

    def _drop(self, durable):
        """Give up one segment if the budget is used up; False if there is none or no need."""
        if self.stream.blocks + self.durable.blocks < self.budget:
            return False
        return self.stream.drop() or durable and self.durable.drop()

    def write(self):
        """Make the stream's block in RAM durable."""
        stream = self.stream
        while stream.blocks >= stream.budget and stream.drop():
            pass
        while self._drop(False):
            pass
        self._record(False, True, stream.write)

    def append(self, *record):
        """Make a durable record durable: (kind, chunk, number, ticks, data)."""
        block = self.durable.wants_block(len(record[4]))
        if block:
            while self._drop(True):
                pass
        self._record(True, block, self.durable.append, *record)

    def _record(self, durable, block, write, *record):
        """Write, into a block of its own or not; while the file system is full, again with more room."""
        while True:
            try:
                write(*record)
                break
            except OSError as e:
                if e.errno != _ENOSPC or not self._make_room(durable):
                    raise
        self._errors[_WRITE] = ""
        if block:
            self._given = self._failures = 0

    def _make_room(self, durable):
        """Something else may fill the file system: then what we give up is of no use, and ever less is."""
        for log in (self.stream, self.durable):
            blocks = log.blocks
            while log.release():
                if log.blocks < blocks:
                    return True
        more = self._given - _GIVEN_MOST
        if more >= 0 and self._failures < _PATIENCE << more:
            return False
        self._given += 1
        return self.stream.give_up() or durable and self.durable.give_up()

    def reserve(self, like, now):
        """A chunk, as `Boots.reserve`; -1 if none can be had now."""
        try:
            chunk = self.boots.reserve(like)
        except OSError as e:
            self.failed(e, now, _STATE)
            return -1
        self._errors[_STATE] = ""
        return chunk

    def may_reserve(self, now):
        return self.ready(now, _STATE)

    def keep_house(self, now, hold=True):
        """Make one of the small writes that are due, or try to; False if none is."""
        if self.durable.ram and self.ready(now):
            self.append(*self.durable.ram[0])
            self.durable.ram.pop(0)
            return True
        if self.boots.dirty and self.ready(now, _STATE):
            what = _STATE
        elif self.ready(now, _TIDY):
            what = _TIDY
        else:
            return False
        try:
            if what == _STATE:
                self.boots.save()
            else:
                hold_ms = self.hold_ms if hold else 0
                if not (self.stream.tidy(now, hold_ms) or self.durable.tidy(now, hold_ms)):
                    return False
            self._errors[what] = ""
        except OSError as e:
            self.failed(e, now, what)
        return True
