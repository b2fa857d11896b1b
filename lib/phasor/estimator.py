"""Synchrophasors of every channel on the reporting grid, from blocks of samples."""

import array
import math

from phasor import kernel

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_NS = const(1000000000)
_CORDIC_GAIN = 1.6467602581210656
_TURN = const(0x3FFFFFFF)  # a turn less one: 2^30 itself is not a small integer on 32 bits
_FAR = const(1 << 29)  # a place in the samples that is not there yet

# Places of the parameters in `par` of kernel.estimate; all are >= 0, because a 64-bit port loads 32 bits unsigned.
_CHANNELS = const(0)  # values per sample in the history
_TAPS = const(1)  # taps to each side of the centre
_HALF = const(2)  # samples from the centre to each of the outer estimates: half a nominal cycle
_CENTRE = const(3)  # place of the centre sample's first value in the history
_SHIFT = const(4)  # bits every product of the FIR gives up, so that no input can overflow its sum
_GAIN = const(5)  # CORDIC output to rms counts * 2^14, in 2^-30
_ADVANCE = const(6)  # nominal advance over _HALF samples, in 2^-30 turn
_ADDED = const(7)  # to the angle: nominal advance from the centre to the grid, less the UTC reference
_TAU = const(8)  # (grid - centre) / (2 * _HALF samples) * 2^19, offset by 2^19
_FREQUENCY = const(9)  # deviation over 2 * _HALF samples to uHz, in 2^-30
_ROCOF = const(10)  # difference of the two halves' deviations to mHz/s, in 2^-30
_DROOP = const(11)  # pi^2 / 3 * (deviation / f0 over deviation in turns)^2, in 2^-10
_FLOOR = const(12)  # least magnitude, in rms counts * 2^14, that has an angle
_SIZE = const(13)
# Then two words a channel, for one that is sampled later than the stamp says: nominal advance in that time
# (2^-30 turn), and the time / (2 * _HALF samples) * 2^19.


class Estimator:
    """P-class estimator: a triangular FIR per single phase (IEEE C37.118.1 annex C.6), all in integers.

    fs_hz: sampling rate, at least 16 samples per nominal cycle and at most 50 kHz. f0_hz: 50 or 60.
    rate: frames per second; the grid divides the UTC second. channels: values per sample in a block.
    block_samples: the most samples that one `push` brings. out: array('i') whose first 4 * channels
    values `next` writes: per channel
      magnitude  rms in ADC counts * 2^14
      angle      in 2^-30 turn, -2^29..2^29, of a cosine at nominal frequency whose maximum is at the UTC second
      deviation  of the frequency from nominal, in uHz
      ROCOF      in mHz/s
    With `rectangular` the first two are real and imaginary part, rms counts * 2^14.
    Values other than the magnitude are kernel.ABSENT below `floor` rms counts and further than f0 / 4 off nominal.
    delays_ns: how much later than the stamp each channel is sampled, up to a sample; the angles allow for it.

    Usage: `push(block, n, sec, ns)`, then `next()` while it returns True; the frame's time is then `sec` and
    number `frame` of that second. Neither allocates. `sec` is SOC - 2^31, a small integer until 2072.
    Delay: one nominal cycle and a half. Counters: `gaps` in the samples, `skipped` frames lost to them.
    """

    def __init__(self, fs_hz, f0_hz, rate, channels, block_samples, out, floor=8, rectangular=False, delays_ns=()):
        cycle = fs_hz / f0_hz
        if cycle < 16 or fs_hz > 50000:
            raise ValueError("fs_hz %d: from %d (16 samples a cycle) to 50000" % (fs_hz, 16 * f0_hz))
        if not 1 <= rate <= f0_hz * 2:
            raise ValueError("rate %d: from 1 to %d frames a second" % (rate, f0_hz * 2))
        if not 1 <= block_samples * 5 <= fs_hz * 2:
            raise ValueError("block_samples %d: from 1 to 0.4 s" % block_samples)
        self._fs = fs_hz
        self._f0 = f0_hz
        self._rate = rate
        self._channels = channels
        self._out = out
        self._taps = taps = math.ceil(cycle) - 1
        self._half = half = int(cycle / 2 + 0.5)
        self._reach = taps + half
        self._keep = 2 * self._reach + 2
        self._capacity = self._keep + max(block_samples, self._keep // 4)
        self._history = array.array("H", bytes(2 * channels * self._capacity))
        self._filled = 0  # samples in the history
        self._at = 0  # of the latest block's first sample in the history
        self._block_sec = self._block_ns = 0  # its time
        self._due_sec = self._due_ns = None  # time of the sample after the latest block
        self._tau_turn = round(f0_hz / fs_hz * (1 << 50) / 1e6)
        self._tau = 0
        self.sec = 0
        self.frame = 0
        self.gaps = 0
        self.skipped = 0
        self._next_sec = None
        self._next_frame = 0
        self._design(cycle)
        self._par[_FLOOR] = floor << 14
        for i, delay_ns in enumerate(delays_ns):
            self._par[_SIZE + 2 * i] = round(f0_hz * delay_ns / 1e9 * (1 << 30))
            self._par[_SIZE + 2 * i + 1] = round(fs_hz * delay_ns / 1e9 / (2 * half) * (1 << 19))
        self._to_rectangular = None
        if rectangular:
            self._to_rectangular = kernel.to_rectangular

    def _design(self, cycle):
        """Coefficients (Q14, offset by 16384: cosine, sine of each tap) and the kernel's constants."""
        taps, half = self._taps, self._half
        self._coef = coef = array.array("H", bytes(4 * (taps + 1)))
        total = 0
        for k in range(taps + 1):
            weight = (1 - k / cycle) * 16384
            total += weight * (2 if k else 1)
            turn = 2 * math.pi * k / cycle
            coef[2 * k] = min(32767, round(weight * math.cos(turn)) + 16384)
            coef[2 * k + 1] = round(weight * math.sin(turn)) + 16384
        shift = 0
        while total > 1 << (15 + shift):
            shift += 1
        self._par = par = array.array("i", bytes(4 * (_SIZE + 2 * self._channels)))
        par[_CHANNELS] = self._channels
        par[_TAPS] = taps
        par[_HALF] = half
        par[_SHIFT] = shift
        par[_GAIN] = round(math.sqrt(2) * (1 << (14 + shift)) / total / _CORDIC_GAIN * (1 << 30))
        par[_ADVANCE] = round(half / cycle * (1 << 30)) & _TURN
        par[_FREQUENCY] = round(self._fs / (2 * half) * 1e6)
        par[_ROCOF] = round((self._fs / half) ** 2 * 1e3)
        par[_DROOP] = round(math.pi**2 / 3 * (cycle / (2 * half)) ** 2 * 1024)

    def push(self, block, n, sec, ns):
        """Take `n` samples per channel, array('h') interleaved, the first at `sec` + `ns`."""
        if self._due_sec is not None and self._is_gap(sec, ns):
            self.gaps += 1
            self._filled = 0
        if self._filled + n > self._capacity:
            first = self._filled - self._keep
            kernel.slide(self._history, first * self._channels, self._keep * self._channels)
            self._filled = self._keep
        self._at = self._filled
        kernel.push(self._history, self._filled * self._channels, block, n * self._channels)
        self._filled += n
        self._block_sec = sec
        self._block_ns = ns
        if self._next_sec is None:
            self._start(sec, ns)
        ns += n * (_NS // self._fs) + n * (_NS % self._fs) // self._fs - _NS
        if ns < 0:
            ns += _NS
        else:
            sec += 1
        self._due_sec = sec
        self._due_ns = ns

    def _is_gap(self, sec, ns):
        """More than half a sample from where the block before ended: lost samples, or the clock was stepped."""
        late = ns - self._due_ns
        if sec - self._due_sec == 1 and late < 0:
            late += _NS
        elif sec - self._due_sec == -1 and late > 0:
            late -= _NS
        elif sec != self._due_sec:
            return True
        return abs(late) > _NS // (2 * self._fs)

    def _start(self, sec, ns):
        """Begin with the first frame whose window lies in the samples from `sec` + `ns` on."""
        frame = ((ns + self._reach * (_NS // self._fs)) // 1000) * self._rate // 1000000 + 1
        self._next_sec = sec + frame // self._rate
        self._next_frame = frame % self._rate

    def next(self):
        """Estimate the next frame if all its samples are here; False when they are not."""
        while True:
            at = self._centre()
            if at + self._reach >= self._filled:
                return False
            frame = self._next_frame
            self.sec = self._next_sec
            self.frame = frame
            if frame + 1 < self._rate:
                self._next_frame = frame + 1
            else:
                self._next_frame = 0
                self._next_sec += 1
            if at >= self._reach:
                break
            self.skipped += 1
        par = self._par
        cycles = self._f0 * frame % self._rate
        reference = cycles * (_TURN // self._rate) + cycles * (_TURN % self._rate + 1) // self._rate
        par[_CENTRE] = at * self._channels
        par[_ADDED] = (_mul30(self._tau << 10, self._tau_turn) - reference) & _TURN
        par[_TAU] = self._tau * 1049 // (4000 * self._half) + (1 << 19)
        for channel in range(self._channels):
            kernel.estimate(self._history, self._coef, par, self._out, channel)
        if self._to_rectangular:
            self._to_rectangular(self._out, self._channels)
        return True

    def _centre(self):
        """The sample nearest to the next frame's time; `_tau` is how far that time is past it, in 1e-6 samples."""
        ahead = self._next_sec - self._block_sec
        if not -2 < ahead < 3:  # a long gap, or the clock was stepped: the grid begins anew
            sec, frame = self._next_sec, self._next_frame
            self._start(self._block_sec, self._block_ns)
            if -100000 < ahead < 0:  # a day; whoever steps the clock further lost no frames by it
                self.skipped += (self._next_sec - sec) * self._rate + self._next_frame - frame
            return _FAR
        ns = self._next_frame * (_NS // self._rate) + self._next_frame * (_NS % self._rate) // self._rate
        ns -= self._block_ns
        if ahead:
            if ahead == 2 or (ahead == 1 and ns > -(_NS // 2)):
                return _FAR
            if ahead == -1 and ns < _NS // 2:
                return -_FAR
            ns += ahead * _NS
        ms = ns // 1000000
        ns %= 1000000
        whole = ms * self._fs
        part = whole % 1000 * 1000 + ns // 1000 * self._fs + ns % 1000 * self._fs // 1000
        at = self._at + whole // 1000 + part // 1000000
        part %= 1000000
        if part >= 500000:
            part -= 1000000
            at += 1
        self._tau = part
        return at


def _mul30(a, b):
    """a * b >> 30 for |a|, |b| < 2^30, without an integer above 2^30 on the way."""
    return (a >> 15) * (b >> 15) + ((a >> 15) * (b & 32767) >> 15) + ((a & 32767) * (b >> 15) >> 15)
