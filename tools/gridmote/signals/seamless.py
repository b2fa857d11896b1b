"""Where a recording can be repeated without a step in phase, and the cross-fade that hides other steps."""

from dataclasses import dataclass

import numpy as np

from gridmote.signals.fit import fit

GOOD_STEP_DEG = 0.02
WINDOW_CYCLES = 2.0


@dataclass(frozen=True)
class Loop:
    """Samples start to start + length are repeated; the last `fade` blend into those before start."""

    start: int
    length: int
    fade: int
    step_deg: float  # what remains between the end and the start, weighted over the channels
    start_hz: float
    end_hz: float

    @property
    def end(self):
        return self.start + self.length


def _local(x, fs_hz, centre, hz):
    """Peak phasors of all channels at sample `centre`, and their weighted frequency."""
    fits = [fit(channel, fs_hz, centre, WINDOW_CYCLES, hz, start_hz=hz) for channel in x.T]
    phasors = np.array([f.local for f in fits])
    weights = np.abs(phasors) ** 2
    return phasors, float(np.average([f.frequency_hz for f in fits], weights=weights))


def _step(phasors, reference):
    """Common angle between two sets of phasors in degrees."""
    return float(np.degrees(np.angle(np.sum(phasors * np.conj(reference)))))


def choose(values, fs_hz, f0_hz):
    """The loop of `values` (samples, channels; only those that shall rule): among the ends in the last tenth
    of the cycles (at least 10), the latest whose phase step is below GOOD_STEP_DEG, else that of the smallest
    step. The cross-fade takes a twentieth of the cycles, 1 to 10. ValueError: fewer than 6 cycles, or flat.
    """
    cycle = fs_hz / f0_hz
    half = int(np.ceil(WINDOW_CYCLES * cycle / 2)) + 1
    rms = values.std(axis=0)
    if len(values) < 6 * cycle or not np.any(rms > 0):
        raise ValueError(f"{len(values)} samples hold no 6 cycles of {f0_hz} Hz: too short to be repeated")
    x = values[:, rms > 0.05 * rms.max()]
    x = x / x.std(axis=0)
    fade = round(cycle * min(10, max(1, len(values) // (20 * cycle))))
    start = max(fade, half)
    reference, start_hz = _local(x, fs_hz, start, f0_hz)
    period = fs_hz / start_hz
    stop = len(x) - half  # the fit around the end must find its window
    most = int((stop - start) / period)
    candidates = []
    end = start + most * period
    for _ in range(max(10, most // 10)):
        if end - fade < start + period:
            break
        for _ in range(4):  # to where the phase continues
            at = min(round(end), stop)
            phasors, hz = _local(x, fs_hz, at, f0_hz)
            step = _step(phasors, reference)
            end = at - step / 360 * fs_hz / hz
            if abs(end - at) <= 0.5:
                break
        if abs(step) < 360 / cycle:
            candidates.append((step, at, hz))
            if abs(step) <= GOOD_STEP_DEG:
                break
        end -= fs_hz / hz
    if not candidates:
        raise ValueError("no cycle at the end of the recording continues at its start")
    step, end, end_hz = min(candidates, key=lambda c: abs(c[0]))
    return Loop(start, end - start, fade, step, start_hz, end_hz)


def blend(values, loop):
    """`values` up to the loop's end with the cross-fade (raised cosine) in its last `fade` samples."""
    out = np.array(values[: loop.end], float)
    weight = (1 - np.cos(np.pi * (np.arange(loop.fade) + 0.5) / loop.fade)) / 2
    before_start = values[loop.start - loop.fade : loop.start]
    out[loop.end - loop.fade :] += weight[:, None] * (before_start - out[loop.end - loop.fade :])
    return out
