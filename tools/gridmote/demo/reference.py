"""What the frames of the demonstration should have said, and when each could be said at the earliest."""

import functools
import math
from dataclasses import dataclass

import numpy as np

from gridmote.signals.fit import fit
from gridmote.signals.gmr import played, read_gmr
from gridmote.signals.truth import Truth
from waveform.grid import settings

_CYCLES = 3.0  # of the fit; the estimator sees as many: two, half a cycle to each side for the frequency
_HARMONICS = (2, 3, 5, 7, 11, 13)  # fitted too: unmodelled, they bend the frequency by millihertz
_STEADY = 1.5  # times what the fit usually leaves unexplained: more, and the window holds a step


@dataclass
class Sampling:
    """How a node takes samples: the time at which the block is ready that completes a frame's window."""

    fs_hz: int
    f0_hz: int
    block_ms: int

    @property
    def delay_s(self):
        """From a frame's time to the end of its window: one nominal cycle and a half."""
        return 1.5 / self.f0_hz

    def ready_s(self, t_s):
        """When the frame of `t_s` seconds after the start can be made."""
        cycle = self.fs_hz / self.f0_hz
        reach = math.ceil(cycle) - 1 + int(cycle / 2 + 0.5)
        block = max(1, self.fs_hz * self.block_ms // 1000)
        last = round(t_s * self.fs_hz) + reach
        return (last // block + 1) * block / self.fs_hz


class RecordingReference:
    """Least-squares fits of the raw samples of a replayed recording, at frames `t_s` seconds after its start."""

    what = "an independent fit of the raw samples"

    def __init__(self, path, longest_s):
        self._head, counts = read_gmr(path)
        self.fs_hz, self.f0_hz = self._head["fs_hz"], self._head["f0_hz"]
        self.channels = self._head["channels"]
        scales = [channel["scale"] for channel in self.channels]
        self._harmonics = [order for order in _HARMONICS if order * self.f0_hz < 0.45 * self.fs_hz]
        self._samples = played(self._head, counts, 0, int(longest_s * self.fs_hz)) * np.array(scales)

    def at(self, t_s, channel):
        """(phasor V or A rms referred to UTC, Hz, what one sinusoid leaves unexplained as part of it)."""
        samples, centre = self._samples[:, channel], t_s * self.fs_hz
        found = fit(samples, self.fs_hz, centre, _CYCLES, self.f0_hz, self._harmonics)
        return found.phasor, found.frequency_hz, found.residual_rms / max(abs(found.phasor), 1e-12)


class GridReference:
    """The closed form of the synthetic grid; as RecordingReference."""

    what = "the closed form of the synthetic grid"

    def __init__(self, grid):
        self._truth = Truth(grid)
        self.fs_hz, self.f0_hz = self._truth.fs_hz, self._truth.f0_hz
        self.channels = settings(grid)["channels"]

    def at(self, t_s, channel):
        return complex(self._truth.phasor(t_s, channel)), float(self._truth.frequency_hz(t_s)), 0.0


def compare(frames, pmu, reference, frequency_from):
    """Decoded frames beside their reference, as arrays over frames (and channels).

    frames: [(seconds since the first sample, PmuData)]; pmu: their PmuConfig.
    -> dict of t_s, phasor, phasor_ref (frames, channels), hz, hz_ref, rocof; steady: no step in the window,
    since the fit leaves no more unexplained than usual.
    """
    channels = range(len(pmu.phasors))
    expect = functools.cache(reference.at)  # a life begins like the one before
    out = {name: [] for name in ("t_s", "phasor", "phasor_ref", "hz", "hz_ref", "rocof", "rest")}
    for t_s, block in frames:
        expected = [expect(t_s, c) for c in channels]
        out["t_s"].append(t_s)
        out["phasor"].append([block.phasor(pmu, c) or np.nan for c in channels])
        out["phasor_ref"].append([phasor for phasor, _, _ in expected])
        out["hz"].append(_number(block.frequency_hz(pmu)))
        out["hz_ref"].append(expected[frequency_from][1])
        out["rocof"].append(_number(block.rocof_hz_s(pmu)))
        out["rest"].append([rest for _, _, rest in expected])
    out = {name: np.array(values) for name, values in out.items()}
    rest = out.pop("rest")
    out["steady"] = np.all(rest <= _STEADY * np.median(rest, axis=0), axis=1)
    return out


def _number(value):
    return np.nan if value is None else value


def errors(compared):
    """TVE in per cent and frequency error in mHz: mean and max over the steady frames, max over all."""
    tve = 100 * np.abs(compared["phasor"] - compared["phasor_ref"]) / np.abs(compared["phasor_ref"])
    hz = 1000 * np.abs(compared["hz"] - compared["hz_ref"])
    steady = compared["steady"]
    out = {"frames_compared": len(tve), "frames_steady": int(steady.sum())}
    for name, values, unit in (("tve", tve, "percent"), ("frequency_error", hz, "mhz")):
        out[f"{name}_mean_{unit}"] = _rounded(np.mean, values[steady])
        out[f"{name}_max_{unit}"] = _rounded(np.max, values[steady])
        out[f"{name}_max_all_{unit}"] = _rounded(np.max, values)
    return out


def _rounded(function, values):
    """None where a value is absent, or there is none at all."""
    value = float(function(values)) if values.size else np.nan
    return None if np.isnan(value) else round(value, 4)
