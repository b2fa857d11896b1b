"""`gridmote tariff check`: days on which clocks change, gaps, overlaps, absurd prices, and what is shown of it."""

import json

import pytest

from gridmote.tariff.clock import Zone
from gridmote.tariff.rows import Wanted
from gridmote.tariff.source import read
from host_tests.tariff_rig import CHANGES, agile, csv_file, run, soc, walls, written

DAYS = [(zone, day, *facts) for (zone, day), facts in CHANGES.items()]


@pytest.mark.parametrize("minutes", (15, 30, 60))
@pytest.mark.parametrize(("zone", "day", "begin", "end", "hours"), DAYS)
def test_days_of_23_and_25_hours_by_local_clocks(tmp_path, zone, day, begin, end, hours, minutes):
    """Local times without offset, with and without ends, up and down: each slot is where UTC has it."""
    pairs = walls(begin, end, hours, minutes)
    assert len(pairs) == hours * 60 // minutes
    expected = list(range(soc(begin), soc(end), 60 * minutes))
    rows = [f"{start},{90 + i}" for i, (start, _) in enumerate(pairs)]
    ended = [f"{start},{90 + i},{stop}" for i, (start, stop) in enumerate(pairs)]
    for lines, head in ((rows, "start,price_EUR_MWh"), (rows[::-1], "Time;Price [EUR/MWh]".replace(";", ",")),
                        (ended, "from,EUR/MWh,to"), (ended[::-1], "begin,value_eur_per_mwh,end")):
        path = csv_file(tmp_path / "day.csv", lines, head)
        prices = read(path, Wanted(zone=Zone(zone)))
        assert sorted(slot.begin for slot in prices.slots) == expected
        assert [slot.price for slot in sorted(prices.slots)] == [100 * (90 + i) for i in range(len(pairs))]
        assert {slot.step_s for slot in prices.slots} == {60 * minutes}
        done = run("check", path, "--zone", zone)
        assert done.exit_code == 0, done.stderr
        name = {15: "quarter hours", 30: "half hours", 60: "hours"}[minutes]
        assert f"all {len(pairs)} {name}, clocks change: {hours} hours" in done.stdout


@pytest.mark.parametrize(("zone", "day", "begin", "end", "hours"), DAYS)
def test_what_such_a_day_lacks_is_named(tmp_path, zone, day, begin, end, hours):
    entries = agile(begin, range(10, 10 + 2 * hours))
    path = written(tmp_path / "day.json", entries)
    assert run("check", path, "--zone", zone).exit_code == 0
    change = soc(f"{day}T01:00Z")
    at = next(i for i, entry in enumerate(entries) if soc(entry["valid_from"]) == change)
    del entries[at]
    done = run("check", written(path, entries), "--zone", zone)
    first = {("Europe/Rome", 23): "03:00", ("Europe/Rome", 25): "02:00 CET", ("Europe/London", 23): "02:00",
             ("Europe/London", 25): "01:00 GMT"}[zone, hours]
    assert done.exit_code == 1
    assert (f"{day}, a day of {hours} hours, has {2 * hours - 1} of {2 * hours} half hours; missing {first}\n"
            in done.stderr)
    assert f"entry {at}: a gap of 30 min before it: nothing from {day} {first} to" in done.stderr


@pytest.mark.parametrize(("zone", "day", "begin", "end", "hours"), [day for day in DAYS if day[4] == 25])
def test_a_file_for_24_hours_on_a_day_of_25(tmp_path, zone, day, begin, end, hours):
    done = run("check", written(tmp_path / "a.json", agile(begin, range(48))), "--zone", zone)
    assert done.exit_code == 1 and "missing 23:00, 23:30; made for a day of 24 hours?" in done.stderr
    rows = [f"{day} {hour:02d}:00,85" for hour in range(24)]
    done = run("check", csv_file(tmp_path / "a.csv", rows), "--zone", zone)
    again = "02:00 CET" if zone == "Europe/Rome" else "01:00 GMT"
    assert done.exit_code == 1
    assert f"has 24 of 25 hours; missing {again}; made for a day of 24 hours?" in done.stderr


@pytest.mark.parametrize(("zone", "day", "begin", "end", "hours"), [day for day in DAYS if day[4] == 23])
def test_a_file_for_24_hours_on_a_day_of_23(tmp_path, zone, day, begin, end, hours):
    rows = [f"{day} {hour:02d}:00,85" for hour in range(24)]
    done = run("check", csv_file(tmp_path / "a.csv", rows), "--zone", zone)
    line, missing = (4, "02:00") if zone == "Europe/Rome" else (3, "01:00")
    assert done.exit_code == 1 and done.stderr.splitlines() == [
        f"gridmote tariff check: {tmp_path}/a.csv:{line}: {day} {missing} does not exist in {zone}: clocks skip "
        "it, the day has 23 hours"]


def test_the_hour_that_comes_twice_is_not_guessed(tmp_path):
    rows = [f"2026-10-25 {at},90" for at in ("01:00", "02:00", "02:30", "01:30", "02:00", "02:30", "03:00")]
    done = run("check", csv_file(tmp_path / "a.csv", rows), "--zone", "Europe/Rome")
    assert done.exit_code == 1 and done.stderr.splitlines() == [
        f"gridmote tariff check: {tmp_path}/a.csv:3: 2026-10-25 02:00 comes twice in Europe/Rome and line 5 is out "
        "of order: which of the two it is cannot be told; sort the file, or write offsets from UTC"]
    rows = [f"2026-10-25 {at},90" for at in ("02:00", "02:30", "03:00", "03:30")]
    prices = read(csv_file(tmp_path / "b.csv", rows), Wanted(zone=Zone("Europe/Rome")))
    assert prices.slots[0].begin == soc("2026-10-25T01:00Z")  # the second: no gap follows
    rows = [f"2026-10-25 {at},90" for at in ("02:00", "02:30", "02:00", "02:30", "03:00")]
    prices = read(csv_file(tmp_path / "b.csv", rows), Wanted(zone=Zone("Europe/Rome")))
    assert prices.slots[0].begin == soc("2026-10-25T00:00Z")
    rows = [f"2026-10-25 {at},90" for at in ("01:30", "02:00", "02:00", "02:30", "03:00")]
    done = run("check", csv_file(tmp_path / "c.csv", rows), "--zone", "Europe/Rome")
    assert ("c.csv:4: a gap of 30 min before it: nothing from 2026-10-25 02:30 CEST to 2026-10-25 02:00 CET"
            in done.stderr)


def test_gaps_overlaps_doubles_and_absurd_prices_name_their_entry(tmp_path):
    entries = agile("2026-05-01T00:00Z", [20] * 10)
    entries[2]["value_inc_vat"] = 2000  # from 03:30
    entries[4]["valid_to"] = "2026-05-01T03:15:00Z"  # from 02:30
    del entries[6]  # from 01:30
    entries.append({**entries[-1], "value_inc_vat": 21})
    entries.append(entries[-2])
    done = run("check", written(tmp_path / "a.json", entries), "--zone", "UTC")
    name = f"{tmp_path}/a.json: entry"
    assert done.exit_code == 1 and done.stderr.splitlines() == [
        f"{name} 3: 2000.00 p/kWh from 2026-05-01 03:30 is absurd: not between -50.00 and 400.00 (--least, --most)",
        f"{name} 4: begins at 2026-05-01 03:00 and overlaps entry 5, which ends at 2026-05-01 03:15",
        f"{name} 5: 2026-05-01 02:30 to 2026-05-01 03:15 is 45 min: a table has steps of 15, 30 or 60 min",
        f"{name} 6: a gap of 30 min before it: nothing from 2026-05-01 01:30 to 2026-05-01 02:00",
        f"{name} 10: 2026-05-01 00:00 is there twice: entry 9 has another price",
        f"{name} 11: 2026-05-01 00:00 is there twice: entry 9 has the same price",
    ]
    done = run("check", tmp_path / "a.json", "--zone", "UTC", "--most", "2000", "--least", "20.5")
    absurd = [line for line in done.stderr.splitlines() if "absurd" in line]
    assert len(absurd) == 9 and all("not between 20.50 and 2000.00" in line for line in absurd)


def test_steps_may_change_where_ends_say_so_and_not_where_they_do_not(tmp_path):
    rows = ["2026-05-01T00:00Z,8,2026-05-01T01:00Z", "2026-05-01T01:00Z,8,2026-05-01T02:00Z",
            *(f"2026-05-01T02:{at}Z,8,2026-05-01T02:{at + 15}Z" for at in (15, 30)),
            "2026-05-01T02:45Z,8,2026-05-01T03:00Z", "2026-05-01T02:00Z,8,2026-05-01T02:15Z"]
    done = run("check", csv_file(tmp_path / "a.csv", rows, "start,ct/kWh,end"))
    assert done.exit_code == 0, done.stderr
    assert "the step changes from 1 h to 15 min at 2026-05-01 02:00: a new table begins there" in done.stdout
    assert "out of order; taken in the order of time" in done.stdout
    rows = [f"2026-05-01T0{at}Z,8" for at in ("0:00", "1:00", "2:00", "3:00", "4:00", "4:15", "4:30", "4:45")]
    done = run("check", csv_file(tmp_path / "b.csv", rows, "start,ct/kWh"))
    assert done.stderr.splitlines() == [
        f"gridmote tariff check: {tmp_path}/b.csv:6: steps of 15 min begin here, others are of 1 h: a column with "
        "the end of each price is needed to tell them from gaps"]


def test_the_picture_of_a_day_in_letters(tmp_path):
    """Two columns for each half hour; zero, its height and the window are where they belong."""
    values = [8] * 10 + [-4] * 6 + [8] * 10 + [24] * 12 + [16] * 10
    done = run("check", written(tmp_path / "a.json", agile("2026-05-01T00:00Z", values)), "--zone", "UTC",
               "--window", "2", columns=120)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert "cheapest 2 h: 05:00 to 07:00, mean -4.00" in done.stdout
    assert "-4.00 to 24.00 p/kWh, mean 12.17" in done.stdout
    top = next(i for i, line in enumerate(lines) if line.startswith("    24.00│"))
    bars = [line[10:].ljust(96) for line in lines[top:top + 8]]
    assert bars[0] == " " * 52 + "█" * 24 + " " * 20
    assert bars[6] == "█" * 20 + " " * 12 + "█" * 64  # the first line above zero
    assert bars[7] == " " * 20 + "█" * 12 + " " * 64 and lines[top + 7].startswith("    -4.00│")
    assert lines[top + 8].startswith("         └00──────────03──────────06")
    assert lines[top + 9] == " " * 30 + "╰──────╯"


def test_narrow_wide_and_many_days(tmp_path):
    week = written(tmp_path / "a.json", agile("2026-10-20T23:00Z", [i % 48 - 3 for i in range(48 * 9 + 2)]))
    for columns in (40, 80, 200):
        for path in (week, written(tmp_path / "b.json", agile("2026-10-24T23:00Z", range(100), 15))):
            done = run("check", path, columns=columns)
            assert done.exit_code == 0, done.stderr
    done = run("check", week, columns=80)
    assert "50/50 25 h" in done.stdout and max(map(len, done.stdout.splitlines())) <= 80
    assert "one page of several" in run("check", paged(tmp_path / "c.json")).stdout


def paged(path):
    path.write_text(json.dumps({"next": "https://...?page=2", "results": agile("2026-05-01T00:00Z", range(9))}))
    return path


def test_the_picture_in_a_file(tmp_path):
    path = written(tmp_path / "a.json", agile("2026-10-24T23:00Z", range(-5, 45)))
    done = run("check", path, "--picture", tmp_path / "a.png")
    assert done.exit_code == 0 and (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_help_teaches():
    done = run("--help", columns=100)
    assert "check" in done.stdout and "gridmote tariff check prices.json" in done.stdout
    done = run("check", "--help", columns=100)
    for word in ("--zone", "Europe/Rome", "--unit", "EUR/MWh", "--columns", "--picture", "23 or 25 hours"):
        assert word in done.stdout
