"""`gridmote demo`: all of it for a few seconds, with and without its cuts, what it says when something is missing,
and its end.
"""

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from c37118.data import PmuData
from gridmote.cli import app
from gridmote.commands import demo as tool
from gridmote.demo import picture as demo_picture
from gridmote.demo import view as demo_view
from gridmote.demo.gauge import DOWN, UP, Moment
from gridmote.demo.view import View
from gridmote.processes import gridmote
from host_tests.demo_rig import CONFIG, TRUTH, cut, evidence

WAIT_S = 50  # a bound, never an expectation
NO_CUTS = ["--outage", "0", "--no-kill"]


def test_view_of_a_moment(monkeypatch):
    block = PmuData.measured(CONFIG.pmus[0], 0, [230 + 0j, 5j], 50.0, 0.0)
    moment = Moment(500, 300, 299, 290, 120, 40, 30, DOWN, UP, [25] * 40 + [0] * 20, [0] * 58 + [75, 80])
    screen = Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr(demo_view, "Console", lambda **_: screen)
    with View() as view:
        view.show(moment, CONFIG.pmus[0], block)
    shown = screen.file.getvalue()
    for text in ("DOWN", "120 on flash", "40 in RAM", "30 lost", "155/s", "VA 230.00 V"):
        assert text in shown


def run_without_programs(monkeypatch, tmp_path, fault=None, seen=evidence, options=("--synthetic",)):
    """The command with the evidence of `seen()` in place of a real run."""
    async def run(self):
        self.seen, self.pmu_config = seen(), CONFIG
        if fault:
            fault(self.seen)

    monkeypatch.setattr(tool.Demonstration, "run", run)
    monkeypatch.setattr(tool, "_source", lambda *_: ({}, {}, TRUTH))
    monkeypatch.setattr(tool.signal, "signal", lambda *_: None)
    return CliRunner().invoke(app, ["demo", *options, "--json", "--into", str(tmp_path)])


def test_exit_status_tells_what_is_missing(monkeypatch, tmp_path):
    good = run_without_programs(monkeypatch, tmp_path)
    assert good.exit_code == 0
    summary = json.loads(good.stdout.splitlines()[-1])
    assert summary["missing"] == 0 and summary["tve_max_percent"] < 1e-4
    monkeypatch.setattr(demo_picture, "draw", lambda *_: None)
    bad = run_without_programs(monkeypatch, tmp_path, lambda seen: seen.client.pop(50))
    assert bad.exit_code == 1 and "not complete" in bad.stderr
    assert json.loads(bad.stdout.splitlines()[-1])["missing"] == 1


def test_exit_status_tells_what_the_kill_cost(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_picture, "draw", lambda *_: None)
    bad = run_without_programs(monkeypatch, tmp_path, lambda seen: seen.statuses[1].update(loss_most=48), cut)
    assert bad.exit_code == 1 and json.loads(bad.stdout.splitlines()[-1])["lost_by_kill"] == 49


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


RUNS = {
    "plain": ["--synthetic", "--seconds", "2", *NO_CUTS],
    "cut": ["--synthetic", "--seconds", "8", "--outage", "4"],
    "recording": ["--seconds", "2", "--keep", *NO_CUTS],
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """ended(name) -> (folder, exit status, stdout, stderr) of one of RUNS. All begin at once: mostly they wait."""
    recording = tool._recording()
    folders = {name: tmp_path_factory.mktemp(name) for name in RUNS if recording or name != "recording"}
    running = {
        name: begin(folder, *RUNS[name], *(["--recording", recording] if name == "recording" else []))
        for name, folder in folders.items()}

    def end(name):
        out, err = running[name].communicate(timeout=WAIT_S)
        return folders[name], running[name].returncode, out, err

    yield end
    for process in running.values():
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=WAIT_S)


def picture_in(folder):
    picture = (folder / "demo.png").read_bytes()
    return picture[:8] == b"\x89PNG\r\n\x1a\n" and len(picture) > 20_000


def test_the_synthetic_grid_end_to_end(ended):
    folder, status, out, err = ended("plain")
    assert status == 0, err
    *steps, found = map(json.loads, out.splitlines())
    assert any("CFG-2" in step.get("text", "") for step in steps)
    assert found["complete"] and found["made"] == found["archived"] == found["at_client"]
    assert found["made"] > 40  # of 100: in one of the two seconds the machine may not let the meter run
    assert found["tve_mean_percent"] < 0.1 and found["frequency_error_mean_mhz"] < 5
    assert nothing_stays(folder) == ["demo.png"] and picture_in(folder / "out")


def test_the_shared_recording_end_to_end(ended, shared):
    folder, status, out, err = ended("recording")
    assert status == 0, err
    found = json.loads(out.splitlines()[-1])
    assert found["missing"] == 0 and found["tve_mean_percent"] < 0.2
    kept, = [name for name in nothing_stays(folder) if name.startswith("demo-")]
    assert (folder / "out" / kept / "archive.sqlite").is_file()


def test_with_its_cuts_end_to_end(ended):
    folder, status, out, err = ended("cut")
    *steps, found = map(json.loads, out.splitlines())
    assert status == 0, (err, found)
    assert [step["who"] for step in steps if step.get("alarm")] == ["broker", "meter"]
    assert found["complete"] and found["missing"] == found["durable_missing"] == 0
    assert found["made"] - found["lost_by_kill"] == found["archived"]
    assert 0 < found["lost_by_kill"] <= found["loss_most"]
    assert found["late"] + found["duplicated_on_the_wire"] > 0, "something waited on flash"
    assert found["at_client"] == found["archived"] - found["late"] and found["outage_ms"] > 0
    assert found["dead_ms"] > 0 and found["live_again_ms"] is not None and found["durable"] >= 3
    assert found["tve_mean_percent"] < 0.1 and found["frequency_error_mean_mhz"] < 5
    assert nothing_stays(folder) == ["demo.png"] and picture_in(folder / "out")


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


@pytest.mark.parametrize("options", [
    ["--synthetic", "--recording", "x.cfg"], ["--recording", "nothing.cfg"], ["--seconds", "12", "--outage", "10"]])
def test_wrong_use(tmp_path, options):
    done = CliRunner().invoke(app, ["demo", *options, "--into", str(tmp_path)])
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1
