"""A log of records in segment files: what the stream log and the durable log have in common."""

from outbox.record import BLOCK_HEAD, CONTEXT, TICKS, is_head
from outbox.thinning import Tally

# Where the blocks of a file begin. littlefs keeps ctz(i) + 1 pointers of 4 bytes in front of block i >= 1 of a
# file; so laid out, each of ours is one of its own, and writing it costs one erase.
STARTS = (0, 4096, 8188, 12276, 16368, 20452, 24544, 28632, 32724)

RANDOM_BOOT = 1 << 29  # boots and chunks from here on were drawn by lot: see boots.py
RANDOM_CHUNK = 1 << 27


def block_of(at):
    """The block of a file in which byte `at` lies; the last one for anything behind."""
    i = 0
    while i < 7 and at >= STARTS[i + 1]:
        i += 1
    return i


def blocks_in(size):
    """Blocks of a file of `size` bytes."""
    return block_of(size - 1) + 1 if size else 0


class Log:
    """Segment files `prefix` + 8 hexadecimal digits of a number that grows, of up to 8 blocks (fewer if small).

    storage: see boards/storage.py; None: no files. budget: blocks that it should not exceed.
    A position is (segment number, byte in its file). What a file holds stays where it is; whole files go.

    The constructor finds what is there: it reads names, sizes and the HEAD of each block, and where that does
    not tell it walks from record to record. OSError only if there are no names to be had; a segment that cannot
    be read is left alone and counted in `corrupt`.

    waiting: records not yet acknowledged. blocks: in use. dropped: records lost with a whole segment, whose times
    are in `lost`. corrupt: places where bytes were not what had been written. writes: of a block or record.
    """

    staged = False  # whether each block is written once and whole

    def __init__(self, storage, budget, prefix):
        self.storage = storage
        self.budget = budget
        self.boot = 0
        self._prefix = prefix
        self._most = STARTS[min(8, max(1, budget // 16))]  # bytes of a full segment
        self._numbers = []  # of the segments that have a file, oldest first; then their bytes, records that wait
        self._sizes = []
        self._counts = []
        self._done = []  # [number, bytes, ticks when that was seen or -1] of segments that nobody waits for
        self.begun = self._begun_at = -1  # to where something was acknowledged since the last `revive`
        self._revived = {}  # how often each was taken back since it got on; how far it was acknowledged
        self.number = 0  # the segment that is being written
        self.at = 0  # bytes that it has in its file
        self.fill = 0  # bytes that follow these in RAM
        self._torn = False  # a write failed: the file may be longer, or be there
        self._uncounted = []  # segments of copies that were given up: nothing was dropped with them
        self.waiting = self.blocks = self.dropped = self.corrupt = self.writes = 0
        self.lost = Tally()
        self.boot_found = self.chunk_found = -1  # the highest
        self._head = bytearray(BLOCK_HEAD)
        self._context = bytearray(CONTEXT)
        if storage:
            from outbox.salvage import recover

            recover(self)

    def name(self, number):
        return "%s%08x" % (self._prefix, number)

    # -- reading ------------------------------------------------------------------------------------------

    def extent(self, number, at):
        """The end of what can be read from `at` on in one go: no further than its block. `at`: nothing there."""
        if number == self.number:
            end = self.at + self.fill
        elif number in self._numbers:
            end = self._sizes[self._numbers.index(number)]
        else:
            return at
        return max(at, min(end, STARTS[block_of(at) + 1]))

    def following(self, number):
        """The next segment behind `number` that has records, or -1."""
        for other in self._numbers:
            if other > number:
                return other
        return self.number if self.number > number and self.fill else -1

    def read(self, number, at, buf):
        """Fill buf from a position on; the bytes read."""
        return self.storage.read(self.name(number), at, buf)

    def blocks_on_flash(self):
        """(number, at) of each block that has been written."""
        for number, size in zip(self._numbers, self._sizes):
            i = 0
            while i < 8 and STARTS[i] < size:
                yield number, STARTS[i]
                i += 1

    # -- what is no longer wanted -------------------------------------------------------------------------

    def acked(self, number, at, records):
        """So many of the records from `at` on have arrived."""
        self.reached(number, at)
        if number in self._numbers:
            i = self._numbers.index(number)
            records = min(records, self._counts[i])
            self._counts[i] -= records
            self.waiting -= records
        elif number not in self._uncounted:  # given up meanwhile: that cost less than counted
            self.dropped = max(0, self.dropped - records)

    def reached(self, number, at):
        """Something before this position has arrived."""
        self.begun = number
        self._begun_at = at
        if number in self._revived and at > self._revived[number][1]:
            self._revived[number] = [0, at]

    def free(self, number, at):
        """Nothing before this position is wanted any more. True if that is all there is: the log is empty."""
        while self._numbers and self._numbers[0] != self.number:
            if not (self._numbers[0] < number or self._numbers[0] == number and at >= self._sizes[0]):
                return False
            self._retire()
        if number != self.number or at < self.at + self.fill or not at:
            return False
        if self._numbers:
            self._retire()
        self._renew()
        return True

    def _retire(self):
        """The oldest segment is done: its file goes with a `tidy`."""
        self.waiting -= self._counts.pop(0)
        self._done.append([self._numbers.pop(0), self._sizes.pop(0), -1])

    def _renew(self):
        """Begin another segment."""
        if self._torn and not self.at:
            self._done.append([self.number, 0, -1])
        self.number += 1
        self.at = 0
        self._torn = False

    def tidy(self, now, hold_ms):
        """Remove the file of one segment that is done since hold_ms; False if there is none. OSError: the next call
        tries another."""
        if self._torn and not self.at + self.fill:
            self._renew()
        if not self._done or not self.storage:
            return False
        if hold_ms:
            for done in self._done:
                if done[2] < 0:
                    done[2] = now
            if self._done[0][1] and (now - self._done[0][2]) & TICKS < hold_ms:
                return False
        done = self._done.pop(0)
        try:
            self.storage.remove(self.name(done[0]))
        except OSError:
            self._done.append(done)
            raise
        self.blocks -= blocks_in(done[1])
        return True

    def held(self):
        """Blocks of segments that are done."""
        return sum([blocks_in(size) for _, size, _ in self._done])

    def revive(self, now, most_ms):
        """Take back the segments that were done in the last most_ms, and the one of which a part was acknowledged:
        True if the log is to be read from its begin. After some times one has to get on first."""
        from outbox.salvage import revive

        return revive(self, now, most_ms)

    def drop(self):
        """Remove a file that is done, else give up the oldest segment; False if neither is there."""
        return self.release() or self.give_up()

    def release(self):
        """Remove one file that is done, however lately; False if none is, or can be."""
        for _ in range(len(self._done) + 1):
            try:
                if self.tidy(0, 0):
                    return True
            except OSError:  # the next one, then
                pass
        return False

    def give_up(self):
        """The oldest segment goes, whatever waits in it; False if there is none."""
        if not self._numbers or not self._may_drop():
            return False
        number, count = self._numbers[0], self._counts[0]
        if number in self._revived and self._revived[number][1] >= self._sizes[0]:
            count = 0  # all of it had arrived once
            self._uncounted = self._uncounted[-15:] + [number]
        else:
            self._mark_lost(number)
        if number == self.number:
            self._renew()
        self._retire()
        self.blocks -= blocks_in(self._done.pop()[1])
        try:
            self.storage.remove(self.name(number))
        except OSError:  # it stays there until the next start, and must not hold up what is new
            self.corrupt += 1
        self.dropped += count
        self.lost.count += count
        if self._numbers and count:
            self._mark_lost(self._numbers[0])
        return True

    def _mark_lost(self, number):
        """The time at which a segment begins, if it can be read, is one of the bounds of what is lost."""
        try:
            self.storage.read(self.name(number), 0, self._head)
        except OSError:
            return
        if is_head(self._head, 0, bytearray(CONTEXT)) and (self._head[24] or self._head[25]):
            self.lost.mark(self._head, 24)

    def _may_drop(self):
        return True

    # -- writing ------------------------------------------------------------------------------------------

    def _write(self, buf, n):
        """Append buf[:n] to the open segment. OSError: it may be tried again."""
        self._torn = True
        self.storage.write(self.name(self.number), self.at, buf, n)
        self._torn = False
        self.writes += 1
        size = self.at + n
        if self._numbers and self._numbers[-1] == self.number:
            self.blocks += blocks_in(size) - blocks_in(self._sizes[-1])
            self._sizes[-1] = size
        else:
            self._numbers.append(self.number)
            self._sizes.append(size)
            self._counts.append(0)
            self.blocks += blocks_in(size)
        self.at = size
        if size >= self._most:
            self._renew()
