"""The log of the stream: records gather in one block in RAM and go to flash a whole block at a time."""

from outbox.log import STARTS, Log, block_of
from outbox.record import (
    BLOCK_HEAD,
    CONFIG,
    CONTEXT,
    FRAME,
    RECORD,
    SEQS,
    crc,
    fill,
    put_head,
    set_context,
    start,
)

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_BLOCK = const(4096)


class StreamLog(Log):
    """config: bytes of the CFG-2 frame of this boot, at most 2048; it stands in each segment before its frames.

    `put` takes a record into the block in RAM, `write` makes that block durable. `put` allocates nothing.
    `remember(seq)`: this record of the present boot, put here, was acknowledged after all; `forget(seq)` tells.
    `passed(seq)`: whether this one, put here, has been acknowledged, and all that was put before it.
    """

    staged = True

    def __init__(self, storage, budget, config, prefix="s"):
        if len(config) > 2048:
            raise ValueError("CFG-2 frame of %d bytes: at most 2048" % len(config))
        self.config = config
        self._block = bytearray(_BLOCK)
        self._put = 0  # records in it, and how many of them wait
        self._left = 0
        self._chunk = self._high = -1  # of the context in force
        self._described = -1  # the segment that has our CONFIG
        self._late = []
        self._oldest = -1  # the lowest sequence number that was put here since the log was empty
        super().__init__(storage, budget, prefix)

    def begin(self, boot, window):
        """Before the first `put`: the boot, and how many late acknowledgements there may be."""
        self.boot = boot
        self._late = [-1] * window
        self._late_at = 0

    def records_a_block(self, size):
        """How many records of `size` bytes go to flash together, at most."""
        return (_BLOCK - BLOCK_HEAD) // (RECORD + size)

    def put(self, kind, chunk, seq, ticks, buf, off, size):
        """Take the record buf[off:off + size]; False if the block has no room for it and must be written first."""
        block, at = self._block, self.fill
        describe = self._described != self.number
        head = chunk != self._chunk or ticks >> 24 != self._high or not at
        need = RECORD + size
        if head:
            need += BLOCK_HEAD
        if describe:
            need += RECORD + len(self.config)
        if at + need > STARTS[block_of(self.at) + 1] - self.at:
            return False
        if head:
            self._chunk = chunk
            self._high = ticks >> 24
            set_context(self._context, self.boot, chunk, ticks)
            put_head(block, at, self._context, buf if kind == FRAME and size >= 10 else None, off + 6)
            at += BLOCK_HEAD
        if describe:
            self._described = self.number
            at = self._add(at, CONFIG, 0, 0, self.config, 0, len(self.config))
        full = (chunk & 0x1FF) << 20 | seq
        if self.passed(full):
            self._oldest = full
        self.fill = self._add(at, kind, seq, ticks, buf, off, size)
        self._put += 1
        self._left += 1
        self.waiting += 1
        return True

    def _add(self, at, kind, seq, ticks, buf, off, size):
        block = self._block
        start(block, at, kind, size, seq, ticks)
        fill(block, at, buf, off)
        crc(block, at, self._context, 1)
        return at + RECORD + size

    def write(self):
        """Make the block in RAM durable. OSError: it is still there, to be tried again."""
        block = self._block
        size = STARTS[block_of(self.at) + 1] - self.at
        for i in range(self.fill, size):
            block[i] = 0
        block[2], block[3], block[4] = self._put >> 16, self._put >> 8 & 255, self._put & 255
        for i in range(CONTEXT):
            self._context[i] = block[RECORD + i]
        crc(block, 0, self._context, 1)
        self._high = -1  # the context may have been another one
        self._write(block, size)
        self._counts[-1] += self._left
        self._clear()

    def _clear(self):
        self.fill = self._put = self._left = 0
        self._high = -1

    def read(self, number, at, buf):
        if number != self.number or at < self.at:
            return super().read(number, at, buf)
        at -= self.at
        n = min(len(buf), self.fill - at)
        buf[:n] = memoryview(self._block)[at : at + n]
        return n

    def acked(self, number, at, records):
        if number == self.number and at >= self.at:
            self.reached(number, at)
            self._left -= records
            self.waiting -= records
        else:
            super().acked(number, at, records)

    def free(self, number, at):
        if not super().free(number, at):
            return False
        self.waiting -= self._left
        self._clear()
        self._oldest = -1
        self.forget_all()
        return True

    def revive(self, now, most_ms):
        if not super().revive(now, most_ms):
            return False
        self.waiting += self._put - self._left
        self._left = self._put
        return True

    def _may_drop(self):
        return self._numbers[0] != self.number or not self.fill  # what is in RAM follows what is in that file

    def passed(self, seq):
        return self._oldest < 0 or (seq - self._oldest) & SEQS > SEQS >> 1

    def remember(self, seq):
        self._late[self._late_at] = seq
        self._late_at = (self._late_at + 1) % len(self._late)

    def forget(self, seq):
        """Whether that record was remembered; it is no longer."""
        if seq not in self._late:
            return False
        self._late[self._late.index(seq)] = -1
        return True

    def forget_all(self):
        for i in range(len(self._late)):
            self._late[i] = -1
