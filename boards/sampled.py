"""Sample blocks out of a ring that hardware fills by itself; their time is told by their place in the ring."""

import time
from array import array

try:
    import micropython
except ImportError:  # CPython: the same source as plain Python
    from plainviper import micropython, ptr16


@micropython.viper
def take(block: ptr16, ring: ptr16, at: int, count: int, offsets: ptr16, channels: int):
    """Counts of 12 bits from ring[at] on, sample by sample, to signed ones of 16 without their channel's offset."""
    c = 0
    for i in range(count):
        block[i] = (int(ring[at + i]) - int(offsets[c])) << 3
        c += 1
        if c == channels:
            c = 0


class Sampled:
    """A source of blocks (boards/README.md) out of a sampler's ring.

    sampler: `ring`, array('H') of whole blocks; `start()`, which fills it from its beginning, round and round, and
    gives the ticks_us of the first sample; `place()`, values filled in this lap; `astray()`, true when values were
    lost; `close()`. clock: see the board; `locate(ticks_us)` sets its `sec` and `ns`.
    adc: boards.adc.Plan.

    How far the ring is filled is the hardware's own count; the laps between two looks are told by the time. So a
    late reader shifts nothing: what was overwritten meanwhile is counted in `lost_blocks`. The program may be held
    up between a look at the time and one at the ring, but for half the ring.
    """

    def __init__(self, sampler, clock, adc):
        self._sampler = sampler
        self._clock = clock
        self.channels = adc.channels
        self.fs_hz = adc.fs_hz
        self.block_samples = adc.block_samples
        self._width = len(adc.channels)
        self._size = self._width * adc.block_samples  # values a block
        self._rate = self._width * adc.fs_hz  # values a second
        self._offsets = adc.offsets
        self._blocks = (array("h", bytes(2 * self._size)), array("h", bytes(2 * self._size)))
        self.block = self._blocks[0]
        self._turn = 0
        self._us_whole, self._us_rest = divmod(adc.block_samples * 1000000, adc.fs_hz)
        self.sec = self.ns = self.lost_blocks = 0
        self.timed = False
        self._begun = False

    def due_ms(self):
        """Until the next block is ready; 0 when it is. Starts the sampler, at first and when it went astray."""
        if not self._begun:
            self._start()
        elif self._clock.stepped:
            self._begin()
        self._look()
        short = self._size - self._ahead
        return short * 1000 // self._rate + 1 if short > 0 else 0

    def fill(self):
        """Samples per channel in the next block, which must be due; described by `block`, `sec` and `ns`."""
        self._look()
        size = self._size
        over = self._ahead + size - len(self._sampler.ring)  # one block is about to be overwritten
        while over > 0:
            self.lost_blocks += 1
            over -= size
            self._advance()
        self._turn ^= 1
        self.block = self._blocks[self._turn]
        take(self.block, self._sampler.ring, self._at, size, self._offsets, self._width)
        clock = self._clock
        clock.locate(self._us)
        self.sec = clock.sec
        self.ns = clock.ns
        self._advance()
        return self.block_samples

    def close(self):
        self._sampler.close()
        self._begun = False

    def _start(self):
        self._begin()
        before = time.ticks_ms()
        self._us = self._sampler.start()  # of the next block's first sample
        self._rest = 0  # of that, in 1 / fs_hz of a microsecond
        self._ms = time.ticks_ms()  # of the last look at the latest,
        self._slack = self._values(time.ticks_diff(self._ms, before))  # or so many values earlier
        self._place = self._ahead = self._at = 0  # _ahead: values in the ring that nobody took; _at: the next block
        self._begun = True

    def _begin(self):
        """Stamps begin anew, from the clock's new time."""
        self._clock.next_second()
        self.timed = self._clock.known

    def _values(self, ms):
        return ms // 1000 * self._rate + ms % 1000 * self._rate // 1000

    def _look(self):
        """Bring `_ahead` up to now."""
        ring, size = len(self._sampler.ring), self._size
        for _ in range(2):
            before = time.ticks_ms()
            place = self._sampler.place()
            now = time.ticks_ms()
            slack = self._values(time.ticks_diff(now, before))
            if slack < size:
                break
        moved = place - self._place
        passed = time.ticks_diff(now, self._ms)
        left = self._values(passed) - moved
        laps = (left + ring // 2) // ring
        left -= laps * ring
        sure = max(slack, self._slack) < ring // 2 - size
        if self._sampler.astray() or not sure or not -size - self._slack < left < size + slack:
            self.lost_blocks += 1 + passed * self.fs_hz // (1000 * self.block_samples)
            self._start()
            return
        self._ahead += moved + laps * ring
        self._place = place
        self._ms = now
        self._slack = slack

    def _advance(self):
        """The next block is given away."""
        self._ahead -= self._size
        self._at += self._size
        if self._at == len(self._sampler.ring):
            self._at = 0
        us = self._us_whole
        self._rest += self._us_rest
        if self._rest >= self.fs_hz:
            self._rest -= self.fs_hz
            us += 1
        self._us = time.ticks_add(self._us, us)
