"""Fixed slots in RAM: the measurement encodes into them, the link sends from them."""

import array

_SEQ = (
    0x1FFFFFFF  # sequence numbers are 29 bits and wrap, so that they never allocate; distances stay far below
)


class Ring:
    """A first-in first-out ring of `slots` (a power of two) records of at most `slot_size` bytes.

    Write: `off = pend()`, encode into `buf` at `off`, `commit(size)`. Send: `next()` gives the sequence number
    of the oldest record not yet taken, or -1. `off(seq)` and `size(seq)` locate it, `holds(seq)` tells whether
    it is still there. `ack(seq)` in any order: the slot is free when everything older is acknowledged too.
    A full ring gives up its oldest record, since fresh data comes first: `dropped` counts these. Nothing here
    allocates after the constructor.
    """

    def __init__(self, slots, slot_size):
        if slots < 2 or slots & (slots - 1):
            raise ValueError("outbox slots %d: a power of two, at least 2" % slots)
        self.slots = slots
        self.slot_size = slot_size
        self.buf = bytearray(slots * slot_size)
        self._sizes = array.array("H", bytes(2 * slots))  # 0: acknowledged
        self.written = 0  # sequence number of the next record to be committed
        self.sent = 0  # of the next to be taken by `next`
        self.acked = 0  # of the oldest record that is not acknowledged
        self.dropped = 0
        self.high_water = 0  # most records that ever waited

    def __len__(self):
        return (self.written - self.acked) & _SEQ

    def pend(self):
        """The offset in `buf` of the slot to encode into; it becomes a record with `commit`."""
        if (self.written - self.acked) & _SEQ == self.slots:
            self.dropped += 1
            if self.sent == self.acked:
                self.sent = (self.sent + 1) & _SEQ
            self._advance()
        return (self.written & (self.slots - 1)) * self.slot_size

    def commit(self, size):
        """Own the `size` bytes in the pended slot as the newest record; returns its sequence number."""
        if not 0 < size <= self.slot_size:
            raise ValueError("record of %d bytes: a slot holds 1..%d" % (size, self.slot_size))
        seq = self.written
        self._sizes[seq & (self.slots - 1)] = size
        self.written = (seq + 1) & _SEQ
        depth = (self.written - self.acked) & _SEQ
        if depth > self.high_water:
            self.high_water = depth
        return seq

    def next(self):
        """Take the oldest record that was not taken yet: its sequence number, or -1."""
        seq = self.sent
        if seq == self.written:
            return -1
        self.sent = (seq + 1) & _SEQ
        return seq

    def holds(self, seq):
        """Whether `seq` is a record that still waits for its acknowledgement."""
        return (seq - self.acked) & _SEQ < (self.written - self.acked) & _SEQ and self._sizes[
            seq & (self.slots - 1)
        ] != 0

    def off(self, seq):
        return (seq & (self.slots - 1)) * self.slot_size

    def size(self, seq):
        return self._sizes[seq & (self.slots - 1)]

    def ack(self, seq):
        """The broker has `seq`. One that was given up while it was in flight did arrive: it is no drop."""
        if self.holds(seq):
            self._sizes[seq & (self.slots - 1)] = 0
            if seq == self.acked:
                self._advance()
        elif self.dropped and (self.acked - seq) & _SEQ < 0x10000000:
            self.dropped -= 1

    def _advance(self):
        """Free the oldest slot and the acknowledged ones behind it."""
        seq = self.acked
        while True:
            seq = (seq + 1) & _SEQ
            if seq == self.sent or self._sizes[seq & (self.slots - 1)]:
                break
        self.acked = seq
