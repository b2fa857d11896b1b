"""Plans a synthetic grid: its settings become what the kernels read. Run once."""

import math
from array import array

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_LIMIT = const(1 << 30)
_NANO = const(1_000_000_000)
_MAX_KA_TURNS = 0.12  # 0.75 rad

# Words of the state that are set here; waveform.kernels has them all.
_MOD_STEP = const(8)
_KX_Q19 = const(10)
_KA_Q22 = const(11)
_CHANNELS = const(13)
_HARMONICS = const(14)
_NOISE = const(17)
_NOISE_SHIFT = const(18)
_SEEDS = const(19)
_HEAD = const(22)

_NOISE_RMS = 9342.1  # of the combined generator: 32362 values, equally likely


def plan(full):
    """(channels, the first state, rows, sine table) of the settings of a grid (waveform.grid); ValueError.

    channels: dicts of name, kind, phase and scale. A row replaces a part of the state from one sample on, at each
    corner of the frequency's line and each step: sample, angle offset, step and its change (two words each), then
    the amplitude of each channel.
    """
    kinds = {}
    for channel in full["channels"]:
        kind = channel["kind"]
        kinds[kind] = max(kinds.get(kind, 0.0), channel["magnitude"])
    channels, amplitudes, angles = [], [], []
    for channel in full["channels"]:
        scale = kinds[channel["kind"]] * math.sqrt(2) / full["peak_counts"]
        channels.append({k: channel[k] for k in ("name", "kind", "phase")})
        channels[-1]["scale"] = scale
        amplitudes.append(full["magnitude_pu"] * channel["magnitude"] * math.sqrt(2) / scale)
        angles.append(channel["angle_deg"] / 360)
    kx, ka, _ = full["modulation"] or (0, 0, 0)
    if not (0 <= kx < 1 and 0 <= ka / (2 * math.pi) <= _MAX_KA_TURNS):
        raise ValueError("modulation: kx 0 to below 1, ka 0 to 0.75 rad")
    peak = 1.0 + sum([fraction for _, fraction, _ in full["harmonics"]])
    return channels, _first(full, angles), _rows(full, amplitudes, (1 + kx) * peak), _quarter_wave()


def _quarter_wave():
    """sin of 0..90 degrees in 512 steps, times 2^24 (and one guard word): linear between, error < 1.2e-6."""
    return array("i", [round(math.sin(i * math.pi / 1024) * 16777216) for i in range(513)] + [16777216])


def _turns(value):
    """An angle in turns as turns * 2^30."""
    return round(value * _LIMIT) % _LIMIT


def _first(full, angles):
    """The state before the first sample; amplitudes and frequency come with the first row."""
    kx, ka, fm = full["modulation"] or (0, 0, 0)
    state = array("i", [0] * _HEAD)
    _put(state, _MOD_STEP, (round(fm * _NANO) << 60) // (_NANO * full["fs_hz"]))
    state[_KX_Q19] = min(round(kx * 524288), 524287)
    state[_KA_Q22] = round(ka / (2 * math.pi) * 4194304)
    state[_CHANNELS], state[_HARMONICS] = len(angles), len(full["harmonics"])
    _noise(state, full["noise_counts"], full["seed"])
    for angle in angles:
        state.extend(array("i", [0, _turns(angle)]))
    for order, fraction, phase_deg in full["harmonics"]:
        if not (2 <= order <= 1000 and 0 <= fraction < 1):
            raise ValueError("harmonics: order 2 to 1000, fraction 0 to below 1")
        state.extend(array("i", [order, round(fraction * 262144), _turns(phase_deg / 360 + 0.25)]))
    return state


def _noise(state, rms, seed):
    factor, shift = rms * 256 / _NOISE_RMS, 0
    while 0 < factor < 16384 and shift < 24:
        factor *= 2
        shift += 1
    if factor >= 32768:
        raise ValueError("noise_counts: at most %d" % (32767 * _NOISE_RMS / 256))
    state[_NOISE], state[_NOISE_SHIFT] = round(factor), shift
    for i in range(3):
        state[_SEEDS + i] = 1 + (seed * (i + 1)) % 31656


def _rows(full, amplitudes, swell):
    """swell: how much larger than its fundamental a channel's peak may become."""
    fs_hz = full["fs_hz"]
    line = _frequency_line(full)
    steps = {0: (1.0, 0.0)}
    steps.update({round(t * fs_hz): (factor, deg) for t, factor, deg in full["steps"]})
    rows = []
    for n in sorted(set(steps) | {n for n, _ in line}):
        if not 0 <= n < _LIMIT:
            raise ValueError("steps, ramps, trajectory: times must lie below 2^30 samples")
        factor, deg = steps[max([m for m in steps if m <= n])]
        top = max(amplitudes) * factor * swell
        if not 0 <= top <= 32767:
            raise ValueError("magnitude: a peak of %d counts does not fit into 16 bits" % top)
        row = array("i", [n, _turns(deg / 360), 0, 0, 0, 0])
        row.extend(array("i", [round(a * factor * 16) for a in amplitudes]))
        _put_frequency(row, n, line, fs_hz)
        rows.append(row)
    return rows


def _put(words, at, value):
    """A part of a turn times 2^60 as two words."""
    value %= 1 << 60
    words[at] = value >> 30
    words[at + 1] = value & (_LIMIT - 1)


def _put_frequency(row, n, line, fs_hz):
    """Step and its change at sample n: f / fs + r / 2 and r, if the frequency rises r * fs a sample."""
    k = max([i for i in range(len(line)) if line[i][0] <= n])
    na, fa = line[k]
    nb, fb = line[k + 1] if k + 1 < len(line) else (na + 1, fa)
    length = nb - na
    turns = 2 * _NANO * fs_hz * length
    _put(row, 2, ((2 * (fa * length + (fb - fa) * (n - na)) + fb - fa) << 60) // turns)
    _put(row, 4, (2 * (fb - fa) << 60) // turns)


def _frequency_line(full):
    """[(sample, frequency in nHz)]: linear between, constant before the first and after the last."""
    fs_hz = full["fs_hz"]
    points = [(round(t * fs_hz), round(hz * _NANO)) for t, hz in full["trajectory"]]
    ramps = [(round(t0 * fs_hz), round(t1 * fs_hz), round(r * _NANO)) for t0, t1, r in full["ramps"]]
    for a, b in zip(points, points[1:]):
        if b[0] <= a[0]:
            raise ValueError("trajectory: times must increase")
    for n0, n1, _ in ramps:
        if n1 <= n0:
            raise ValueError("ramps: t1 must come after t0")
    corners = {0}
    corners.update([n for n, _ in points])
    for n0, n1, _ in ramps:
        corners.update((n0, n1))
    line = []
    for n in sorted(corners):
        if n < 0:
            raise ValueError("trajectory and ramps: times must not be negative")
        f = points[0][1] if n <= points[0][0] else points[-1][1]
        for (na, fa), (nb, fb) in zip(points, points[1:]):
            if na <= n <= nb:
                f = fa + (fb - fa) * (n - na) // (nb - na)
        for n0, n1, r in ramps:
            f += r * (min(max(n, n0), n1) - n0) // fs_hz
        line.append((n, f))
    return line
