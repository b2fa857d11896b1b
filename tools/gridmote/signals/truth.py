"""The synthetic grid in closed form (numpy, float64): the reference for boards/synthetic.py.

Times are seconds since the start, which is a whole UTC second; phasors are rms and referred to UTC
(angle of the cosine at the second, C37.118.1 5.2).
"""

import numpy as np

from waveform.grid import settings


class Truth:
    """Phasor, frequency, ROCOF and samples of `Synthetic(config)` at any time; scalars or arrays of times."""

    def __init__(self, config):
        self.config = full = settings(config)
        self.fs_hz, self.f0_hz = full["fs_hz"], full["f0_hz"]
        self.channels = full["channels"]
        self.kx, self.ka_rad, self.fm_hz = full["modulation"] or (0.0, 0.0, 0.0)
        self._corners()

    def _at_sample(self, t_s):
        return np.round(np.asarray(t_s, float) * self.fs_hz) / self.fs_hz

    def _corners(self):
        """Corner times, frequency there and its integral up to there: linear between, constant outside."""
        points = np.array(self.config["trajectory"], float)
        points[:, 0] = self._at_sample(points[:, 0])
        ramps = [(self._at_sample(a), self._at_sample(b), r) for a, b, r in self.config["ramps"]]
        t = np.unique(np.concatenate([[0.0], points[:, 0]] + [[a, b] for a, b, _ in ramps]))
        f = np.interp(t, points[:, 0], points[:, 1])
        for a, b, rate in ramps:
            f += rate * (np.clip(t, a, b) - a)
        self._t, self._f = t, f
        self._turns = np.concatenate([[0.0], np.cumsum(np.diff(t) * (f[1:] + f[:-1]) / 2)])

    def _piece(self, t_s):
        k = np.searchsorted(self._t, t_s, side="right") - 1
        slopes = np.append(np.diff(self._f) / np.diff(self._t), 0.0)
        return k, np.asarray(t_s) - self._t[k], slopes[k]

    def _step(self, t_s):
        """Magnitude factor and angle (rad) of the steps."""
        steps = sorted((float(self._at_sample(t)), factor, deg) for t, factor, deg in self.config["steps"])
        table = np.array([(-np.inf, 1.0, 0.0)] + steps)
        k = np.searchsorted(table[:, 0], t_s, side="right") - 1
        return table[k, 1], np.radians(table[k, 2])

    def phase_rad(self, t_s):
        """Of the fundamental, without the channel's own angle."""
        k, u, slope = self._piece(t_s)
        wave = np.cos(2 * np.pi * self.fm_hz * np.asarray(t_s))
        turns = self._turns[k] + self._f[k] * u + slope * u * u / 2
        return 2 * np.pi * (turns % 1.0) + self._step(t_s)[1] - self.ka_rad * wave

    def frequency_hz(self, t_s):
        k, u, slope = self._piece(t_s)
        wave = np.sin(2 * np.pi * self.fm_hz * np.asarray(t_s))
        return self._f[k] + slope * u + self.ka_rad * self.fm_hz * wave

    def rocof_hz_s(self, t_s):
        wave = np.cos(2 * np.pi * self.fm_hz * np.asarray(t_s))
        return self._piece(t_s)[2] + self.ka_rad * 2 * np.pi * self.fm_hz**2 * wave

    def magnitude(self, t_s, channel):
        """V or A, rms."""
        gain = 1 + self.kx * np.cos(2 * np.pi * self.fm_hz * np.asarray(t_s))
        return self.channels[channel]["magnitude"] * self.config["magnitude_pu"] * self._step(t_s)[0] * gain

    def phasor(self, t_s, channel):
        angle = self.phase_rad(t_s) + np.radians(self.channels[channel]["angle_deg"])
        return self.magnitude(t_s, channel) * np.exp(1j * (angle - 2 * np.pi * self.f0_hz * np.asarray(t_s)))

    def samples(self, first, count, channel):
        """V or A at sample `first` and the next, without noise."""
        t = (first + np.arange(count)) / self.fs_hz
        theta = self.phase_rad(t) + np.radians(self.channels[channel]["angle_deg"])
        wave = np.cos(theta)
        for order, fraction, phase_deg in self.config["harmonics"]:
            wave += fraction * np.cos(order * theta + np.radians(phase_deg))
        return self.magnitude(t, channel) * np.sqrt(2) * wave
