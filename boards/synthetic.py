"""A synthetic three-phase grid: samples of known frequency, phase and magnitude, in integers.

The fundamental's phase is summed in 2^-60 turns, so it is exact for years and linear frequency ramps are
really linear (the reference model for it is tools/gridmote/signals/truth.py).
"""

from array import array

from boards.once import once
from boards.source import BlockSource
from waveform.kernels import advance, write_counts

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

# Words of the state that change; waveform.kernels has them all.
_STEP = const(2)
_OFFSET = const(12)
_AT = const(15)
_HEAD = const(22)


class Synthetic(BlockSource):
    """Blocks without end; `config` overrides DEFAULTS. Times count from the start, rounded to a sample."""

    def __init__(self, config, block_samples):
        full = once("waveform.grid", "settings", config)
        channels, self._first, self._rows, self._sine = once("waveform.plan", "plan", full)
        self._phases = array("i", bytes(8 * block_samples))
        self.f0_hz = full["f0_hz"]
        super().__init__(channels, full["fs_hz"], block_samples)

    def start(self, sec):
        """Begin again; the first sample is taken at the whole second sec = SOC - 2**31."""
        super().start(sec)
        self._state = array("i", self._first)
        self._row = 0
        self._next_row()

    def _next_row(self):
        """Put the row that is due into the state; the next comes after _left samples (-1: none)."""
        row, state = self._rows[self._row], self._state
        state[_OFFSET] = row[1]
        for i in range(4):
            state[_STEP + i] = row[2 + i]
        for c in range(len(row) - 6):
            state[_HEAD + 2 * c] = row[6 + c]
        self._row += 1
        self._left = self._rows[self._row][0] - row[0] if self._row < len(self._rows) else -1

    def fill(self):
        """The next block; always full."""
        block = self._next_block()
        at = 0
        while at < self.block_samples:
            if self._left == 0:
                self._next_row()
            n = self.block_samples - at
            if 0 <= self._left < n:
                n = self._left
            if self._left > 0:
                self._left -= n
            self._state[_AT] = at
            advance(self._state, self._sine, self._phases, n)
            write_counts(block, self._state, self._sine, self._phases)
            at += n
        return self._hand_over(at)
