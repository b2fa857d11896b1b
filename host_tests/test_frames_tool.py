"""`gridmote frames`: hex and raw input, errors, what it prints, round trips and exit status."""

import json

import pytest
import typer
from hypothesis import given
from typer.testing import CliRunner

import gridmote.commands.frames as tool
from c37118.command import Command
from c37118.config import Config, PmuConfig
from c37118.data import Data, PmuData
from host_tests.c37118_samples import PLAIN_FRAMES, config_body, frame, known_streams, pmu_block, streams

APP = typer.Typer()
APP.command()(tool.frames)

CONFIG = Config(241, [PmuConfig("Alpha\0\0", 241, 1, [("VA", 0, 915527), ("IA", 1, 45776)],
                                [("P", 1, 2)], [(["on"] + [""] * 15, 0, 3)])], 50, soc=1_700_000_000)
BLOCK = PmuData.measured(CONFIG.pmus[0], 0x28C3, [complex(0, 132_790), None], 49.95, 0.5, [10], [1])
DATA = Data(241, 1_700_000_000, 0x17, 20_000, [BLOCK]).encode(CONFIG)


def run(tmp_path, content, *options, stdin=None):
    path = tmp_path / "input"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return CliRunner().invoke(APP, ["-" if stdin else str(path), *options], input=stdin)


def hex_lines(*frames):
    return "# a comment\n\n" + "".join(f"f{i}: {raw.hex()}  # {i}\n" for i, raw in enumerate(frames))


def records(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_words_and_units(tmp_path):
    done = run(tmp_path, hex_lines(Command(241, 2).encode(), CONFIG.encode(), DATA))
    assert done.exit_code == 0
    output = " ".join(done.stdout.split())
    for text in (
        "f0 command IDCODE 241 1970-01-01T00:00:00Z locked to UTC command 2: data on",
        "f1 CFG-2 IDCODE 241 2023-11-14T22:13:20.000000Z locked to UTC TIME_BASE 1000000, 50 frames a second",
        "f2 data IDCODE 241 2023-11-14T22:13:20.020000Z within 1 ms of UTC, leap second insertion pending",
        "PMU 'Alpha' IDCODE 241 STAT 28C3: good, not synchronised to UTC, trigger: phase angle,",
        "'VA' 13278", " V ∠ 90.0", "'IA' absent", "frequency 49.9500 Hz ROCOF 0.500 Hz/s",
        "'P' 10.000 (rms)", "digital 0001 'on'=1",
        "3 frames decoded (1 command, 1 CFG-2, 1 data), 0 errors",
    ):  # fmt: skip
        assert text in output, text


def test_json_lines_hold_the_same(tmp_path):
    made = records(run(tmp_path, hex_lines(CONFIG.encode(), DATA), "--json"))
    assert [r.get("kind") for r in made] == ["CFG-2", "data", None]
    (pmu,) = made[1]["pmus"]
    assert (made[1]["line"], made[1]["tag"], made[1]["bytes"]) == (4, "f1", len(DATA))
    assert pmu["phasors"][0]["magnitude"] == pytest.approx(132_790, abs=5)
    assert pmu["phasors"][0]["angle_deg"] == pytest.approx(90, abs=0.005)
    assert pmu["phasors"][1]["magnitude"] is None
    assert made[2] == {"summary": {"frames": {"CFG-2": 1, "data": 1}, "unconfigured": 0, "errors": 0}}


def test_not_a_number_is_null_in_json(tmp_path):
    config = frame(3, config_body([pmu_block(15, 0, 1)]))
    body = bytes.fromhex("0000 7f800001 7f800001 7f800000")
    pmu = records(run(tmp_path, hex_lines(config, frame(0, body)), "--json"))[1]["pmus"][0]
    assert (pmu["frequency_hz"], pmu["rocof_hz_s"], pmu["analogs"][0]["value"]) == (None, None, "inf")


@pytest.mark.parametrize("form", ["hex", "raw", "stdin"])
@pytest.mark.parametrize("name, frames", known_streams().items())
def test_roundtrip_of_the_shapes_seen_in_the_field(tmp_path, name, frames, form):
    raw = b"".join(frames)
    content = hex_lines(*frames) if form == "hex" else raw
    done = run(tmp_path, content, "--roundtrip", stdin=raw if form == "stdin" else None)
    assert done.exit_code == 0, done.stdout
    assert f"(1 CFG-2, {len(frames) - 1} data), 0 errors, 0 differ" in done.stdout


def test_roundtrip_of_the_real_capture(shared):
    done = CliRunner().invoke(APP, [str(shared / "data/c37118/real-pmu-1.hex"), "--roundtrip", "--json"])
    assert done.exit_code == 0
    counts = {"command": 3, "CFG-2": 1, "data": 252}
    summary = {"frames": counts, "unconfigured": 0, "errors": 0, "differing": 0}
    assert records(done)[-1]["summary"] == summary


def test_a_difference_is_reported_and_fails(tmp_path, monkeypatch):
    encode = tool.Reader._decode.__globals__["decode"]

    def wrong(raw, config=None):
        made = encode(raw, config)
        made.tq ^= 1
        return made

    monkeypatch.setattr(tool, "decode", wrong)
    raw = Command(1, 2).encode()
    done = run(tmp_path, hex_lines(raw), "--roundtrip")
    assert done.exit_code == 1
    assert "byte 10: was 00, is 01" in done.stdout and "byte 16: was " in done.stdout
    assert "1 differ when encoded again" in done.stdout
    told = records(run(tmp_path, hex_lines(raw), "--roundtrip", "--json"))[0]["differences"]
    assert told[0] == {"offset": 10, "was": 0, "is": 1}


def test_bad_lines_are_reported_and_it_goes_on(tmp_path):
    lines = f"x: aa01zz\nshort: aa01\nbad: {DATA[:-1].hex()}00\n" + hex_lines(CONFIG.encode(), DATA)
    done = run(tmp_path, lines)
    assert done.exit_code == 0
    assert "x  ERROR  not hex" in done.stdout
    assert "short  ERROR  frame of 2 bytes: at least 16 expected" in done.stdout
    assert f"bad  ERROR  CHK at byte {len(DATA) - 2}" in done.stdout
    assert "2 frames decoded (1 CFG-2, 1 data), 3 errors" in done.stdout
    assert run(tmp_path, lines, "--roundtrip").exit_code == 1


def test_data_before_its_configuration_is_counted(tmp_path):
    done = run(tmp_path, hex_lines(DATA, DATA, CONFIG.encode(), DATA), "--roundtrip")
    assert done.exit_code == 0
    assert "2 data frames before their configuration not decoded" in done.stdout
    assert "f0  data  IDCODE 241" in run(tmp_path, hex_lines(DATA)).stdout


def test_a_later_cfg1_does_not_replace_the_cfg2(tmp_path):
    other = Config(241, [PmuConfig("all", 241, 0)], 50, kind=2)
    done = run(tmp_path, hex_lines(CONFIG.encode(), other.encode(), DATA), "--roundtrip")
    assert done.exit_code == 0 and "1 CFG-1, 1 data" in done.stdout


def test_raw_streams_say_where_they_are_broken(tmp_path):
    bad = DATA[:-1] + bytes([DATA[-1] ^ 1])
    parts = [CONFIG.encode(), b"garbage", DATA, bad, DATA, DATA[:20]]
    made = records(run(tmp_path, b"".join(parts), "--json", "--roundtrip"))
    size, n = len(parts[0]), len(DATA)
    assert [(r["offset"], r.get("kind", "error")) for r in made[:-1]] == [
        (0, "CFG-2"), (size, "error"), (size + 7, "data"), (size + 7 + n, "error"),
        (size + 7 + 2 * n, "data"), (size + 7 + 3 * n, "error"),
    ]  # fmt: skip
    assert f"{n} bytes are no frame: CHK at byte {n - 2}" in made[3]["error"]
    assert "20 bytes at the end" in made[5]["error"]
    assert made[-1]["summary"]["errors"] == 3


def test_hex_as_people_write_it(tmp_path):
    raw = Command(1, 2).encode()
    text = "\ufeffAA 41," + " ".join(f"0x{b:02X}" for b in raw[2:]) + "\r\n" + raw.hex()
    assert "2 frames decoded" in run(tmp_path, text).stdout


def test_nothing_and_no_file(tmp_path):
    assert "0 frames decoded (none)" in run(tmp_path, b"").stdout
    done = run(tmp_path / "absent", None)
    assert done.exit_code == 2 and "or directory" in done.output


@given(streams(), PLAIN_FRAMES)
def test_whatever_decodes_can_be_shown_and_written_as_json(stream, other):
    reader = tool.Reader(roundtrip=True)
    for raw in (*stream, other):
        record = reader.examine({"line": 1}, raw, None)
        assert "error" not in record and not record.get("differences")
        assert all("\n" not in line and line for line in tool.text_of(record))
        json.dumps(record, allow_nan=False)
    assert reader.errors == reader.unconfigured == 0
