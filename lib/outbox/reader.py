"""Walks through a log from record to record, past what is torn or rotten, with one buffer."""

from outbox.log import STARTS
from outbox.record import BLOCK_HEAD, CONTEXT, HEAD, RECORD, crc, find, get_u32, is_head

LEAD = 4  # bytes in front of the first record in the buffer: what is made of it there may be longer by so much
_KINDS = (1, 2, 3, 4, 5, HEAD)
TRIES = 3  # at a place that cannot be read


class Reader:
    """A cursor (`number`, `at`) in a log. `load()` fills the buffer, `next()` goes through it.

    After `next` has given a kind: its payload is buf[off:off + size], its place in the file `mark`; `boot` and
    `context` belong to it. Setting `at` to `mark` gives it back; what follows must be loaded again then.
    config, described: what the owner noted of the CONFIG of this boot, and where it stands; None: not met yet.
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
        self._failed = 0  # reads, in a row

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

    def more(self):
        """Whether `load` would find anything. Allocates nothing."""
        return self.log.extent(self.number, self.at) > self.at or self.log.following(self.number) >= 0

    def load(self):
        """Fill the buffer from the cursor on, going on to the next block or segment; False: nothing is there."""
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
            try:
                n = log.read(self.number, self.at - lead, self.buf)
            except OSError:
                self._failed += 1
                if self._failed < TRIES:
                    return False
                n = 0
            self._failed = 0
            n = min(n, end - self.at + lead)
            if n - lead >= RECORD:
                self._first = self._p = lead
                self._n = n
                self._end = end - self.at + lead
                return True
            if not self._gap:  # a file that is shorter than it should be, or cannot be read
                self._gap = 2
            self.at = end

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
        """What was passed over was no padding: count it, once."""
        if self._gap >= least and (self.number, self.at) > self._far:
            self._far = (self.number, self.at)
            self.log.corrupt += 1
        self._gap = 0
