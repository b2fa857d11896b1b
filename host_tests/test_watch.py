"""`gridmote watch`: what it makes of messages, that its table fits, and the command against a real broker."""

import cmath
import io
import json
import math
import os
import re
import signal
import subprocess
import sys

import pytest
from rich.console import Console

from c37118.config import Config, PmuConfig
from c37118.data import Data, PmuData
from gridmote.commands.watch import filters_of
from gridmote.processes import gridmote
from gridmote.watch.state import Watch
from gridmote.watch.view import json_line, line, table
from host_tests.pdc_rig import SOC, Pmu, Publisher

PLACE = "south-italy-113/secondary-station/1156/{}/765"
TOPIC = PLACE.format("PMU")


def heard(pmu, numbers, watch=None, late_s=0.012, topic=TOPIC, tq=0):
    """A Watch that has heard the frames of these numbers, each late_s after its stamp."""
    watch = watch or Watch()
    watch.feed(topic, pmu.cfg2, SOC, retained=True)
    for number in numbers:
        watch.feed(topic, pmu.frame(number, tq), SOC + number / pmu.rate + late_s)
    return watch


def only(watch, now_s):
    rows = watch.rows(now_s)
    assert len(rows) == 1
    return rows[0]


def test_rate_latency_and_values():
    row = only(heard(Pmu(), range(100)), SOC + 2)
    assert (row["topic"], row["station"], row["state"]) == (TOPIC, "Substation A", "live")
    assert row["rate"] == pytest.approx(50) and row["nominal_rate"] == 50
    assert row["latency_ms"] == pytest.approx(12, abs=0.1)
    assert row["frequency_hz"] == 50.0 and row["rocof_hz_s"] == 0.0
    assert row["phasors"][0] == {"name": "VA", "unit": "V", "magnitude": 10.0, "angle_deg": 0.0}
    assert (row["missing"], row["filled"], row["waiting"]) == (0, 0, None)


@pytest.mark.parametrize("rate, last_s, state", [
    (50, 2, "live"), (50, 6, "silent"), (1, 4, "live"), (1, 5, "silent")])
def test_silence(rate, last_s, state):
    """Three seconds and three periods without a frame."""
    row = only(heard(Pmu(rate=rate), range(rate + 1)), SOC + last_s)
    assert row["state"] == state and (row["rate"] > 0) == (state == "live")


def test_a_frame_in_five_seconds_is_no_silence():
    pmu = Pmu(rate=1)
    pmu.config.rate = -5
    pmu.cfg2 = pmu.config.encode()
    row = only(heard(pmu, (0, 5, 10, 20)), SOC + 30)
    assert row["state"] == "live" and row["nominal_rate"] == 0.2 and row["missing"] == 1
    assert row["rate"] == pytest.approx(2 / 15, abs=1e-4)


def test_gaps_and_the_backlog_that_fills_them():
    pmu = Pmu()
    watch = heard(pmu, [*range(50), *range(60, 100)])
    assert only(watch, SOC + 2)["missing"] == 10
    watch.feed(PLACE.format("PMU-BACKFILL"), b"".join(map(pmu.frame, range(48, 58))), SOC + 2.1)
    row = only(watch, SOC + 2.2)
    assert (row["missing"], row["filled"], row["backlog_frames"]) == (2, 8, 10) and row["backlog_rate"] == 2
    assert only(watch, SOC + 8)["backlog_rate"] == 0
    heard(pmu, (58, 59), watch)  # behind, on the live topic
    assert (row := only(watch, SOC + 2.2))["missing"] == 0 and row["filled"] == 10


def test_gaps_of_who_watches_are_not_the_nodes():
    pmu = Pmu()
    watch = heard(pmu, range(50))
    watch.cut()
    assert only(heard(pmu, range(500, 510), watch), SOC + 10.2)["missing"] == 0


def test_a_gap_of_years_is_counted_not_stored():
    row = only(heard(Pmu(), (0, 50 * 10_000_000)), SOC + 10_000_000)
    assert row["missing"] == 50 * 10_000_000 - 1


def test_a_node_without_time():
    """No latency and no gaps are taken from stamps that mean nothing."""
    row = only(heard(Pmu(), (0, 1, 700), tq=15), SOC + 14.1)
    assert row["latency_ms"] is None and row["missing"] == 0 and "no time" in line(row, SOC)


def test_status_event_and_untimed():
    pmu = Pmu()
    watch = heard(pmu, range(10))
    status = {"state": "online", "waiting": 7, "flash_waiting": 120, "thinned": 5, "dropped": 3, "boot": 4}
    watch.feed(PLACE.format("STATUS"), json.dumps(status).encode(), SOC)
    watch.feed(PLACE.format("EVENT"), b'{"event": "thinned", "seq": 1}', SOC)
    untimed = (9).to_bytes(4, "big") + (1).to_bytes(6, "big") + (20).to_bytes(4, "big") + pmu.frame(0, 15)
    watch.feed(PLACE.format("PMU-UNTIMED"), untimed, SOC)
    row = only(watch, SOC + 1)
    assert {name: row[name] for name in status} == status | {"state": "live"}
    assert row["last_event"] == "thinned" and row["untimed_frames"] == 1
    assert "7 +120 on flash" in (text := line(row, SOC + 1)) and "5 thinned, 3 dropped, 1 without time" in text
    watch.feed(PLACE.format("STATUS"), b'{"state": "offline"}', SOC + 2)
    assert only(watch, SOC + 9)["state"] == "offline"


def test_what_is_not_understood():
    watch = Watch()
    for kind, payload in (("PMU", b"nonsense"), ("STATUS", b"{"), ("STATUS", b"[]"), ("PMU-UNTIMED", b"1"),
                          ("PMU-BACKFILL", Pmu().frame(0)[:-1]), ("EVENT", b"\xff")):
        watch.feed(PLACE.format(kind), payload, SOC)
    watch.feed(TOPIC, b"", SOC)  # cleared
    watch.feed(TOPIC, Pmu().frame(0), SOC)
    row = only(watch, SOC + 0.1)
    assert row["bad_messages"] == 6 and row["status"] == ["no CFG-2 yet"] and row["state"] == "live"
    watch.feed(TOPIC, Pmu(analogs=3).cfg2, SOC)  # of other frames
    assert "expected" in only(watch, SOC + 0.1)["status"][0]
    assert json.loads(json_line(only(watch, SOC), SOC))["topic"] == TOPIC


def test_a_concentrator_has_a_row_for_each_pmu():
    pmus = [PmuConfig(f"Bay {n}", n, 0b1111, [("VA", 0, 1)]) for n in (1, 2)]
    config = Config(9, pmus, 25, soc=SOC)
    data = Data(9, SOC, 0, 0, [PmuData(0, [(n, 0.0)], 49.0 + n, 0.0) for n in (1, 2)])
    watch, topic = Watch(), PLACE.format("PDC")
    watch.feed(topic, config.encode(), SOC, True)
    watch.feed(topic, data.encode(config), SOC)
    assert [(row["station"], row["frequency_hz"]) for row in watch.rows(SOC)] == [("Bay 1", 50.0), ("Bay 2", 51.0)]


def three_phase(phasors, stat=0x2000):
    """A Pmu of a medium-voltage feeder; not synchronised, unless its STAT says otherwise."""
    pmu = Pmu(station="Feeder of a mill", idcode=765)
    channels = [(f"{'VI'[i // 3]}{'ABC'[i % 3]}", i // 3, (20_000, 1_000)[i // 3]) for i in range(phasors)]
    pmu.config.pmus = [PmuConfig(pmu.config.pmus[0].stn, 765, 1, channels)]
    pmu.cfg2 = pmu.config.encode()

    def frame(number, tq=0):
        values = [cmath.rect((9237.6, 123.4)[i // 3], -2 * math.pi / 3 * (i % 3)) for i in range(phasors)]
        block = PmuData.measured(pmu.config.pmus[0], stat, values, 50.012, -0.05)
        return Data(765, SOC + number // 50, tq, number % 50 * 20_000, [block]).encode(pmu.config)

    pmu.frame = frame
    return pmu


def drawn(rows, width, height, note=""):
    console = Console(width=width, height=height, record=True, file=io.StringIO(), highlight=False)
    console.print(table(rows, width, height, note))
    return [text.rstrip() for text in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 132, 200])
@pytest.mark.parametrize("pmus, height", [(0, 24), (1, 24), (5, 24), (7, 24), (40, 24), (40, 50), (3, 6)])
def test_the_table_fits_and_cuts_no_number(width, pmus, height):
    pmu, watch = three_phase(6), Watch()
    for n in range(pmus):
        heard(pmu, range(10), watch, topic=f"south-italy-113/secondary-station/{1156 + n}/PMU/{765 + n}", tq=5)
    text = drawn(watch.rows(SOC + 0.3), width, height, "" if pmus else "no PMU heard yet")
    assert len(text) <= height and max(map(len, text)) <= width
    body = [row for row in text if "50.0/s" in row]
    assert text[0] == f"{pmus} PMU{'s' if pmus != 1 else ''}, {pmus} live"
    assert all("50.0120 Hz" in row and "VA 9.238 kV" in row and "12 ms" in row for row in body)
    hidden = pmus - len(body)
    assert (f"and {hidden} more below" in "\n".join(text)) == (hidden > 0)
    assert sorted(body) == body


@pytest.mark.parametrize("width", [*range(29, 130, 4), 150, 165, 200])
@pytest.mark.parametrize("height", [6, 24])
def test_warnings_take_nothing_from_numbers(width, height):
    """On test, not synchronised, late by decades, with a backlog: what is shown is whole, the rest is named."""
    late_s = 481_000 * 3600
    watch = heard(three_phase(6, 0xA0C3), range(10), tq=5, late_s=late_s)
    watch.feed(PLACE.format("STATUS"), b'{"waiting": 12, "flash_waiting": 123456}', SOC)
    text = drawn(watch.rows(SOC + 0.3 + late_s), width, height)
    words, head = " ".join(text), text[1]
    assert max(map(len, text)) <= width and not re.search("[0-9.]…", words)
    left_out = re.search("no room for ([a-z, ]*);", words)
    left_out = left_out[1].split(", ") if left_out else []
    numbers = {"frequency": " 50.0120 Hz", "rate": " 50.0/s", "gaps": " 0", "late": " 481000.0 h", "outbox": " 12",
               "phasors": "VA 9.238 kV"}
    for column, number in numbers.items():
        assert column not in head and column in left_out or column in head and number in words
    shown = re.findall(r"([VI][ABC]) (9\.238 kV|123\.40 A)(?:∠([+-][0-9.]+)°)?(?= |$)", words)
    more = re.search(r"[°VA] \+([0-9]+)", words)
    assert "phasors" in left_out or len(shown) + int(more[1] if more else 0) == 6
    angles = {"A": "+0.0", "B": "-120.0", "C": "+120.0"}
    for name, size, angle in shown:
        assert size == ("9.238 kV" if name[0] == "V" else "123.40 A")
        assert angle == angles[name[1]] or angle == "" and width < 100


def test_the_table_says_everything_about_one():
    watch = heard(three_phase(6), [*range(50), *range(60, 100)], tq=8)
    watch.feed(PLACE.format("STATUS"), b'{"waiting": 3, "flash_waiting": 120, "dropped": 2}', SOC)
    text = "\n".join(drawn(watch.rows(SOC + 2), 132, 24))
    for words in ("1156/765", "Feeder of a mill", "live!", "not synchronised to UTC", "of 50", "50.0120 Hz",
                  "-0.05 Hz/s", "VA 9.238 kV∠+0.0°", "VB 9.238 kV∠-120.0°", "VC 9.238 kV∠+120.0°",
                  "IC 123.40 A∠+120.0°", "±10 ms", "3 +120 on flash", "2 dropped"):
        assert words in text, (words, text)


def test_sorted_by_place_and_number():
    watch, order = Watch(), ["a/b/2/PMU/1", "a/b/10/PMU/9", "a/b/10/PMU/10", "a/b/x/PMU/1"]
    for topic in reversed(order):
        heard(Pmu(), (0,), watch, topic=topic)
    assert [row["topic"] for row in watch.rows(SOC)] == order


def test_filters():
    assert "+/+/+/STATUS/+" in filters_of(None) and "+/+/+/PDC/+" in filters_of(None)
    assert filters_of([TOPIC])[0] == TOPIC and PLACE.format("PMU-BACKFILL") in filters_of([TOPIC])
    assert filters_of(["lab/#"]) == ["lab/#"]


@pytest.mark.parametrize("topic", ["", "a/#/b", "a/b#", "a/+b/c", "a\0b"])
def test_what_is_no_filter(topic):
    with pytest.raises(ValueError, match="topic"):
        filters_of(["lab/#", topic])


def command(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "132"}
    return subprocess.Popen(gridmote("watch", *arguments), env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_the_command_until_interrupted(mosquitto):
    """Retained CFG-2 first, then a line a second; Ctrl-C ends it cleanly, and no session stays."""
    pmu, publisher = Pmu(), Publisher(mosquitto)
    publisher.publish(TOPIC, pmu.cfg2, retain=True)
    publisher.flush()
    process = command(f"{mosquitto.host}:{mosquitto.port}", "--json")
    try:
        first = json.loads(process.stdout.readline())
        assert first["station"] == "Substation A" and first["status"] == ["no data yet"]
        for number in range(20):
            publisher.publish(TOPIC, pmu.frame(number, freq=12))
        publisher.flush()
        while (row := json.loads(process.stdout.readline()))["frequency_hz"] is None:
            assert row["topic"] == TOPIC
        assert row["frequency_hz"] == 50.012 and row["missing"] == 0 and row["state"] == "live"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
        publisher.close()
    assert (process.returncode, err) == (0, "")


def test_no_filter_is_refused_in_one_line():
    """Before anything is connected to: nobody listens on port 1."""
    process = command("127.0.0.1:1", "--topic", "a/#/b", "--once")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.count("\n")) == (1, "", 1) and "a/#/b" in err and "reached" not in err


@pytest.mark.torture
def test_once_with_nobody_there(mosquitto):
    process = command(f"{mosquitto.host}:{mosquitto.port}", "--once")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1 and out == "" and "no PMU heard within" in err
    mosquitto.stop()
    process = command(f"{mosquitto.host}:{mosquitto.port}", "--once")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and "cannot be reached" in err and "Traceback" not in err
