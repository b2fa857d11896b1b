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

from c37118.config import Config, PmuConfig
from c37118.data import Data, PmuData
from gridmote import demo as tool
from gridmote import demo_picture, demo_times, demo_view
from gridmote.cli import app
from gridmote.demo_evidence import Evidence, Published, last_possible, lives
from gridmote.demo_gauge import DOWN, UP, Moment
from gridmote.demo_plan import Plan
from gridmote.demo_reference import GridReference, Sampling
from gridmote.demo_result import counts
from gridmote.demo_view import View
from gridmote.processes import gridmote

WAIT_S = 50  # a bound, never an expectation
SOC, RATE, MADE, BASE = 1_800_000_000, 50, 100, 1_000_000
CONFIG = Config(765, [PmuConfig("Demo", 765, 0xB, [("VA", 0, 1), ("IA", 1, 1)], fnom=1)], RATE, soc=SOC)
TRUTH = GridReference({"channels": [
    {"name": "VA", "kind": "V", "phase": "A", "magnitude": 230.0, "angle_deg": 10.0},
    {"name": "IA", "kind": "I", "phase": "A", "magnitude": 5.0, "angle_deg": 40.0},
]})
SAMPLING = Sampling(1600, 50, 20)
NO_CUTS = ["--outage", "0", "--no-kill"]


def frame(number):
    t_s = number / RATE
    phasors = [TRUTH.at(t_s, channel)[0] for channel in range(2)]
    block = PmuData.measured(CONFIG.pmus[0], 0, phasors, 50.0, 0.0)
    return Data(765, SOC + number // RATE, 0, number % RATE * 20_000, [block]).encode(CONFIG)


def at_us(ms):
    """Milliseconds after SOC as evidence has them."""
    return SOC * 1_000_000 + ms * 1000


def stopped(boot, frames):
    return {"state": "stopped", "boot": boot, "frames": frames, "waiting": 0, "flash_waiting": 0, "dropped": 0,
            "thinned": 0, "skipped": 0, "lost_blocks": 0, "loss_most": 60}


def evidence():
    """Of a run in which nothing went wrong: frames 2 to 101, each 45 ms after its stamp at the PDC."""
    frames = [frame(n) for n in range(2, 2 + MADE)]
    came = [(raw, at_us(n * 20 + 45)) for n, raw in enumerate(frames, 2)]
    status = stopped(1, MADE)
    return Evidence(
        BASE, RATE, SAMPLING, status, {1: status}, [Published(raw, True, us) for raw, us in came],
        list(came), list(came), [(1, SOC - 1)], [(1, 0), (1, 1)])


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


def change_in_archive(seen):
    raw, came = seen.archived[8]
    seen.archived[8] = (raw[:-1] + bytes([raw[-1] ^ 1]), came)


def lose_all(seen):
    seen.client.clear(), seen.archived.clear(), seen.published.clear()


FAULTS = {lose_at_client: 1, lose_in_archive: 1, lose_the_last_everywhere: 1, change_at_client: 1,
          change_in_archive: 1, lose_all: MADE}


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
    seen.status, seen.statuses = status, {1: status}
    assert not counts(seen)["complete"]


def test_duplicates_are_counted_and_hide_nothing():
    seen = evidence()
    seen.client.append(seen.client[3])
    seen.published += seen.published[:2]
    found = counts(seen)
    assert (found["duplicated_at_client"], found["duplicated_on_the_wire"], found["missing"]) == (1, 2, 0)
    del seen.client[50]
    assert counts(seen)["missing"] == 1


def test_the_archives_durable_records_have_no_gap():
    seen = evidence()
    seen.durable = [(1, 0), (1, 2), (1, 1), (1, 2)]
    assert counts(seen)["complete"] and counts(seen)["durable"] == 3
    seen.durable = [(1, 5 << 20), (1, 5 << 20 | 3)]
    assert counts(seen)["durable_missing"] == 2 and not counts(seen)["complete"]


# A run that was cut, in ms after SOC: the broker is away from 2000 to 8000, the meter killed at 4000, its second
# life begins at 6000 and ends at 10000. Frame n is there at 20 n + 40 (see below), so that 2 to 198 were made in
# the first life; of these the last 49 were only in RAM.

def cut():
    def publish(numbers, live, came_ms):
        for n in numbers:
            seen.published.append(Published(frame(n), live, at_us(came_ms(n))))
            seen.archived.append((frame(n), at_us(came_ms(n))))
            if live:
                seen.client.append(seen.archived[-1])

    seen = Evidence(BASE, RATE, SAMPLING, stopped(2, 198), {1: {"boot": 1, "frames": 90, "loss_most": 60}})
    seen.statuses[2] = seen.status
    seen.starts = [(2, SOC + 5), (1, SOC - 1)]
    seen.durable = [(1, 0), (2, 0), (2, 1)]
    seen.down_us, seen.killed_us, seen.up_us = at_us(2000), at_us(4000), at_us(8000)
    publish(range(2, 98), True, lambda n: n * 20 + 45)
    publish(range(98, 150), False, lambda n: 8900 + n)
    publish(range(302, 360), False, lambda n: 8900 + n)
    publish(range(360, 398), True, lambda n: 8300)
    publish(range(398, 500), True, lambda n: n * 20 + 345)
    return seen


def test_the_cuts_cost_what_was_promised():
    found = counts(cut())
    assert found["made_by_life"] == [197, 198] and found["made"] == 395
    assert (found["lost_by_kill"], found["loss_most"], found["missing"]) == (49, 60, 0)
    assert (found["archived"], found["at_client"], found["late"]) == (346, 236, 110)
    assert found["complete"]


def lose_a_late_one(seen):
    del seen.archived[100]


def lose_a_live_one_at_the_client(seen):
    del seen.client[-20]


def lose_one_after_the_kill(seen):
    del seen.archived[-1], seen.published[-1], seen.client[-1]


def change_a_late_one(seen):
    raw, came = seen.archived[100]
    seen.archived[100] = (raw[:-1] + bytes([raw[-1] ^ 1]), came)


@pytest.mark.parametrize(
    "fault", [lose_a_late_one, lose_a_live_one_at_the_client, lose_one_after_the_kill, change_a_late_one])
def test_the_cuts_excuse_nothing_else(fault):
    seen = cut()
    fault(seen)
    found = counts(seen)
    assert (found["missing"], found["lost_by_kill"]) == (1, 49) and not found["complete"]


def lose_more_than_promised(seen):
    seen.statuses[1]["loss_most"] = 48


def lose_the_word_of_the_second_start(seen):
    seen.starts = seen.starts[1:]


def never_say_good_bye(seen):
    seen.status = {"state": "offline"}


@pytest.mark.parametrize(
    "fault", [lose_more_than_promised, lose_the_word_of_the_second_start, never_say_good_bye])
def test_the_cuts_need_proof(fault):
    seen = cut()
    fault(seen)
    assert not counts(seen)["complete"]


def test_what_the_broker_had_kept_need_not_reach_the_client():
    """Published live, but when it came to the adapter it was late."""
    seen = cut()
    raw, _ = seen.archived[90]
    seen.archived[90] = (raw, seen.up_us + 100_000)
    del seen.client[90]
    assert counts(seen)["complete"]


def test_times_of_the_recovery():
    found = demo_times.recovery(cut())
    assert found == {"outage_ms": 6000, "live_again_ms": 300, "backlog_gone_ms": 1259, "backlog": 110,
                     "dead_ms": 2000}
    assert demo_times.recovery(evidence())["live_again_ms"] is None


def test_each_life_begins_at_its_own_second():
    first, second = lives(cut())
    assert (first.soc, second.soc) == (SOC, SOC + 6)
    compared, shown_s = demo_times.compared_frames(cut(), lambda raw: None)
    assert compared[148][0] == pytest.approx(0.04) and shown_s[148] == pytest.approx(6.04)


def test_latency_begins_when_the_block_is_full():
    """Blocks of 20 ms at 1,600/s: the window of frame n ends at n + 30 ms (sample 32 n + 47), in the middle of a
    block, so that it is full at n + 40 ms; 5 ms remain.
    """
    assert SAMPLING.ready_s(0.04) == pytest.approx(0.08)
    found = demo_times.latency(evidence())
    assert found["estimator_delay_ms"] == 30 and found["block_wait_mean_ms"] == 10
    assert found["transport_to_client_p50_ms"] == found["transport_to_archive_p99_ms"] == 5
    assert found["total_to_client_p50_ms"] == 45
    assert found["draining_to_client_p50_ms"] is None


def test_latency_leaves_the_outage_out():
    """Ordinary are frames 2 to 97 (5 ms) and those stamped after the last of the backlog (9259): 463 to 499 (305
    ms). Behind its first (8998) are frames 450 to 462.
    """
    found = demo_times.latency(cut())
    assert found["transport_to_client_p50_ms"] == 5 and found["transport_to_client_p99_ms"] == 305
    assert found["draining_to_client_p50_ms"] == 305


def test_the_last_frame_before_a_kill():
    assert last_possible(SAMPLING, RATE, SOC, at_us(4001)) == SOC * RATE + 198
    assert last_possible(SAMPLING, RATE, SOC, at_us(3999)) == SOC * RATE + 197


def test_plan():
    assert Plan(32, 10, True).events() == [(7.04, "cut broker"), (12.04, "cut node"), (17.04, "broker back")]
    assert [event for _, event in Plan(10, 0, True).events()] == ["cut node"]
    assert [event for _, event in Plan(10, 3, False).events()] == ["cut broker", "broker back"]
    assert Plan(2, 0, False).events() == []
    with pytest.raises(ValueError, match="at least 15"):
        Plan(14, 10, True)


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
    bad = run_without_programs(monkeypatch, tmp_path, lose_at_client)
    assert bad.exit_code == 1 and "not complete" in bad.stderr
    assert json.loads(bad.stdout.splitlines()[-1])["missing"] == 1


def test_exit_status_tells_what_the_kill_cost(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_picture, "draw", lambda *_: None)
    bad = run_without_programs(monkeypatch, tmp_path, lose_more_than_promised, cut)
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


def picture_in(folder):
    picture = (folder / "demo.png").read_bytes()
    return picture[:8] == b"\x89PNG\r\n\x1a\n" and len(picture) > 20_000


def test_the_synthetic_grid_end_to_end(tmp_path):
    done = begin(tmp_path, "--synthetic", "--seconds", "2", *NO_CUTS)
    out, err = done.communicate(timeout=WAIT_S)
    assert done.returncode == 0, err
    *steps, found = map(json.loads, out.splitlines())
    assert any("CFG-2" in step.get("text", "") for step in steps)
    assert found["complete"] and found["made"] == found["archived"] == found["at_client"] >= 90
    assert found["tve_mean_percent"] < 0.1 and found["frequency_error_mean_mhz"] < 5
    assert nothing_stays(tmp_path) == ["demo.png"] and picture_in(tmp_path / "out")


def test_with_its_cuts_end_to_end(tmp_path):
    done = begin(tmp_path, "--synthetic", "--seconds", "9", "--outage", "4")
    out, err = done.communicate(timeout=WAIT_S)
    *steps, found = map(json.loads, out.splitlines())
    assert done.returncode == 0, (err, found)
    assert [step["who"] for step in steps if step.get("alarm")] == ["broker", "meter"]
    assert found["complete"] and found["missing"] == found["durable_missing"] == 0
    assert found["made"] - found["lost_by_kill"] == found["archived"]
    assert 0 < found["lost_by_kill"] <= found["loss_most"]
    assert found["late"] + found["duplicated_on_the_wire"] > 0, "something waited on flash"
    assert found["at_client"] == found["archived"] - found["late"] and found["outage_ms"] >= 4000
    assert found["dead_ms"] > 0 and found["live_again_ms"] is not None and found["durable"] >= 3
    assert found["tve_mean_percent"] < 0.1 and found["frequency_error_mean_mhz"] < 5
    assert nothing_stays(tmp_path) == ["demo.png"] and picture_in(tmp_path / "out")


def test_the_shared_recording_end_to_end(tmp_path, shared):
    recording = shared / "data/comtrade/generator-50hz.cfg"
    done = begin(tmp_path, "--seconds", "3", "--keep", "--recording", recording, *NO_CUTS)
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


@pytest.mark.parametrize("options", [
    ["--synthetic", "--recording", "x.cfg"], ["--recording", "nothing.cfg"], ["--seconds", "12", "--outage", "10"]])
def test_wrong_use(tmp_path, options):
    done = CliRunner().invoke(app, ["demo", *options, "--into", str(tmp_path)])
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1
