"""`gridmote demo`: the whole of it for a few seconds, what it says when something is missing, and its end."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from c37118.config import Config, PmuConfig
from c37118.data import Data, PmuData
from gridmote import demo as tool
from gridmote import demo_result
from gridmote.cli import app
from gridmote.demo_reference import GridReference, Sampling
from gridmote.demo_result import Evidence, counts
from gridmote.processes import gridmote

WAIT_S = 50  # a bound, never an expectation
SOC, RATE, MADE = 1_800_000_000, 50, 100
CONFIG = Config(765, [PmuConfig("Demo", 765, 0xB, [("VA", 0, 1), ("IA", 1, 1)], fnom=1)], RATE, soc=SOC)
TRUTH = GridReference({"channels": [
    {"name": "VA", "kind": "V", "phase": "A", "magnitude": 230.0, "angle_deg": 10.0},
    {"name": "IA", "kind": "I", "phase": "A", "magnitude": 5.0, "angle_deg": 40.0},
]})


def frame(number):
    t_s = number / RATE
    phasors = [TRUTH.at(t_s, channel)[0] for channel in range(2)]
    block = PmuData.measured(CONFIG.pmus[0], 0, phasors, 50.0, 0.0)
    return Data(765, SOC + number // RATE, 0, number % RATE * 20_000, [block]).encode(CONFIG)


def evidence():
    """Of a run in which nothing went wrong: frames 2 to 101, each 45 ms after its stamp at the PDC."""
    frames = [frame(n) for n in range(2, 2 + MADE)]
    came = [(raw, SOC * 1_000_000 + n * 20_000 + 45_000) for n, raw in enumerate(frames, 2)]
    status = {"state": "stopped", "frames": MADE, "waiting": 0, "dropped": 0, "skipped": 0, "lost_blocks": 0}
    return Evidence(status, list(frames), list(came), 0, 0, list(came))


def test_all_there():
    found = counts(evidence())
    assert found["complete"] and found["missing"] == 0
    assert {found[k] for k in ("made", "published", "acknowledged", "archived", "at_client")} == {MADE}


def lose_at_client(seen):
    del seen.client[50]


def lose_in_archive(seen):
    del seen.archived[50]


def lose_the_last_everywhere(seen):
    del seen.client[-1], seen.archived[-1], seen.published[-1]


def change_at_client(seen):
    raw, came = seen.client[7]
    seen.client[7] = (raw[:-1] + bytes([raw[-1] ^ 1]), came)


def lose_all(seen):
    seen.client.clear(), seen.archived.clear(), seen.published.clear()


FAULTS = {lose_at_client: 1, lose_in_archive: 1, lose_the_last_everywhere: 1, change_at_client: 1, lose_all: MADE}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_is_counted(fault):
    seen = evidence()
    fault(seen)
    found = counts(seen)
    assert found["missing"] == FAULTS[fault] and not found["complete"]


@pytest.mark.parametrize("status", [
    None, {"state": "offline"}, {"state": "online", "frames": MADE}, {"state": "stopped", "frames": 0},
    {"state": "stopped", "frames": MADE, "lost_blocks": 1}, {"state": "stopped", "frames": MADE, "skipped": 1},
])
def test_without_the_nodes_own_word_it_is_not_complete(status):
    seen = evidence()
    seen.status = status
    assert not counts(seen)["complete"]


def test_duplicates_are_counted_and_hide_nothing():
    seen = evidence()
    seen.client.append(seen.client[3])
    seen.published += seen.published[:2]
    found = counts(seen)
    assert (found["duplicated_at_client"], found["duplicated_on_the_wire"], found["missing"]) == (1, 2, 0)
    del seen.client[50]
    assert counts(seen)["missing"] == 1


def test_latency_begins_when_the_block_is_full():
    """Blocks of 20 ms at 1,600/s: the window of frame n ends at n + 30 ms (sample 32 n + 47), in the middle of a
    block, so that it is full at n + 40 ms; 5 ms remain.
    """
    sampling = Sampling(1600, 50, 20)
    assert sampling.ready_s(0.04) == pytest.approx(0.08)
    found = demo_result.latency(evidence(), 1_000_000, sampling)
    assert found["estimator_delay_ms"] == 30 and found["block_wait_mean_ms"] == 10
    assert found["transport_to_client_p50_ms"] == found["transport_to_archive_p99_ms"] == 5
    assert found["total_to_client_p50_ms"] == 45


def run_without_programs(monkeypatch, tmp_path, fault=None):
    """The command with the evidence of `evidence()` in place of a real run."""
    async def run(self):
        self.seen, self.pmu_config = evidence(), CONFIG
        if fault:
            fault(self.seen)

    monkeypatch.setattr(tool.Demonstration, "run", run)
    monkeypatch.setattr(tool, "_source", lambda *_: ({}, {}, lambda: TRUTH))
    monkeypatch.setattr(tool.signal, "signal", lambda *_: None)
    return CliRunner().invoke(app, ["demo", "--synthetic", "--json", "--into", str(tmp_path)])


def test_exit_status_tells_what_is_missing(monkeypatch, tmp_path):
    good = run_without_programs(monkeypatch, tmp_path)
    assert good.exit_code == 0
    summary = json.loads(good.stdout.splitlines()[-1])
    assert summary["missing"] == 0 and summary["tve_max_percent"] < 1e-4
    bad = run_without_programs(monkeypatch, tmp_path, lose_at_client)
    assert bad.exit_code == 1 and "not complete" in bad.stderr
    assert json.loads(bad.stdout.splitlines()[-1])["missing"] == 1


def left_over(marker):
    """Command lines of processes whose environment holds the marker."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes())
        except OSError:
            continue
    return found


def begin(tmp_path, *options):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    return subprocess.Popen(gridmote("demo", "--json", "--into", tmp_path / "out", *options), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "TMPDIR": str(temporary)})


def nothing_stays(tmp_path):
    assert left_over(str(tmp_path)) == []
    assert not list((tmp_path / "temporary").iterdir())
    return sorted(path.name for path in (tmp_path / "out").iterdir())


def test_the_synthetic_grid_end_to_end(tmp_path):
    done = begin(tmp_path, "--synthetic", "--seconds", "3")
    out, err = done.communicate(timeout=WAIT_S)
    assert done.returncode == 0, err
    *steps, found = map(json.loads, out.splitlines())
    assert any("CFG-2" in step.get("text", "") for step in steps)
    assert found["complete"] and found["made"] == found["archived"] == found["at_client"] >= 90
    assert found["tve_mean_percent"] < 0.1 and found["frequency_error_mean_mhz"] < 5
    assert nothing_stays(tmp_path) == ["demo.png"]
    picture = (tmp_path / "out/demo.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and len(picture) > 20_000


def test_the_shared_recording_end_to_end(tmp_path, shared):
    done = begin(tmp_path, "--seconds", "4", "--keep", "--recording", shared / "data/comtrade/generator-50hz.cfg")
    out, err = done.communicate(timeout=WAIT_S)
    assert done.returncode == 0, err
    found = json.loads(out.splitlines()[-1])
    assert found["missing"] == 0 and found["tve_mean_percent"] < 0.2
    kept, = [name for name in nothing_stays(tmp_path) if name.startswith("demo-")]
    assert (tmp_path / "out" / kept / "archive.sqlite").is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_nothing_stays_behind(tmp_path, number):
    running = begin(tmp_path, "--synthetic", "--seconds", "60")
    for line in running.stdout:
        if "first frame" in line:
            break
    assert len(left_over(str(tmp_path))) >= 4
    running.send_signal(number)
    _, err = running.communicate(timeout=WAIT_S)
    assert running.returncode == 130
    assert err.splitlines() == ["gridmote demo: interrupted; everything that it started is stopped"]
    assert nothing_stays(tmp_path) == []


def test_when_it_is_killed_its_programs_end_too(tmp_path):
    running = begin(tmp_path, "--synthetic", "--seconds", "60")
    for line in running.stdout:
        if "first frame" in line:
            break
    running.kill()
    running.communicate(timeout=WAIT_S)
    end = time.monotonic() + WAIT_S
    while left_over(str(tmp_path)):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("options", [["--synthetic", "--recording", "x.cfg"], ["--recording", "nothing.cfg"]])
def test_wrong_use(tmp_path, options):
    done = begin(tmp_path, *options)
    _, err = done.communicate(timeout=WAIT_S)
    assert done.returncode == 2 and len(err.splitlines()) == 1
