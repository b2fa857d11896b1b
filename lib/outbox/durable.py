"""The log of what must not be lost: each record is on flash when `append` returns."""

from outbox.log import STARTS, Log, block_of
from outbox.record import BLOCK_HEAD, RECORD, crc, put_head, set_context, start

RECORD_MOST = 1024  # bytes
RAM_MOST = 16  # records that are kept while the storage takes none


class DurableLog(Log):
    """`append` writes through; `keep_in_ram` is for when that fails.

    ram: what is kept so, oldest first: (kind, chunk, number, ticks, data).
    """

    def __init__(self, storage, budget, prefix="d"):
        super().__init__(storage, budget, prefix)
        self.ram = []
        self._chunk = self._high = -1  # of the context in force; -1: none of this boot yet

    def wants_block(self, size):
        """Whether a record of `size` bytes may need one more block."""
        return self.at in STARTS or self.at + BLOCK_HEAD + RECORD + size > STARTS[block_of(self.at) + 1]

    def append(self, kind, chunk, number, ticks, data):
        """Make a record of at most RECORD_MOST bytes durable; OSError: it is not there."""
        size = len(data)
        end = STARTS[block_of(self.at) + 1]
        need = RECORD + size
        head = chunk != self._chunk or ticks >> 24 != self._high or self.at in STARTS
        skip = 0
        if self.at + need + (BLOCK_HEAD if head else 0) > end:
            head = True
            skip = end - self.at
            if end == self._most:
                skip = 0
                self._renew()
        if head:
            need += BLOCK_HEAD
        buf = bytearray(skip + need)
        at = skip
        set_context(self._context, self.boot, chunk, ticks)
        if head:
            put_head(buf, at, self._context)
            at += BLOCK_HEAD
        start(buf, at, kind, size, number, ticks)
        buf[at + RECORD :] = data
        crc(buf, at, self._context, 1)
        self._write(buf, len(buf))
        self._chunk = chunk
        self._high = ticks >> 24
        self._counts[-1] += 1
        self.waiting += 1

    def keep_in_ram(self, record):
        """False if an older one had to go for it; that is counted in `dropped`."""
        self.ram.append(record)
        if len(self.ram) <= RAM_MOST:
            return True
        self.ram.pop(0)
        self.dropped += 1
        self.lost.count += 1
        return False
