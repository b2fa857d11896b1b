"""COMTRADE in all its dialects against known content, and the repetition of recordings."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmote.signals import seamless
from gridmote.signals.fit import fit
from gridmote.signals.gmr import played, read_gmr
from gridmote.signals.recording import RecordingError, convert, read, unit_factor
from host_tests.property import examples

FS = 1600
# name, phase, unit, a, b, skew in µs
CHANNELS = [("Va", "A", "kV", 0.01, 0.0, 0), ("Ib", "L2", "A", 0.5, 0.25, 0), ("freq", "", "Hz", 1, 0, 0)]


def raw_counts(samples=800, hz=50.0, peak=12000):
    angle = 2 * np.pi * hz * np.arange(samples) / FS
    return np.column_stack([np.round(peak * np.cos(angle)), np.round(900 * np.sin(angle)), angle * 0 + 50])


def files(folder, raw, kind="BINARY", year="1999", rates=((FS, None),), channels=CHANNELS, cff=False,
          stamps=None, name="r", frequency="50"):
    """A recording with one status channel; returns its path."""
    old = year == "1991"
    lines = ["station,device" + ("" if old else f",{year}"), f"{len(channels) + 1},{len(channels)}A,1D"]
    for n, (title, phase, unit, a, b, skew) in enumerate(channels, 1):
        lines.append(f"{n},{title},{phase},,{unit},{a},{b},{skew},-32767,32767" + (not old) * ",110,0.1,S")
    lines += ["1,trip,,,0", frequency, str(len(rates) if rates[0][0] else 0)]
    lines += [f"{rate},{last or len(raw)}" for rate, last in rates]
    day = "08/25/2024" if old else "25/08/2024"
    lines += [f"{day},10:11:12.000000"] * 2 + [kind] + ([] if old else ["1"])
    if year == "2013":
        lines += ["0,0", "0,0"]
    cfg = ("\r\n".join(lines) + "\r\n").encode("latin-1")
    stamps = stamps or [round(n * 1e6 / FS) for n in range(len(raw))]
    if kind == "ASCII":
        rows = [",".join(map(str, [n + 1, t, *(repr(float(v)) for v in row), n % 2])) for n, (t, row) in
                enumerate(zip(stamps, raw, strict=True))]
        dat = ("\r\n".join(rows) + "\r\n\x1a").encode()
    else:
        form = "<II" + {"BINARY": "h", "BINARY32": "i", "FLOAT32": "f"}[kind] * len(channels) + "H"
        cast = float if kind == "FLOAT32" else int
        dat = b"".join(struct.pack(form, n + 1, t, *map(cast, row), n % 2)
                       for n, (t, row) in enumerate(zip(stamps, raw, strict=True)))
    if cff:
        path = folder / f"{name}.cff"
        size = "" if kind == "ASCII" else f": {len(dat)}"
        others = b"--- file type: INF ---\r\n\r\n--- file type: HDR ---\r\n\r\n"
        mark = f"--- file type: DAT {kind}{size} ---\r\n".encode()
        path.write_bytes(b"--- file type: CFG ---\r\n" + cfg + others + mark + dat)
        return path
    path = folder / f"{name}.CFG"
    path.write_bytes(cfg)
    path.with_suffix(".dat").write_bytes(dat)
    return path


DIALECTS = [(kind, year, cff) for kind in ("ASCII", "BINARY") for year, cff in
            (("1991", False), ("1999", False), ("2013", False), ("2013", True))]
DIALECTS += [(kind, "2013", cff) for kind in ("BINARY32", "FLOAT32") for cff in (False, True)]


@pytest.mark.parametrize("kind, year, cff", DIALECTS)
def test_every_dialect(tmp_path, kind, year, cff):
    raw = raw_counts()
    path = files(tmp_path, raw, kind, year, cff=cff)
    recording = convert(path, tmp_path / "r.gmr", repeat=False)
    head, counts = read_gmr(tmp_path / "r.gmr")
    assert (head["fs_hz"], head["f0_hz"], head["samples"], head["loop"]) == (FS, 50, len(raw), None)
    assert [c["name"] + c["kind"] + c["phase"] for c in head["channels"]] == ["VaVA", "IbIB"]
    assert any("freq: skipped, its unit is 'Hz'" in note for note in recording.notes)
    assert head["channels"][0]["scale"] == pytest.approx(10.0)
    differs = np.abs(counts[:, 0] - raw[:, 0])
    # In binary files of 1991, -1 means a missing value and is interpolated.
    assert differs.max() == 0 or (kind, year) == ("BINARY", "1991") and differs.max() < 1500
    amperes = counts[:, 1] * head["channels"][1]["scale"]
    off = np.abs(amperes - (0.5 * raw[:, 1] + 0.25))
    assert off.max() <= head["channels"][1]["scale"] or year == "1991"


@pytest.mark.parametrize("kind", ["BINARY32", "FLOAT32", "ASCII"])
def test_wide_values_are_rescaled(tmp_path, kind):
    raw = raw_counts(peak=5_000_000)
    convert(files(tmp_path, raw, kind, "2013"), tmp_path / "r.gmr", repeat=False)
    head, counts = read_gmr(tmp_path / "r.gmr")
    assert np.abs(counts[:, 0]).max() == 32767
    scale = head["channels"][0]["scale"]
    assert counts[:, 0] * scale == pytest.approx(10.0 * raw[:, 0], abs=0.51 * scale)


def test_units():
    expected = {"kV": ("V", 1e3), "KV": ("V", 1e3), "v": ("V", 1), "MV": ("V", 1e6), "mV": ("V", 1e-3),
                "A": ("I", 1), "kA": ("I", 1e3), "mA": ("I", 1e-3), "MA": ("I", 1e-3), " Volts ": ("V", 1),
                "amp": ("I", 1), "µV": ("V", 1e-6), "W": None, "": None, "VA": None, "deg": None}
    assert {unit: unit_factor(unit) for unit in expected} == expected


def test_channels_by_name_and_number(tmp_path):
    path = files(tmp_path, raw_counts())
    assert [c["name"] for c in read(path, ["Ib", 1]).channels] == ["Ib", "Va"]
    with pytest.raises(RecordingError, match="no channel 'Vx', there are Va, Ib, freq"):
        read(path, ["Vx"])
    with pytest.raises(RecordingError, match="no voltage and no current"):
        read(path, ["freq"])


def test_missing_values(tmp_path):
    raw = raw_counts()
    exact = raw[:, 0].copy()
    raw[100, 0] = raw[300:302, 0] = -32768
    recording = read(files(tmp_path, raw))
    assert "Va: 3 missing values interpolated" in recording.notes
    assert recording.values[:, 0] == pytest.approx(10 * exact, abs=10 * 12000 * 0.08)
    raw[:, 0] = -32768
    assert "Va: skipped, empty" in read(files(tmp_path, raw)).notes


def test_skew_is_taken_out(tmp_path):
    late_us = 137.0
    raw = raw_counts()
    angle = 2 * np.pi * 50 * (np.arange(800) / FS + late_us * 1e-6)
    raw[:, 1] = np.round(12000 * np.cos(angle))
    channels = [CHANNELS[0], ("Vb", "B", "kV", 0.01, 0.0, late_us), CHANNELS[2]]
    values = read(files(tmp_path, raw, channels=channels)).values[50:-50]
    assert values[:, 1] == pytest.approx(values[:, 0], abs=25)  # two counts of 10 V and a half


@pytest.mark.parametrize("rate", [1600.25, 96000.0, 45000.5])
def test_rates_that_a_node_cannot_have(tmp_path, rate):
    t = np.arange(round(0.5 * rate)) / rate
    raw = np.column_stack([np.round(12000 * np.cos(2 * np.pi * 50.3 * t)), t * 0, t * 0])
    recording = read(files(tmp_path, raw, rates=((rate, None),)))
    assert recording.fs_hz <= 32000 and any(note.startswith("resampled") for note in recording.notes)
    found = fit(recording.values[:, 0], recording.fs_hz, 0.25 * recording.fs_hz, 8)
    assert found.frequency_hz == pytest.approx(50.3, abs=1e-4)
    assert abs(found.local) == pytest.approx(120000, rel=1e-4)
    assert np.angle(found.local) == pytest.approx(np.angle(np.exp(2j * np.pi * 50.3 * 0.25)), abs=1e-4)


def test_several_rates_and_time_stamps(tmp_path):
    raw = raw_counts()
    recording = read(files(tmp_path, raw, rates=((800, 100), (FS, None))))
    assert recording.fs_hz == FS and len(recording.values) == 700
    assert recording.values[:, 0] == pytest.approx(10 * raw[100:, 0])
    assert any("2 rates" in note for note in recording.notes)
    same = read(files(tmp_path, raw, rates=((FS, 100), (FS, None))))
    assert len(same.values) == 800
    stamped = read(files(tmp_path, raw, rates=((0, None),)))
    assert stamped.fs_hz == FS and any("time stamps" in note for note in stamped.notes)
    text = (tmp_path / "r.CFG").read_bytes().replace(b"\r\n50\r\n0\r\n0,800", b"\r\n50\r\n1\r\n0,800")
    (tmp_path / "r.CFG").write_bytes(text)  # as some writers do
    assert read(tmp_path / "r.CFG").fs_hz == FS
    stamps = [n * 625 + (n > 400) * 900 for n in range(800)]
    with pytest.raises(RecordingError, match="not uniform .sample 40[12]"):
        read(files(tmp_path, raw, rates=((0, None),), stamps=stamps))


def test_damaged_recordings(tmp_path):
    path = files(tmp_path, raw_counts())
    data = path.with_suffix(".dat")
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    recording = read(path)
    assert len(recording.values) == 400 and "cut off: 400 of 800 samples are there" in recording.notes
    data.write_bytes(b"")
    with pytest.raises(RecordingError, match="no samples"):
        read(path)
    data.unlink()
    with pytest.raises(RecordingError, match=".dat file is missing"):
        read(path)
    with pytest.raises(RecordingError, match="No such file"):
        read(tmp_path / "absent.cfg")
    for name, content in (("a.cff", b"nothing"), ("b.txt", b""), ("c.cfg", b"x,y\n1,zA,D\n")):
        (tmp_path / name).write_bytes(content)
        (tmp_path / "c.dat").write_bytes(b"")
        with pytest.raises(RecordingError, match=name):
            read(tmp_path / name)


def test_nominal_frequency_where_none_is_written(tmp_path):
    for hz in (50, 60):
        assert read(files(tmp_path, raw_counts(hz=hz), frequency="")).f0_hz == hz


@examples(40)
@given(
    fs_hz=st.sampled_from([800, 1000, 1600, 3840, 4001, 5760]),
    hz=st.floats(48, 52),
    cycles=st.floats(7, 150),
    angle=st.floats(-180, 180),
    change=st.floats(0.7, 1.3),
)
def test_repetition_is_seamless(fs_hz, hz, cycles, angle, change):
    n = int(cycles * fs_hz / hz)
    t = np.arange(n) / fs_hz
    envelope = np.where(np.arange(n) < n // 2, 1.0, change)
    theta = 2 * np.pi * hz * t + np.radians(angle)
    x = np.column_stack([envelope * np.cos(theta + turn) for turn in (0, -2.0944, 2.0944)])
    loop = seamless.choose(x, fs_hz, 50)
    assert loop.fade <= loop.start and loop.end <= n
    assert abs(loop.step_deg) <= 180 * hz / fs_hz + 0.2  # half a sample
    assert loop.length >= 0.85 * n - 13 * fs_hz / hz - loop.fade
    true_step = (360 * hz * loop.length / fs_hz + 180) % 360 - 180
    assert loop.step_deg == pytest.approx(true_step, abs=0.15 if cycles > 30 else 1.0)  # near the change
    out = seamless.blend(x, loop)
    assert len(out) == loop.end
    jump = np.abs(out[loop.start] - out[-1]).max()
    assert jump < 1.2 * max(1, change) * (2 * np.pi * hz / fs_hz) + 0.01


def test_too_short_to_repeat(tmp_path):
    with pytest.raises(RecordingError, match="too short"):
        convert(files(tmp_path, raw_counts(100)), tmp_path / "r.gmr")


def test_the_real_recording_repeats_without_a_step(shared, tmp_path):
    recording = convert(shared / "data/comtrade/generator-50hz.cfg", tmp_path / "g.gmr")
    loop = recording.loop
    assert (recording.fs_hz, recording.f0_hz, len(recording.channels)) == (5760, 50, 6)
    assert abs(loop.step_deg) < 0.1 and loop.length > 20000
    head, counts = read_gmr(tmp_path / "g.gmr")
    raw = recording.values[: loop.end - loop.fade] / [c["scale"] for c in head["channels"]]
    assert np.abs(counts[: loop.end - loop.fade] - raw).max() < 1e-3  # the recording's own counts
    volts = played(head, counts, 0, 3 * loop.end)[:, 3].astype(float)
    for offset in range(-1200, 600, 60):
        found = fit(volts, 5760, loop.end + offset, 3)
        assert found.frequency_hz == pytest.approx(49.985, abs=0.015)
        assert abs(found.local) == pytest.approx(7259, rel=0.005)
