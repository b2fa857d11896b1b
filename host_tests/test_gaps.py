"""`gridmote gaps`: what is missing, from when to when, and why."""

import json
import re
from contextlib import closing

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gridmote.archive.store import RECORD, UNTIMED, Archive, Entry
from gridmote.archive.view import utc
from gridmote.commands import gaps
from host_tests.pdc_rig import SOC, Pmu
from host_tests.property import examples

TOPIC = "area/secondary-station/1/PMU/7"
EVENTS, METER = TOPIC.replace("PMU", "EVENT"), TOPIC.replace("PMU", "METER")
PMU = Pmu()
APP = typer.Typer()
APP.command()(gaps.gaps)


def run(*arguments):
    return CliRunner().invoke(APP, [str(argument) for argument in arguments], env={"COLUMNS": "160"})


def made(path, numbers, *entries, pmu=PMU, topic=TOPIC):
    with closing(Archive(path)) as archive:
        archive.store([Entry(topic, 1, [pmu.cfg2, *map(pmu.frame, numbers)]), *entries])
    return path


def record(topic, boot, number, **fields):
    return Entry(topic, 1, (boot, number, json.dumps({"boot": boot, "seq": number, **fields}).encode()), RECORD)


def told(path):
    result = run(path, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def at(number, rate=50):
    return utc(SOC * 1_000_000 + number * 1_000_000 // rate)


@examples(30)
@given(st.sets(st.integers(1, 400), max_size=60), st.sampled_from([1, 10, 25, 50]))
def test_every_missing_frame_is_within_a_stretch_and_counted(missing, rate):
    pmu = Pmu(rate=rate)
    archive = Archive(":memory:")
    archive.store([Entry(TOPIC, 1, [pmu.cfg2, *[pmu.frame(i) for i in range(402) if i not in missing]])])
    result = gaps.examine(archive, TOPIC)
    archive.close()
    assert result["missing"] == len(missing) == sum(gap["missing"] for gap in result["gaps"])
    assert result["frames"] == 402 - len(missing)
    left = {at(number, rate) for number in missing}
    for gap in result["gaps"]:
        inside = {time for time in left if gap["from"] <= time <= gap["until"]}
        assert len(inside) == gap["missing"] and {gap["from"], gap["until"]} <= inside
        times = [at(number, rate) for number in range(402)]
        assert gap["within"] == sum(gap["from"] <= time <= gap["until"] for time in times)
        left -= inside
    assert not left


def test_reasons_that_the_node_gave(tmp_path):
    """At 50/s: restarted in the first minute, thinned to every 5th in the third, dropped, and one without."""
    kept = [i for i in range(50 * 300)
            if not 500 <= i < 1500 and not (6000 <= i < 9000 and i % 5) and i not in (10000, 12000)]
    path = made(
        tmp_path / "a.sqlite", kept,
        record(EVENTS, 4, 1, soc=SOC + 25, ticks=10, event="start", reset="power-on"),
        record(EVENTS, 4, 2, soc=SOC + 120, ticks=9, event="thinned",
               **{"from": SOC + 120, "to": None, "kept": 0, "thinned": 0, "every": 5}),
        record(EVENTS, 4, 3, soc=SOC + 180, ticks=9, event="thinned",
               **{"from": SOC + 120, "to": SOC + 179, "kept": 600, "thinned": 2400, "every": 5}),
        record(EVENTS, 4, 4, soc=SOC + 200, ticks=9, event="dropped",
               **{"from": SOC + 200, "to": SOC + 200, "count": 1, "reason": "log full"}))
    found, = told(path)
    assert [(gap["missing"], gap["within"], gap["reasons"]) for gap in found["gaps"]] == [
        (1000, 1000, ["node restarted: power-on"]), (2400, 2999, ["thinned, every 5th frame kept"]),
        (1, 1, ["dropped: log full"]), (1, 1, [])]
    assert found["missing"] == 3402
    text = run(path).output
    assert "3,402 missing" in text and "every 5th frame kept" in text and "power-on" in text
    assert at(500).replace("T", " ")[:-4] in text


def test_a_start_without_time_is_placed_by_what_its_boot_said_later(tmp_path):
    path = made(
        tmp_path / "a.sqlite", [*range(100), *range(1100, 1200)],
        record(EVENTS, 9, 1, soc=None, ticks=40, event="start", reset="watchdog"),
        record(METER, 9, 2, soc=SOC + 40, ticks=20_040))
    assert told(path)[0]["gaps"][0]["reasons"] == ["node restarted: watchdog"]


def test_thinning_that_has_not_ended(tmp_path):
    path = made(
        tmp_path / "a.sqlite", range(0, 5000, 50),
        record(EVENTS, 4, 2, soc=SOC, ticks=9, event="thinned",
               **{"from": SOC, "to": None, "kept": 0, "thinned": 0, "every": 50}))
    assert told(path)[0]["gaps"][0]["reasons"] == ["thinned, every 50th frame kept"]


def test_rotten_places_are_told_where_they_can_be_why(tmp_path):
    """From 100 to 200 s after SOC: found before that, within, after, by a boot with a clock and one without."""
    corrupt = {"event": "corrupt", "tq": 0}
    path = made(
        tmp_path / "a.sqlite", [i for i in range(5000, 10000) if i not in (7000, 8000)],
        record(EVENTS, 4, 1, soc=SOC + 50, ticks=50_000, places=7, **corrupt),
        record(EVENTS, 4, 2, soc=SOC + 150, ticks=150_000, places=1, **corrupt),
        record(EVENTS, 4, 3, soc=SOC + 900, ticks=900_000, places=2, **corrupt))
    found, = told(path)
    assert found["rotten_places"] == 3 and [gap["reasons"] for gap in found["gaps"]] == [[], []]
    assert ("the node found 3 rotten places in its outbox: frames or messages that stood there are lost, "
            "perhaps some of those without a why") in run(path).output
    with closing(Archive(path)) as archive:
        archive.store([record(EVENTS, 4, 4, soc=None, ticks=60_000, places=10, **corrupt),
                       record(EVENTS, 9, 5, soc=None, ticks=60_000, places=20, **corrupt)])
    assert told(path)[0]["rotten_places"] == 23


def test_a_rotten_place_is_told_though_every_gap_has_a_reason(tmp_path):
    path = made(tmp_path / "a.sqlite", range(10), record(EVENTS, 4, 1, soc=SOC + 5, event="corrupt", places=1))
    text = run(path).output
    assert "the node found a rotten place in its outbox: frames or messages that stood there are lost\n" in text
    assert "without a why" not in text and "nothing missing" in text
    assert told(made(tmp_path / "b.sqlite", range(10)))[0]["rotten_places"] == 0
    assert "rotten" not in run(tmp_path / "b.sqlite").output


@pytest.mark.parametrize("fields", [
    {"event": "corrupt", "places": "x"}, {"event": "corrupt", "places": True, "soc": []}, {"event": "corrupt"},
    {}, {"event": None}, {"event": "thinned"}, {"event": "thinned", "from": "x", "soc": True},
    {"event": "thinned", "from": SOC, "every": []}, {"event": "dropped", "from": {}, "soc": SOC, "reason": [1]},
    {"event": "start", "soc": SOC + 1}, {"event": "storage", "soc": SOC + 1}, {"event": ["start"], "ticks": "x"}])
def test_an_event_of_any_shape_does_no_harm(tmp_path, fields):
    path = made(tmp_path / "a.sqlite", [0, 1, 100], record(EVENTS, 1, 1, **fields))
    assert told(path)[0]["missing"] == 98
    assert run(path).exit_code == 0


def test_what_is_kept_apart_is_mentioned(tmp_path):
    path = made(tmp_path / "a.sqlite", range(10), Entry(TOPIC, 1, [PMU.frame(3, freq=9)]),
                Entry(TOPIC, 1, (5, [(i, i, PMU.frame(i)) for i in range(4)]), UNTIMED))
    found, = told(path)
    assert found["untimed"] == {"5": 4} and found["conflicts"] == 1 and found["gaps"] == []
    text = run(path).output
    assert "nothing missing" in text and re.search(r"4 without time.*boot 5", text) and "in conflict: 1" in text


def test_one_pmu_or_all_and_only_the_first_stretches(tmp_path):
    other = TOPIC.replace("/1/", "/2/")
    path = made(tmp_path / "a.sqlite", [i for i in range(50 * 1000) if i % 100 != 99])
    made(path, range(10), pmu=Pmu(8, rate=10), topic=other)
    both, one = run(path), run(path, other)
    assert TOPIC in both.output and other in both.output and "459 more" in both.output
    assert TOPIC not in one.output and "10 frames/s" in one.output
    assert "more" not in run(path, "--all").output


def test_what_is_no_archive_is_said_in_a_line(tmp_path):
    text = tmp_path / "text"
    text.write_text("nothing that SQLite knows " * 50)
    empty = tmp_path / "empty.sqlite"
    Archive(empty).close()
    path = made(tmp_path / "a.sqlite", range(3))
    for arguments, word in (((tmp_path / "absent",), "no such file"), ((tmp_path,), "is a directory"),
                            ((text,), "not a database"), ((empty,), "empty"), ((path, "a/b"), TOPIC)):
        result = run(*arguments)
        assert result.exit_code == 1 and word in result.output, result.output
        assert "Traceback" not in result.output
