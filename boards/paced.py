"""A source that keeps time: its blocks come when an ADC would have filled them."""

import time


class Paced:
    """A source whose blocks are ready when their last sample would have been taken.

    depth_ms: how far back an imagined DMA ring reaches; blocks that are asked for later have been overwritten
    and are counted in `lost_blocks`. `timed`: whether the stamps of the block are UTC, as the clock knew then.
    """

    def __init__(self, source, clock, depth_ms):
        self._source = source
        self._clock = clock
        self._depth_ms = depth_ms
        self.channels = source.channels
        self.fs_hz = source.fs_hz
        self.block_samples = source.block_samples
        self.lost_blocks = 0
        self.timed = False
        self._ready_ms = None

    def due_ms(self):
        """Until the next block is ready; 0 or less when it is. Starts at the next second, at first and
        when the clock was stepped."""
        if self._ready_ms is None or self._clock.stepped:
            sec, wait_ms = self._clock.next_second()
            self.timed = self._clock.known
            self._source.start(sec)
            self._ready_ms = time.ticks_add(time.ticks_ms(), wait_ms)
            self._rest = 0
            self._advance(self.block_samples)
        return time.ticks_diff(self._ready_ms, time.ticks_ms()) - self._clock.gained_ms

    def fill(self):
        """Samples per channel in the next block, described by `block`, `sec` and `ns`; 0 at the end."""
        while self.due_ms() < -self._depth_ms:
            if not self._next():
                return 0
            self.lost_blocks += 1
        return self._next()

    def _next(self):
        source = self._source
        n = source.fill()
        self.block = source.block
        self.sec = source.sec
        self.ns = source.ns
        self._advance(n)
        return n

    def _advance(self, samples):
        self._rest += samples * 1000
        self._ready_ms = time.ticks_add(self._ready_ms, self._rest // self.fs_hz)
        self._rest %= self.fs_hz
