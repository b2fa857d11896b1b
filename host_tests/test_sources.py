"""The synthetic grid against its closed form, on both word sizes of MicroPython and on CPython."""

import json

import numpy as np
import pytest

from boards.synthetic import Synthetic
from gridmote.signals.gmr import played, read_gmr, write_gmr
from gridmote.signals.truth import Truth

MODES = {
    "plain": {},
    "odd rate, offset": {"fs_hz": 4001, "frequency_offset_hz": -1.234567},
    "60 Hz, 5760/s": {"fs_hz": 5760, "f0_hz": 60, "magnitude_pu": 1.2},
    "harmonics": {"fs_hz": 6400, "harmonics": [(2, 0.01, 0), (3, 0.2, 45), (50, 0.1, -170)]},
    "modulation": {"modulation": (0.1, 0.1, 2.0)},
    "deep modulation": {"modulation": (0.6, 0.7, 4.9), "frequency_offset_hz": 0.5},
    "ramps": {"fs_hz": 5760, "ramps": [(0.1, 0.6, 5.0), (0.35, 1.1, -3.3)]},
    "steps": {"steps": [(0.2, 1.1, 10), (0.5, 0.9, -10), (0.50001, 1.0, 180)]},
    "Great Britain": {"trajectory": "gb-2019-08-09", "compression": 150, "trajectory_start_s": 0.3},
    "all at once": {
        "fs_hz": 3200,
        "frequency_offset_hz": 0.3,
        "harmonics": [(5, 0.05, 20)],
        "modulation": (0.1, 0.1, 5.0),
        "ramps": [(0.0, 2.0, -1.0)],
        "steps": [(0.4, 1.1, -15)],
    },
    "one channel": {"channels": [{"name": "x", "kind": "I", "phase": "", "magnitude": 3.3, "angle_deg": 77}]},
}
BLOCKS, SIZE = 40, 91

DUMP = """
import json, sys
from boards.synthetic import Synthetic
config, blocks, size, skip, path = json.loads(sys.stdin.read())
source = Synthetic(config, size)
for _ in range(skip):
    source.fill()
with open(path, "wb") as out:
    for _ in range(blocks):
        source.fill()
        out.write(source.block)
"""


def on_node(mpy, tmp_path, config, blocks=BLOCKS, skip=0):
    path = tmp_path / "samples"
    done = mpy("-c", DUMP, stdin=json.dumps([config, blocks, SIZE, skip, str(path)]))
    assert done.returncode == 0, done.stdout + done.stderr
    return np.fromfile(path, "<i2").reshape(blocks * SIZE, -1)


def on_host(config, blocks=BLOCKS):
    source = Synthetic(config, SIZE)
    counts = [np.array(source.block) for _ in range(blocks) if source.fill()]
    return np.concatenate(counts).reshape(blocks * SIZE, -1)


def error_counts(config, counts, first=0):
    truth, source = Truth(config), Synthetic(config, 1)
    exact = [truth.samples(first, len(counts), k) / c["scale"] for k, c in enumerate(source.channels)]
    return np.abs(counts - np.column_stack(exact)).max()


@pytest.mark.parametrize("mode", MODES)
def test_closed_form_on_both_word_sizes(mpy, tmp_path, mode):
    counts = on_node(mpy, tmp_path, MODES[mode])
    assert error_counts(MODES[mode], counts) < 0.75  # half a count is rounding
    assert counts.max() > 15000


@pytest.mark.parametrize("mode", ["all at once", "Great Britain"])
def test_cpython_makes_the_same_counts(mpy, tmp_path, mode):
    config = dict(MODES[mode], noise_counts=12.5)
    assert np.array_equal(on_host(config), on_node(mpy, tmp_path, config))


def test_phase_does_not_drift(mpy, tmp_path):
    config = {"frequency_offset_hz": 0.123457, "modulation": (0.05, 0.05, 1.7)}
    skip = 30 * 60 * 1600 // SIZE  # half an hour
    assert error_counts(config, on_node(mpy, tmp_path, config, skip=skip), first=skip * SIZE) < 0.75


def test_noise_has_the_rms_asked_for_and_no_mean(mpy, tmp_path):
    quiet = on_node(mpy, tmp_path, {}, blocks=200).astype(int)
    for rms in (0.5, 3, 200):
        noise = on_node(mpy, tmp_path, {"noise_counts": rms}, blocks=200) - quiet
        assert np.std(noise) == pytest.approx(np.hypot(rms, 0.4), rel=0.06)  # twice rounded to counts
        assert abs(np.mean(noise)) < 0.03 * rms
    spectrum = np.abs(np.fft.rfft(noise, axis=0)[1:]) ** 2
    assert spectrum.max() < 25 * spectrum.mean()  # no tone in it


def test_truth_is_consistent():
    """Frequency and ROCOF are the derivatives of the phase."""
    truth = Truth(dict(MODES["all at once"], trajectory=[(0.5, 50.2), (1.5, 49.1)]))
    t, h = np.linspace(0.61, 1.39, 50), 1e-5
    slope = np.angle(np.exp(1j * (truth.phase_rad(t + h) - truth.phase_rad(t - h)))) / (4 * np.pi * h)
    assert slope == pytest.approx(truth.frequency_hz(t), abs=1e-5)
    rise = (truth.frequency_hz(t + h) - truth.frequency_hz(t - h)) / (2 * h)
    assert rise == pytest.approx(truth.rocof_hz_s(t), abs=1e-4)


def test_great_britain_2019():
    truth = Truth({"trajectory": "gb-2019-08-09"})
    assert truth.frequency_hz(np.array([0, 25, 76, 290])) == pytest.approx([50.0, 49.1, 48.8, 50.0])


def test_replay_gives_what_the_host_says(mpy, tmp_path):
    """`played` is the host's view of a repeated recording."""
    samples = np.random.default_rng(5).integers(-32768, 32768, (900, 3))
    channels = [{"name": f"channel {k}", "kind": "V", "phase": "", "scale": 0.5} for k in range(3)]
    write_gmr(tmp_path / "r.gmr", channels, 1200, samples, 60, (100, 750))
    code = (
        "import sys\nfrom boards.unix.replay import Replay\nr = Replay(sys.argv[1], 77, True)\n"
        "out = open(sys.argv[2], 'wb')\nfor _ in range(40):\n r.fill()\n out.write(r.block)\nout.close()\n"
    )
    (tmp_path / "play.py").write_text(code)
    done = mpy(tmp_path / "play.py", tmp_path / "r.gmr", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = np.fromfile(tmp_path / "out", "<i2").reshape(-1, 3)
    assert np.array_equal(counts, played(*read_gmr(tmp_path / "r.gmr"), 0, 40 * 77))
