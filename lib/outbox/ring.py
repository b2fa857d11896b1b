"""Fixed slots in RAM: the measurement encodes into them, the link sends from them."""

import array

from outbox.record import FRAME, SEQS, UNTIMED

KIND = 0x0F  # of a mark: the kind of record; the rest is its state, 0 while it waits
ACKED, SPILLED, GONE, AGAIN = 0x10, 0x20, 0x40, 0x80  # the broker has it; a log has it; thinned; wanted once more


class Ring:
    """A first-in first-out ring of `slots` (a power of two) records of at most `slot_size` bytes.

    Write: `off = pend()`, encode into `buf` at `off`, `commit(size)`. Send: `next()` gives the sequence number
    of the oldest record not yet taken, or -1. `off(seq)` and `size(seq)` locate it, `holds(seq)` tells whether
    it is still there. `ack(seq)` in any order: the slot is free when everything older is acknowledged too; until
    it is used again it keeps its content. `release(state)` frees the oldest for another reason.
    A full ring gives up its oldest record, since fresh data comes first: `dropped` counts these, and `lost`, if
    set, is the Tally of them. Nothing here allocates after the constructor.
    """

    def __init__(self, slots, slot_size):
        if slots < 2 or slots & (slots - 1):
            raise ValueError("outbox slots %d: a power of two, at least 2" % slots)
        self.slots = slots
        self.slot_size = slot_size
        self.buf = bytearray(slots * slot_size)
        self._sizes = bytearray(slots) if slot_size < 256 else array.array("H", bytes(2 * slots))
        self.ticks = array.array("i", bytes(4 * slots))  # 30 bits: when each was made
        self.marks = bytearray(slots)  # kind and state of each
        self.acked_at = bytearray(slots)  # when the owner noted its acknowledgement, in units of its own
        self.begin(0)
        self.dropped = 0
        self.lost = None
        self.high_water = 0  # most records that ever waited

    def begin(self, seq):
        """The first record gets this number. Only for a ring that was not used yet."""
        self.written = seq  # sequence number of the next record to be committed
        self.sent = seq  # of the next to be taken by `next`
        self.acked = seq  # of the oldest record that is not acknowledged
        self._lost_from = self._lost_to = seq  # given up lately: an acknowledgement may still come

    def __len__(self):
        return (self.written - self.acked) & SEQS

    def pend(self):
        """The offset in `buf` of the slot to encode into; it becomes a record with `commit`."""
        at = self.written & (self.slots - 1)
        if (self.written - self.acked) & SEQS == self.slots:
            self.dropped += 1
            if self.lost:
                self.lost.add(self.buf, at * self.slot_size, self.marks[at] & KIND != UNTIMED)
            if self._lost_from == self._lost_to:
                self._lost_from = self.acked
            self._free(GONE)
            self._lost_to = self.acked
        return at * self.slot_size

    def commit(self, size, kind=FRAME, ticks=0):
        """Own the `size` bytes in the pended slot as the newest record; returns its sequence number."""
        if not 0 < size <= self.slot_size:
            raise ValueError("record of %d bytes: a slot holds 1..%d" % (size, self.slot_size))
        seq = self.written
        at = seq & (self.slots - 1)
        self._sizes[at] = size
        self.marks[at] = kind
        self.ticks[at] = ticks
        self.written = (seq + 1) & SEQS
        depth = (self.written - self.acked) & SEQS
        if depth > self.high_water:
            self.high_water = depth
        return seq

    def next(self):
        """Take the oldest record not taken yet: its sequence number, or -1. UNTIMED ones are passed over."""
        while self.sent != self.written:
            seq = self.sent
            self.sent = (seq + 1) & SEQS
            if self.marks[seq & (self.slots - 1)] != UNTIMED:
                return seq
        return -1

    def holds(self, seq):
        """Whether `seq` is a record that still waits for its acknowledgement."""
        return (
            (seq - self.acked) & SEQS < (self.written - self.acked) & SEQS
            and self.marks[seq & (self.slots - 1)] <= KIND
        )

    def off(self, seq):
        return (seq & (self.slots - 1)) * self.slot_size

    def size(self, seq):
        return self._sizes[seq & (self.slots - 1)]

    def ack(self, seq):
        """The broker has `seq`. One that was given up while it was in flight did arrive: it is no drop."""
        if self.holds(seq):
            self.marks[seq & (self.slots - 1)] |= ACKED
            if seq == self.acked:
                self._advance()
        elif (seq - self._lost_from) & SEQS < (self._lost_to - self._lost_from) & SEQS and self.dropped:
            self.dropped -= 1

    def release(self, state):
        """The oldest record waits here no longer: SPILLED or GONE."""
        self._free(state)
        self._lost_from = self._lost_to

    def _free(self, state):
        self.marks[self.acked & (self.slots - 1)] |= state
        if self.sent == self.acked:
            self.sent = (self.sent + 1) & SEQS
        self._advance()

    def _advance(self):
        """Free the oldest slot and the acknowledged ones behind it."""
        seq = self.acked
        while True:
            seq = (seq + 1) & SEQS
            if seq == self.sent or self.marks[seq & (self.slots - 1)] <= KIND:
                break
        self.acked = seq
