"""Walks through a log from record to record, past what is torn or rotten, with one buffer."""

from outbox.log import STARTS, block_of
from outbox.record import BLOCK_HEAD, CONTEXT, HEAD, RECORD, crc, find, get_u32, is_head

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

LEAD = 4  # bytes in front of the first record in the buffer: what is made of it there may be longer by so much
_KINDS = (1, 2, 3, 4, 5, HEAD)
_TRIES = const(3)  # at a place that cannot be read
_READS = const(8)  # in one go: each may take a millisecond of the flash
_PROBES = const(4)  # other blocks that are tried at once


class Reader:
    """A cursor (`number`, `at`) in a log. `load()` fills the buffer, `next()` goes through it.

    After `next` has given a kind: its payload is buf[off:off + size], its place in the file `mark`; `boot` and
    `context` belong to it. Setting `at` to `mark` gives it back; what follows must be loaded again then.
    config, described: what the owner noted of the CONFIG of this boot, and where it stands; None: not met yet.
    reads: how many more there may be before the next `ready()`; -1: one failed, and there is none until the owner
    sets it to 0, later. A place is given up if it fails every time while other blocks can be read.
    """

    def __init__(self, log, buf):
        self.log = log
        self.buf = buf
        self.number = self.at = 0
        self.context = bytearray(CONTEXT)
        self._try = bytearray(CONTEXT)
        self.boot = 0
        self.off = self.size = self.mark = 0
        self.described = self.config = None
        self._first = self._p = self._n = self._end = 0  # where parsing began, is, ends; the block's end
        self._gap = 0  # 1: bytes that are no record were met, 2: and they were not zero
        self._far = (0, -1)  # no place up to here is counted as corrupt again
        self.reads = 0
        self._failed = 0  # reads in a row at the place _where
        self._where = None
        self._probe = 0  # which of the other blocks is tried next

    def state(self):
        return self.number, self.at, bytes(self.context), self.described, self.config

    def restore(self, state):
        self._enter(state[2])
        self.number, self.at, _, self.described, self.config = state
        self._gap = 0

    def _enter(self, context):
        """The context from here on."""
        for i in range(CONTEXT):
            self.context[i] = context[i]
        boot = get_u32(context, 0)
        if boot != self.boot:
            self.boot = boot
            self.described = self.config = None

    def ready(self):
        """Whether `load` may find anything now; it may read again. Allocates nothing."""
        if self.reads < 0:
            return False
        self.reads = _READS
        return self.log.extent(self.number, self.at) > self.at or self.log.following(self.number) >= 0

    def read(self, number, at):
        """Fill the buffer from a place on: the bytes read; -1: not now; 0: the place is given up."""
        if self.reads <= 0:
            return -1
        self.reads -= 1
        try:
            n = self.log.read(number, at, self.buf)
            if self._failed and self._where == (number, at):
                self._failed = 0
            return n
        except OSError:
            if self._where != (number, at):
                self._where = number, at
                self._failed = 0
            self._failed += 1
        if self._failed < _TRIES or not self._elsewhere(number, STARTS[block_of(at)]):
            self.reads = -1
            return -1
        self._failed = 0
        return 0

    def _elsewhere(self, number, at):
        """Whether one of a few other blocks can be read. If none, the storage fails, and others are tried next."""
        i = 0
        for other in self.log.blocks_on_flash():
            if other != (number, at):
                if self._probe <= i < self._probe + _PROBES:
                    try:
                        if self.log.read(other[0], other[1], self.buf):
                            return True
                    except OSError:
                        pass
                i += 1
        self._probe += _PROBES
        if self._probe >= i:
            self._probe = 0
        return False

    def load(self):
        """Fill the buffer from the cursor on, going on to the next block or segment; False: nothing is there, or it
        cannot be had now."""
        log = self.log
        while True:
            end = log.extent(self.number, self.at)
            if end - self.at < RECORD:
                if not self._leave(end):
                    return False
                continue
            if self.at in STARTS:
                self._count_gap(2)
            lead = 0 if self.at in STARTS else LEAD
            n = self.read(self.number, self.at - lead)
            if n < 0:
                return False
            n = min(n, end - self.at + lead)
            if n - lead >= RECORD:
                self._first = self._p = lead
                self._n = n
                self._end = end - self.at + lead
                return True
            self.at = end  # the file is shorter than it should be, or cannot be read
            self.count()
            return False  # the owner lets go of it, and does not come back

    def _leave(self, end):
        """On to the next block or segment, if there is one."""
        if end > self.at:
            self.at = end
            return True
        self._count_gap(2)
        number = self.log.following(self.number)
        if number < 0:
            return False
        self.number = number
        self.at = 0
        return True

    def next(self):
        """The kind of the next good record in the buffer; 0 when it is used up."""
        buf = self.buf
        while True:
            p = self._p
            base = self.at - p
            if self._n - p < RECORD:
                return 0
            size = (buf[p] & 15) << 8 | buf[p + 1]
            kind = buf[p] >> 4
            after = p + RECORD + size
            good = False
            if self._n < after <= self._end and p > self._first and kind in _KINDS:
                return 0  # the rest of it comes with the next load
            if after <= self._n:
                if kind == HEAD:
                    if is_head(buf, p, self._try):
                        self._count_gap(1)
                        self._enter(self._try)
                        self._to(base, p + BLOCK_HEAD)
                        continue
                elif kind:
                    good = crc(buf, p, self.context, 0)
            if good:
                self._count_gap(1)
                self.mark = base + p
                self.off = p + RECORD
                self.size = size
                self._to(base, after)
                return kind
            if not self._gap:
                self._gap = 1 if not (buf[p] or buf[p + 1]) else 2
            self._to(base, find(buf, p + 1, self._n))

    def _to(self, base, p):
        self._p = p
        self.at = base + p

    def _count_gap(self, least):
        """What was passed over was no padding: count it."""
        if self._gap >= least:
            self.count()
        self._gap = 0

    def count(self):
        """What lies in front of the cursor is corrupt: count it, once."""
        if (self.number, self.at) > self._far:
            self._far = (self.number, self.at)
            self.log.corrupt += 1
