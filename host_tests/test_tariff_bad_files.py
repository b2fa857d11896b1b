"""`gridmote tariff check`: what cannot be read is told in one line, with its place."""

from zoneinfo import ZoneInfoNotFoundError

import pytest

from gridmote.tariff import clock
from host_tests.tariff_rig import agile, csv_file, run, written


@pytest.mark.parametrize(("text", "said"), [
    ("", "nothing in it"), ("\n\n", "nothing in it"),
    ("{", "a.x:1:2: not JSON: Expecting property name enclosed in double quotes"),
    ('{"results": [], "a": NaN}', "not JSON of prices: NaN is no number"),
    ("[" * 100_000, "not JSON of prices: too deep"),
    ('{"detail": "Not found."}', 'no list "results" in it, which is where prices are in what Octopus\' API gives'),
    ('{"results": []}', "no prices in it"), (",,", "nothing in it"),
    ("[7]", "entry 1: no object with valid_from, valid_to and value_inc_vat"),
    ('[{"value_inc_vat": 7}]', "entry 1: no valid_from"),
    ('[{"value_inc_vat": "7", "valid_from": "x", "valid_to": "y"}]', "entry 1: value_inc_vat is no number"),
    ('[{"value_inc_vat": 7, "valid_from": 7, "valid_to": "y"}]', "entry 1: valid_from is no text"),
    ('[{"value_inc_vat": 7, "valid_from": "x", "valid_to": null}]',
     "entry 1: valid_to is null: a price without an end fits no table"),
    ('[{"value_inc_vat": 1e999, "valid_from": "2026-05-01T00:00Z", "valid_to": "2026-05-01T01:00Z"}]',
     "entry 1: price '1e999': not a number"),
    ("what is this", "no CSV: start and price are wanted, with comma, semicolon, tab or | between them"),
    ("start,ct/kWh\n", "no prices in it"),
    ("start,price\n2026-05-01T00:00Z,1\n", "which unit have the prices? --unit EUR/MWh, or another"),
    ("start,ct/kWh\n2026-05-01T00:00Z,1\n",
     "how long is a price valid? No column tells the end; --step says the minutes"),
    ("start,ct/kWh\n2026-05-01T00:00Z,1,5\n",
     "a.x:2: 3 cells, but the first line has 2; a decimal comma needs quotes around it, or another delimiter"),
    ("a,ct/kWh\n2026-05-01T00:00Z,1\n", "which column is the begin? --columns START,PRICE or START,PRICE,END: "
     "titles or numbers; it has a, ct/kWh"),
    ("start,a\n2026-05-01T00:00Z,1\n", "which column is the price? --columns START,PRICE or START,PRICE,END: "
     "titles or numbers; it has start, a"),
    ("start,price ct/kWh,price EUR/MWh\n", "'price ct/kWh' and 'price EUR/MWh': which of them? --columns "
     "START,PRICE or START,PRICE,END"),
    ("start,ct/kWh\n2026-05-01T00:00Z,1.234,5\n", "a.x:2: 3 cells"),
    ("start;ct/kWh\n2026-05-01T00:00Z;1.234,5\n", "a.x:2: price '1.234,5': not a number"),
    ("start;ct/kWh\n2026-05-01T00:00Z;nan\n", "a.x:2: price 'nan': not a number"),
    ("start;ct/kWh\n03/04/2026 00:00;7\n",
     "a.x:2: time '03/04/2026 00:00': is the day or the month first? --day-first says the day; else write 2026-"),
    ("start;ct/kWh\n2026-02-30T00:00Z;7\n", "a.x:2: time '2026-02-30T00:00Z': no such date or time"),
    ("start;ct/kWh\n1026-02-03T00:00Z;7\n",
     "a.x:2: time '1026-02-03T00:00Z': a year from 2000 to 2099 is expected"),
    ("start;ct/kWh\n2026-05-01 00:00;7\n2026-05-01 01:00;7\n", "a.x:2: time 2026-05-01 00:00 says no offset from "
     "UTC: whose clock is it? --zone Europe/Rome, or another"),
    ("start;ct/kWh\n2026-05-01T00:00Z;7\n\"2026", "a.x:3: unexpected end of data"),
    ("2026-05-01T00:00Z;x\n", "no titles, and which is the price? --columns 1,2 (start, price) or 1,2,3 (end)"),
])
def test_bad_files_are_told_in_one_line(tmp_path, text, said):
    path = tmp_path / "a.x"
    path.write_text(text)
    done = run("check", path)
    assert done.exit_code == 1 and len(done.stderr.splitlines()) == 1 and not done.stdout
    assert done.stderr.startswith(f"gridmote tariff check: {path}") and said in done.stderr


def test_many_mistakes_are_cut_short(tmp_path):
    done = run("check", csv_file(tmp_path / "a.csv", ["yesterday,5"] * 25))
    lines = done.stderr.splitlines()
    assert len(lines) == 11 and "a.csv:2: time 'yesterday': expected something like 2026" in lines[0]
    assert lines[-1] == "gridmote tariff check: and 15 more"


def test_what_cannot_be_opened_and_options_that_are_wrong(tmp_path):
    good = written(tmp_path / "a.json", agile("2026-05-01T00:00Z", range(48)))
    (tmp_path / "b").write_bytes(b"start,ct/kWh\n\xff")
    for arguments, said in (
        (["nothing.json"], "nothing.json: No such file or directory"),
        ([tmp_path], "Is a directory"), ([tmp_path / "b"], "b: not UTF-8 at byte 13"),
        ([good, "--zone", "Europe/Roma"], "time zone 'Europe/Roma': not known; names are like Europe/Rome"),
        ([good, "--zone", "../passwd"], "not known"), ([good, "--zone", ""], "not known"),
        ([good, "--unit", "EUR"], "unit 'EUR': expected money/energy, such as p/kWh, ct/kWh"),
        ([good, "--columns", "a"], "--columns a: START,PRICE or START,PRICE,END"),
        ([good, "--step", "20"], "--step 20: a table has steps of 15, 30 or 60 minutes"),
        ([good, "--least", "cheap"], "--least, --most: price 'cheap': not a number"),
        ([good, "--window", "1.1"], "--window 1.1: whole quarters of an hour, such as 2.5"),
        ([good, "--picture", tmp_path / "a.txt"], "a name that ends in .png, .svg, .pdf"),
        ([good, "--picture", tmp_path / "no" / "a.png"], "No such file or directory"),
    ):
        done = run("check", *arguments)
        assert done.exit_code == 1 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_no_time_zones_on_the_computer(tmp_path, monkeypatch):
    path = written(tmp_path / "a.json", agile("2026-05-01T00:00Z", range(48)))

    def none(name):
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(clock, "ZoneInfo", none)
    assert "no time zones on this computer: install its package tzdata" in run("check", path).stderr
