"""`gridmote export`: frames of an archive as CSV, against values computed from the bytes by hand."""

import csv
import io
import math
import struct
import subprocess
from contextlib import closing

import pytest
import typer
from typer.testing import CliRunner

from gridmote import processes
from gridmote.archive.store import Archive, Entry
from gridmote.commands import export
from host_tests.c37118_samples import config_body, frame, pmu_block
from host_tests.pdc_rig import SOC, Pmu

TOPIC = "area/secondary-station/1/PMU/7"
APP = typer.Typer()
APP.command()(export.export)
HEAD = ["time_utc", "soc", "fracsec", "time_quality"]


def run(*arguments):
    return CliRunner().invoke(APP, [str(argument) for argument in arguments])


def made(path, *frames, topic=TOPIC):
    with closing(Archive(path)) as archive:
        archive.store([Entry(topic, 1, list(frames))])
    return path


def rows(text):
    return list(csv.reader(io.StringIO(text)))


def cfg2(pmus, soc=SOC, time_base=1_000_000, rate=50):
    return frame(3, config_body(pmus, time_base, rate), soc=soc)


def test_int16_polar_and_rectangular_beside_float(tmp_path):
    """Two PMUs in one frame; expected values by the formulas of Table 5 and clause 6.2.2."""
    one = pmu_block(1, phnmr=2, annmr=1, stn=b"North", names=[b"VA", b"IA", b"Temp"],
                    units=[2500, 1 << 24 | 100, 0x0100_0000 | 10], fnom=1)
    two = pmu_block(0x0E, phnmr=1, dgnmr=1, stn=b"South\0", names=[b"VA"] + [b"D"] * 16, units=[1, 0xFFFF])
    body = struct.pack(">HHhHhhhh", 0x2011, 40000, 15708, 500, -32768, -12, 150, 7)
    body += struct.pack(">HffffH", 0, 3.0, 4.0, 50.25, -0.5, 0xA5A5)
    path = made(tmp_path / "a.sqlite", cfg2([one, two]), frame(0, body, soc=SOC, stamp=0x15 << 24 | 20_000))
    result = run(path)
    assert result.exit_code == 0, result.output
    head, row = rows(result.stdout)
    assert head == HEAD + [
        "North:stat", "North:freq_hz", "North:dfreq_hz_s", "North:VA_V", "North:VA_deg", "North:IA_A",
        "North:IA_deg", "North:Temp", "South:stat", "South:freq_hz", "South:dfreq_hz_s", "South:VA_V",
        "South:VA_deg", "South:digital_1"]
    assert row[:4] == ["2023-11-14T22:13:20.020000Z", str(SOC), "20000", "0x15"]
    assert row[4] == "0x2011" and row[9 + 3] == "0x0000" and row[-1] == "0xA5A5"
    expected = [50 - 0.012, 1.5, 40000 * 2500e-5, math.degrees(1.5708)]
    assert [float(cell) for cell in row[5:9]] == pytest.approx(expected, abs=1e-6)
    assert row[9:11] == ["", ""]  # angle 8000: absent
    assert float(row[11]) == 70  # 7 counts of ANUNIT's factor 10
    assert [float(cell) for cell in row[13:17]] == pytest.approx(
        [50.25, -0.5, 5, math.degrees(math.atan2(4, 3))], abs=1e-6)


def test_from_and_until_to_the_frame(tmp_path):
    pmu = Pmu()
    path = made(tmp_path / "a.sqlite", pmu.cfg2, *map(pmu.frame, range(200)))
    for begin in ("2023-11-14T22:13:21.020000Z", "2023-11-14 22:13:21.02", "2023-11-14T23:13:21.020000+01:00"):
        result = run(path, "--from", begin, "--until", str(SOC + 2))
        stamps = [row[0] for row in rows(result.stdout)[1:]]
        assert (len(stamps), stamps[0], stamps[-1]) == (
            49, "2023-11-14T22:13:21.020000Z", "2023-11-14T22:13:21.980000Z")
    assert "expected something like" in run(path, "--from", "yesterday").output
    assert "no frame" in run(path, "--from", "2030-01-01").output


def test_a_change_of_columns_begins_a_new_file_or_ends_standard_output(tmp_path):
    narrow, scaled, wide = Pmu(), Pmu(), Pmu(analogs=1)
    scaled.config.pmus[0].phasors = [("VA", 0, 2000), ("VB", 0, 2000)]
    scaled.config.soc, wide.config.soc = SOC + 1, SOC + 2
    path = made(tmp_path / "a.sqlite", narrow.cfg2, scaled.config.encode(), wide.config.encode(),
                *map(narrow.frame, range(100)), *map(wide.frame, range(100, 150)))
    out = tmp_path / "o.csv"
    result = run(path, "--out", out)
    assert result.exit_code == 0 and "100 rows" in result.output and "50 rows" in result.output
    first, second = rows(out.read_text()), rows((tmp_path / "o-2.csv").read_text())
    assert [row[7] for row in (first[1], first[51])] == ["10.0", "20.0"]  # only the scale: the same columns
    assert (len(first), len(second)) == (101, 51) and second[0][-1] == "AN0"
    refused = run(path)
    assert refused.exit_code == 1 and len(rows(refused.stdout)) == 101
    assert "--from 2023-11-14T22:13:22.000000Z" in refused.stderr
    later = run(path, "--from", "2023-11-14T22:13:22.000000Z")
    assert later.exit_code == 0 and len(rows(later.stdout)) == 51


def test_names_that_occur_twice_and_frames_that_nothing_describes(tmp_path):
    block = pmu_block(1, phnmr=2, names=[b"V, \"x\"", b"V, \"x\""], units=[1, 1])
    body = struct.pack(">HHhHhhh", 0, 1, 0, 2, 0, 0, 0)
    path = made(tmp_path / "a.sqlite", cfg2([block]), frame(0, body), frame(0, body[2:], stamp=20_000),
                frame(0, body, idcode=8, stamp=40_000))
    result = run(path)
    head, row = rows(result.stdout)
    assert head[-4:] == ['V, "x"_V', 'V, "x"_deg', 'V, "x"_V_2', 'V, "x"_deg_2'] and len(row) == len(head)
    assert "left out: 2 frames" in result.stderr


def test_one_of_several_pmus_has_to_be_named(tmp_path):
    pmu, other = Pmu(), TOPIC.replace("/1/", "/2/")
    path = made(tmp_path / "a.sqlite", pmu.cfg2, pmu.frame(0))
    made(path, pmu.cfg2, pmu.frame(1), topic=other)
    assert run(path).exit_code == 1 and other in run(path).output
    assert rows(run(path, other).stdout)[1][2] == "20000"
    for bad in (tmp_path / "absent", tmp_path):
        assert run(bad).exit_code == 1
    assert "No such file" in run(path, other, "--out", tmp_path / "absent" / "o.csv").output


def test_no_archive_is_written_over_and_other_files_only_if_told(tmp_path):
    pmu, wide = Pmu(), Pmu(analogs=1)
    wide.config.soc = SOC + 1
    path = made(tmp_path / "a.csv", pmu.cfg2, wide.config.encode(),
                *map(pmu.frame, range(50)), *map(wide.frame, range(50, 60)))
    other = made(tmp_path / "o-2.csv", pmu.cfg2)
    link, hard = tmp_path / "link", tmp_path / "hard"
    link.symlink_to(path)
    hard.hardlink_to(path)
    before = path.read_bytes()
    for out in (path, link, hard, other, *(tmp_path / (name + part) for name in ("a.csv", "link", "o-2.csv")
                                           for part in ("-wal", "-shm", "-journal"))):
        result = run(path, "--out", out, "--force")
        assert result.exit_code == 1 and "an archive" in result.output, out
    assert path.read_bytes() == before
    result = run(path, "--out", tmp_path / "o.csv")  # its second file would be an archive
    assert result.exit_code == 1 and "o-2.csv is an archive" in result.output
    with closing(Archive(other, readonly=True)) as archive:
        assert archive.topics() == [TOPIC]
    mine = tmp_path / "mine.csv"
    mine.write_text("mine")
    assert "--force" in run(path, "--out", mine).output and mine.read_text() == "mine"
    assert run(path, "--out", mine, "--force").exit_code == 0 and len(rows(mine.read_text())) == 51


def test_beside_a_writer_and_into_a_pipe_that_closes(tmp_path):
    pmu = Pmu()
    path = made(tmp_path / "a.sqlite", pmu.cfg2, *map(pmu.frame, range(5000)))
    with closing(Archive(path)) as writer:
        argv = processes.gridmote("export", path)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline().startswith("time_utc")
            writer.store([Entry(TOPIC, 1, [pmu.frame(i) for i in range(5000, 6000)])])
            process.stdout.close()
            assert process.wait(30) == 0 and not process.stderr.read()
        whole = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert len(whole.stdout.splitlines()) == 6001
