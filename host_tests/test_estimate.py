"""`gridmote estimate` on recordings whose phasors are known in closed form."""

import csv
import io
import json
import subprocess

import numpy as np
import pytest

from gridmote.processes import gridmote
from host_tests.test_recording import FS, files

CHANNELS = [("Va", "A", "kV", 0.01, 0.0, 0), ("Ib", "B", "A", 0.05, 0.0, 0), ("state", "", "", 1, 0, 0)]
VA_KV, IB_A = 80.0, 210.0  # rms
VA_DEG, IB_DEG = 25.0, -140.0  # at the first sample


def run(*args):
    return subprocess.run(gridmote("estimate", *args), capture_output=True, text=True, timeout=60)


def recording(folder, hz, seconds=1.5, **options):
    t_s = np.arange(round(seconds * FS)) / FS
    va = np.sqrt(2) * VA_KV / 0.01 * np.cos(2 * np.pi * hz * t_s + np.radians(VA_DEG))
    ib = np.sqrt(2) * IB_A / 0.05 * np.cos(2 * np.pi * hz * t_s + np.radians(IB_DEG))
    return files(folder, np.round(np.column_stack([va, ib, 0 * va])), channels=CHANNELS, **options)


def table(text):
    head, *rows = csv.reader(io.StringIO(text))
    return {name: [row[i] for row in rows] for i, name in enumerate(head)}


def numbers(column):
    return np.array([float(value) for value in column])


def degrees_apart(a, b):
    return np.abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("hz, f0_hz, rate", [(50.0, 50, 50), (49.1, 50, 50), (51.7, 50, 10), (60.4, 60, 30)])
def test_phasors_frequency_and_rocof(tmp_path, hz, f0_hz, rate):
    done = run(recording(tmp_path, hz, frequency=str(f0_hz)), "--rate", rate)
    assert done.returncode == 0, done.stderr
    got = table(done.stdout)
    assert list(got) == ["time", "t_s", "Va_V", "Va_deg", "Va_hz", "Va_hz_s", "Ib_A", "Ib_deg", "Ib_hz", "Ib_hz_s"]
    t_s = numbers(got["t_s"])
    # every frame of the grid whose window of a cycle and a half to both sides lies in the recording
    grid = np.arange(2 * rate) / rate
    sure = grid[(grid > 1.6 / f0_hz) & (grid < 1.5 - 1.6 / f0_hz)]
    assert set(np.round(sure, 9)) <= set(np.round(t_s, 9)) and len(t_s) <= len(sure) + 2
    assert np.allclose(np.diff(t_s), 1 / rate)
    for name, unit, rms, deg in (("Va", "V", 1000 * VA_KV, VA_DEG), ("Ib", "A", IB_A, IB_DEG)):
        assert np.abs(numbers(got[f"{name}_{unit}"]) / rms - 1).max() < 1e-3
        expected = deg + 360 * (hz - f0_hz) * t_s
        assert degrees_apart(numbers(got[f"{name}_deg"]), expected).max() < 0.05
        assert np.abs(numbers(got[f"{name}_hz"]) - hz).max() < 0.005
        assert np.abs(numbers(got[f"{name}_hz_s"])).max() < 0.4


def test_both_word_sizes_give_the_same_and_a_file_holds_what_stdout_gets(tmp_path):
    path, out = recording(tmp_path, 50.2), tmp_path / "out.csv"
    wide = run(path)
    assert run(path, "--word-size", "32", "-o", out).stdout == ""
    assert out.read_text() == wide.stdout and wide.stdout.count("\n") > 60


def test_time_is_that_of_the_recording(tmp_path):
    path = recording(tmp_path, 50.0)  # its stamp: 25 August 2024, 10:11:12.000000
    assert table(run(path).stdout)["time"][0] == "2024-08-25T10:11:12.040000Z"
    text = path.read_text().replace("10:11:12.000000", "10:11:12.250000")
    path.write_text(text)
    assert table(run(path).stdout)["time"][0] == "2024-08-25T10:11:12.040000Z"  # the whole second
    stamped = table(run(path, "--start", "stamp").stdout)
    assert stamped["time"][0] == "2024-08-25T10:11:12.280000Z"
    assert float(stamped["t_s"][0]) == pytest.approx(0.03)
    # a quarter of a second is 12.5 cycles: the angle that the UTC second sees is half a turn off
    assert degrees_apart(float(stamped["Va_deg"][0]), VA_DEG + 180) < 0.05
    given = table(run(path, "--start", "2026-01-31T12:00:59.9+01:00").stdout)
    assert given["time"][0] == "2026-01-31T11:00:59.940000Z"


def test_json_says_the_same(tmp_path):
    path = recording(tmp_path, 50.0)
    rows = table(run(path).stdout)
    *frames, last = map(json.loads, run(path, "--json").stdout.splitlines())
    assert [frame["Va_V"] for frame in frames] == list(numbers(rows["Va_V"]))
    summary = last["summary"]
    assert (summary["frames"], summary["fs_hz"], summary["channels"]) == (len(frames), FS, ["Va", "Ib"])
    assert any("state" in note for note in summary["notes"])


def test_channels_in_the_order_asked_and_a_dead_one_left_empty(tmp_path):
    t_s = np.arange(FS) / FS
    wave = np.round(9000 * np.cos(2 * np.pi * 50 * t_s))
    path = files(tmp_path, np.column_stack([wave, 0 * wave, wave]), channels=CHANNELS)
    got = table(run(path, "--channels", "Ib, 1").stdout)
    assert list(got)[2] == "Ib_A" and list(got)[6] == "Va_V"
    assert set(got["Ib_deg"]) == set(got["Ib_hz"]) == {""} and set(got["Ib_A"]) == {"0.0"}


@pytest.mark.parametrize("options, status, said", [
    (["--channels", "Vx"], 1, "no channel 'Vx'"),
    (["--rate", "101"], 1, "--rate 101: from 1 to 100"),
    (["--f0", "55"], 2, "--f0 55: 50 or 60"),
    (["--word-size", "16"], 2, "--word-size 16: 32 or 64"),
    (["--start", "noon"], 1, "--start noon"),
    (["-o", "/no/such/folder/x.csv"], 1, "/no/such/folder/x.csv: No such file"),
])
def test_a_mistake_is_one_line(tmp_path, options, status, said):
    done = run(recording(tmp_path, 50.0, 0.2), *options)
    assert (done.returncode, done.stdout) == (status, "")
    line, = done.stderr.splitlines()
    assert said in line


def test_recordings_that_cannot_be_used(tmp_path):
    done = run(tmp_path / "nothing.cfg")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    slow = files(tmp_path, np.zeros((400, 3)) + 5, channels=CHANNELS, rates=((700, None),))
    done = run(slow)
    assert done.returncode == 1 and "700 samples/s; the estimator needs 800" in done.stderr
