"""A synthetic three-phase grid: samples of known frequency, phase and magnitude, in integers.

The fundamental's phase is summed in 2^-60 turns, so it is exact for years and linear frequency ramps are
really linear (the reference model for it is tools/gridmote/signals/truth.py).
"""

import math
from array import array

from boards.source import BlockSource
from waveform import kernels as w
from waveform.grid import frequency_line, settings

_LIMIT = 1 << 30
_NANO = 1_000_000_000
_MAX_KA_TURNS = 0.12  # 0.75 rad


def _turns(value):
    """An angle in turns as turns * 2^30."""
    return round(value * _LIMIT) % _LIMIT


class Synthetic(BlockSource):
    """Blocks without end; `config` overrides DEFAULTS. Times count from the start, rounded to a sample."""

    def __init__(self, config, block_samples):
        full = settings(config)
        fs_hz = full["fs_hz"]
        self.f0_hz = full["f0_hz"]
        self._sine = w.quarter_wave()
        self._phases = array("i", bytes(8 * block_samples))
        kinds = {}
        for channel in full["channels"]:
            kind = channel["kind"]
            kinds[kind] = max(kinds.get(kind, 0.0), channel["magnitude"])
        channels, self._amplitudes, self._angles = [], [], []
        for channel in full["channels"]:
            scale = kinds[channel["kind"]] * math.sqrt(2) / full["peak_counts"]
            channels.append({k: channel[k] for k in ("name", "kind", "phase")})
            channels[-1]["scale"] = scale
            self._amplitudes.append(full["magnitude_pu"] * channel["magnitude"] * math.sqrt(2) / scale)
            self._angles.append(channel["angle_deg"] / 360)
        self._plan(full, fs_hz)
        super().__init__(channels, fs_hz, block_samples)

    def _plan(self, full, fs_hz):
        """The first state, and the rows that replace part of it later: one for each corner and step."""
        kx, ka, fm = full["modulation"] or (0, 0, 0)
        ka /= 2 * math.pi
        if not (0 <= kx < 1 and 0 <= ka <= _MAX_KA_TURNS):
            raise ValueError("modulation: kx 0 to below 1, ka 0 to 0.75 rad")
        self._first = array("i", [0] * w.HEAD)
        first = self._first
        self._put(first, w.MOD_STEP, (round(fm * _NANO) << 60) // (_NANO * fs_hz))
        first[w.KX_Q19], first[w.KA_Q22] = min(round(kx * 524288), 524287), round(ka * 4194304)
        first[w.CHANNELS], first[w.HARMONICS] = len(self._amplitudes), len(full["harmonics"])
        self._noise(full["noise_counts"], full["seed"])
        for angle in self._angles:
            first.extend(array("i", [0, _turns(angle)]))
        peak = 1.0
        for order, fraction, phase_deg in full["harmonics"]:
            if not (2 <= order <= 1000 and 0 <= fraction < 1):
                raise ValueError("harmonics: order 2 to 1000, fraction 0 to below 1")
            first.extend(array("i", [order, round(fraction * 262144), _turns(phase_deg / 360 + 0.25)]))
            peak += fraction
        line = frequency_line(full)
        steps = {0: (1.0, 0.0)}
        steps.update({round(t * fs_hz): (factor, deg) for t, factor, deg in full["steps"]})
        self._rows = []
        for n in sorted(set(steps) | {n for n, _ in line}):
            if not 0 <= n < _LIMIT:
                raise ValueError("steps, ramps, trajectory: times must lie below 2^30 samples")
            factor, deg = steps[max([m for m in steps if m <= n])]
            top = max(self._amplitudes) * factor * (1 + kx) * peak
            if not 0 <= top <= 32767:
                raise ValueError("magnitude: a peak of %d counts does not fit into 16 bits" % top)
            row = array("i", [n, _turns(deg / 360), 0, 0, 0, 0])
            row.extend(array("i", [round(a * factor * 16) for a in self._amplitudes]))
            self._put_frequency(row, n, line, fs_hz)
            self._rows.append(row)

    def _noise(self, rms, seed):
        factor, shift = rms * 256 / w.NOISE_RMS, 0
        while 0 < factor < 16384 and shift < 24:
            factor *= 2
            shift += 1
        if factor >= 32768:
            raise ValueError("noise_counts: at most %d" % (32767 * w.NOISE_RMS / 256))
        self._first[w.NOISE], self._first[w.NOISE_SHIFT] = round(factor), shift
        for i in range(3):
            self._first[w.SEEDS + i] = 1 + (seed * (i + 1)) % 31656

    @staticmethod
    def _put(words, at, value):
        """A part of a turn times 2^60 as two words."""
        value %= 1 << 60
        words[at] = value >> 30
        words[at + 1] = value & (_LIMIT - 1)

    def _put_frequency(self, row, n, line, fs_hz):
        """Step and its change at sample n: f / fs + r / 2 and r, if the frequency rises r * fs a sample."""
        k = max([i for i in range(len(line)) if line[i][0] <= n])
        na, fa = line[k]
        nb, fb = line[k + 1] if k + 1 < len(line) else (na + 1, fa)
        length = nb - na
        turns = 2 * _NANO * fs_hz * length
        self._put(row, 2, ((2 * (fa * length + (fb - fa) * (n - na)) + fb - fa) << 60) // turns)
        self._put(row, 4, (2 * (fb - fa) << 60) // turns)

    def start(self, sec):
        """Begin again; the first sample is taken at the whole second sec = SOC - 2**31."""
        super().start(sec)
        self._state = array("i", self._first)
        self._row = 0
        self._next_row()

    def _next_row(self):
        """Put the row that is due into the state; the next comes after _left samples (-1: none)."""
        row, state = self._rows[self._row], self._state
        state[w.OFFSET] = row[1]
        for i in range(4):
            state[w.STEP + i] = row[2 + i]
        for c in range(len(row) - 6):
            state[w.HEAD + 2 * c] = row[6 + c]
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
            self._state[w.AT] = at
            w.advance(self._state, self._sine, self._phases, n)
            w.write_counts(block, self._state, self._sine, self._phases)
            at += n
        return self._hand_over(at)
