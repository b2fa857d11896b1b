"""The reference fit finds what is put in, to the accuracy of float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmote.signals.fit import fit, tve
from gridmote.signals.truth import Truth


@given(
    fs_hz=st.sampled_from([800, 1600, 4001, 5760]),
    offset_hz=st.floats(-3, 3),
    rate=st.floats(-2, 2),
    angle=st.floats(-3, 3),
    centre=st.floats(200, 1000),
)
def test_exact_on_a_ramp(fs_hz, offset_hz, rate, angle, centre):
    t = np.arange(1800) / fs_hz
    tc = centre / fs_hz
    u = t - tc
    x = 3 + 100 * np.cos(angle + 2 * np.pi * ((50 + offset_hz) * u + rate * u * u / 2))
    found = fit(x, fs_hz, centre, 4, 50, rocof=True) if 4 * fs_hz / 50 < 2 * centre - 2 else None
    if found:
        assert found.frequency_hz == pytest.approx(50 + offset_hz, abs=1e-6)
        assert found.rocof_hz_s == pytest.approx(rate, abs=1e-4)
        utc = 100 / np.sqrt(2) * np.exp(1j * (angle - 2 * np.pi * 50 * tc))
        assert tve(found.phasor, utc) < 1e-5


def test_harmonics_are_kept_out_when_asked():
    truth = Truth({"harmonics": [(2, 0.1, 10), (3, 0.1, 50)], "frequency_offset_hz": 1.3, "fs_hz": 4001})
    x = truth.samples(0, 4000, 0)
    plain, clean = (fit(x, 4001, 1234.5, 3.3, 50, harmonics=orders) for orders in ((), (2, 3)))
    reference = truth.phasor(1234.5 / 4001, 0)
    assert tve(clean.phasor, reference) < 1e-6 < 1e-3 < tve(plain.phasor, reference)
    assert clean.frequency_hz == pytest.approx(51.3, abs=1e-8)
    assert clean.residual_rms < 1e-8


def test_phasor_is_referred_to_the_second():
    """The cosine at the second has angle 0, and keeps it at nominal frequency."""
    x = np.cos(2 * np.pi * 60 * np.arange(5 * 1440) / 1440)
    for centre in (200, 721, 1440.25, 6000.5):
        assert fit(x, 1440, centre, 3, 60).phasor == pytest.approx(1 / np.sqrt(2), abs=1e-9)


def test_window_outside_of_the_recording():
    with pytest.raises(ValueError, match="leaves the recording"):
        fit(np.zeros(100), 1000, 20, 4, 50)


def test_tve():
    assert tve(1.01, 1.0) == pytest.approx(1.0)
    assert tve(np.exp(0.01j), 1.0) == pytest.approx(1.0, rel=1e-4)
