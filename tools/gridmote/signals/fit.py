"""Least-squares fit of a sinusoid (numpy, float64): the reference that shares nothing with the firmware.

A window of samples is modelled as a constant, the fundamental and, if asked, harmonics of a frequency that
is constant or changes linearly; frequency and ROCOF are found by Gauss-Newton steps.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fit:
    """At the window's centre: rms phasor referred to UTC, peak phasor as seen there, frequency, ROCOF."""

    phasor: complex  # unit of the samples, rms; angle of the cosine at the second (C37.118.1 5.2)
    local: complex  # peak; angle of the cosine at the centre
    frequency_hz: float
    rocof_hz_s: float
    residual_rms: float


def _basis(phase, u, harmonics, rocof):
    """Columns: 1, cos and sin of each order, the fundamental times u, with ROCOF times u**2."""
    columns = [np.ones_like(u)]
    for order in (1, *harmonics):
        columns += [np.cos(order * phase), np.sin(order * phase)]
    for power in (1, 2) if rocof else (1,):
        columns += [u**power * np.cos(phase), u**power * np.sin(phase)]
    return np.column_stack(columns)


def fit(samples, fs_hz, centre, cycles=4.0, f0_hz=50.0, harmonics=(), rocof=False, start_hz=None):
    """Fit of `samples` (one channel; sample 0 is taken at a whole UTC second) in a window of `cycles` nominal
    cycles around sample `centre` (any real number). ValueError when the window leaves the recording.
    """
    half = cycles * fs_hz / f0_hz / 2
    first, last = int(np.ceil(centre - half)), int(np.floor(centre + half))
    if first < 0 or last >= len(samples):
        raise ValueError(f"window of samples {first} to {last} leaves the recording of {len(samples)}")
    x = np.asarray(samples[first : last + 1], float)
    u = (np.arange(first, last + 1) - centre) / fs_hz
    f, r = float(f0_hz if start_hz is None else start_hz), 0.0
    drift = 3 + 2 * len(harmonics)  # column of the first drift term
    for _ in range(50):
        basis = _basis(2 * np.pi * (f * u + r * u * u / 2), u, harmonics, rocof)
        weights = np.linalg.lstsq(basis, x, rcond=None)[0]
        local = complex(weights[1], -weights[2])
        if not local:
            break
        df = (complex(weights[drift], -weights[drift + 1]) / local).imag / (2 * np.pi)
        dr = (complex(weights[drift + 2], -weights[drift + 3]) / local).imag / np.pi if rocof else 0.0
        f, r = f + df, r + dr
        if abs(df) < 1e-10 and abs(dr) < 1e-8:
            break
    turns = f0_hz * (centre % fs_hz) / fs_hz if float(f0_hz).is_integer() else f0_hz * centre / fs_hz
    phasor = local / np.sqrt(2) * np.exp(-2j * np.pi * turns)
    residual = float(np.sqrt(np.mean((x - basis @ weights) ** 2)))
    return Fit(complex(phasor), local, f, r, residual)


def tve(estimate, reference):
    """Total vector error in per cent (C37.118.1 5.3.2)."""
    return 100 * np.abs(np.asarray(estimate) - reference) / np.abs(reference)
