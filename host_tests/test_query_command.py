"""`gridmote query` as a user runs it, against a small segment: a controller, meters of which two measure synthetic
grids, an appliance. What they answer is known in closed form."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from gridmote.utility.question import QUESTIONS
from host_tests.mqtt_rig import wait_for
from host_tests.utility_rig import HZ, MEASURED, NAME, ROLES, Town, command

ALL = len(ROLES) + len(MEASURED)
AT_ONCE = 2  # a node takes no more from one neighbour


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("town")
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        with Town(folder, ROLES, MEASURED) as town:
            wait_for(lambda: f"\n{ALL} answered" in town.query("count"), "all to answer", 60)
            wait_for(lambda: "\n2 answered" in command("query", "span", *town.at()).stdout, "angles", 60)
            yield town


def test_each_kind(town):
    """Two at a time: each run has a number of its own."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = {what: pool.submit(town.query, *what.split()) for what in QUESTIONS}
    said = {what: one.result().splitlines() for what, one in asked.items()}
    high, low = max(volts for volts, _ in MEASURED.values()), min(volts for volts, _ in MEASURED.values())
    assert near(said["highest"][0], r"(\S+) V at pmu0", high, 0.02)
    assert near(said["lowest"][0], r"(\S+) V at pmu1", low, 0.02)
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    volts, name = re.fullmatch(rf"(\S+) V at (pmu\d), {when}", said["voltage"][0]).groups()
    assert abs(float(volts) - MEASURED[name][0]) < 0.02
    assert near(said["frequency"][0], r"(\S+) Hz", HZ, 0.001)
    for what in ("voltage", "highest", "lowest", "frequency", "span"):
        assert said[what][1].startswith("2 answered, 2 could not say, 0 missing, ")
    assert said["count"][0] == str(ALL) and said["versions"][0] == f"source: {ALL}"
    assert said["count"][1].startswith(f"{ALL} answered of {ALL} (100 %), 0 could not say, 0 missing, ")
    for what in ("needs", "tomorrow"):
        assert said[what][:3] == ["00-08 h: 0 Wh", "08-16 h: 0 Wh", "16-24 h: 0 Wh"]
        assert said[what][3].startswith("1 answered, 0 could not say, 0 missing")
    assert said["epochs"][0].startswith("the oldest key believed has epoch 1, at ")
    assert said["keys"][0].startswith("all know a key of epoch 1 or later, ")
    for what in ("epochs", "keys"):
        assert said[what][1].startswith(f"{ALL} answered of {ALL} (100 %), 0 could not say, 0 missing, ")


def test_a_tariff_that_all_lack(town):
    """The status is 1; the number is taken whole."""
    done = command("query", "tariff", (1 << 30) - 1, *town.at())
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and not done.stderr and lines[0] == f"held by 0, lacking at {ALL}"
    assert set(lines[1:-2]) == {f"  lacks it: {one}" for one in town.names}
    assert lines[-2].endswith("may read as lacking")


def near(line, pattern, value, within):
    return abs(float(re.fullmatch(pattern, line)[1]) - value) <= within


def test_span_while_the_grid_is_off_nominal(town):
    """Angles turn by 36 degrees a second here: what is compared is of one second, so that the difference is always
    the same. A synthetic grid counts from the second in which it began, and the two may have begun apart."""
    (_, one), (_, other) = MEASURED.values()
    turn = 360 * (HZ - 50)
    possible = {abs(one - other + k * turn) for k in range(-3, 4)}
    lines = town.query("span", "--every", 1.3, "--times", 3, "--json").splitlines()
    found = [float(re.fullmatch(r"(\S+) degrees", json.loads(line)["said"][0])[1]) for line in lines]
    assert len(found) == 3 and max(found) - min(found) <= 0.1
    assert min(abs(found[0] - each) for each in possible) <= 0.1, (found, possible)


def test_lines_are_not_broken(town):
    """However narrow the terminal would be: another program reads this."""
    done = command("query", "count", *town.at(), columns=20)
    assert done.stdout.startswith(f"{ALL}\n{ALL} answered of {ALL} (100 %), 0 could not say, 0 missing, ")
    assert len(done.stdout.splitlines()) == 2


def test_json(town):
    [line] = town.query("count", "--json", "--role", "meter", "--role", "ied").splitlines()
    told = json.loads(line)
    seconds = told.pop("seconds")
    assert 0 < seconds < 17 and told == {
        "question": QUESTIONS["count"].words, "value": [5], "said": ["5"], "contributors": 5, "faults": 0,
        "missing": 0}


def test_enough_are_enough(town):
    told = json.loads(town.query("count", "--least", 2, "--json"))
    assert told["contributors"] >= 2 and told["value"] == [told["contributors"]]


def test_nobody_can_say(town):
    """The status is 1, and stdout says it."""
    done = command("query", "frequency", "--role", "ssc", "--timeout", 5, *town.at())
    assert done.returncode == 1 and done.stdout.startswith("nobody could say\n0 answered, 1 could not say")
    assert not done.stderr


@pytest.mark.parametrize("arguments, why", [
    (["volts"], "volts: unknown; there are voltage, lowest"),
    (["tariff"], "tariff: unknown"),
    (["count", "--role", "is"], "--role is: one of ied, meter, ssc"),
    (["count", "--segment", "a,b"], "--segment a,b: AREA,LOCATION_TYPE,LOCATION_ID is needed"),
    (["count", "--segment", "a,b,c"], f"no key of that segment; known are {NAME}"),
    (["tariff 7", "--least", 2], "--least: who holds a tariff is asked of all"),
    (["count", "--ssc", "here"], "here: HOST:PORT is needed"),
    (["count", "--keys", "none"], "gridmote provision makes them"),
])
def test_asked_wrongly(town, arguments, why):
    done = command("query", arguments[0], *town.at(), *arguments[1:])
    assert done.returncode == 1 and not done.stdout
    [line] = done.stderr.splitlines()
    assert line.startswith("gridmote query: ") and why in line


def test_who_lacks_it_and_who_is_silent(town):
    """Last: a meter is dead; the receipt names it."""
    town.running["meter1"].kill()
    asked = ["query", "tariff", "7", "--timeout", 6, *town.at()]
    told = json.loads(command(*asked, "--json").stdout)
    assert told["contributors"] == ALL - 1 and told["silent"] == ["meter1"] and told["provisioned"] == ALL
    done = command(*asked)
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and lines[-2] == "  silent: meter1"
    assert re.match(rf"{ALL - 1} answered of {ALL} \(\d+ %\), 0 could not say, 1 missing", lines[-1])
    done = command("query", "epochs", "--timeout", 6, *town.at())
    assert done.returncode == 0 and "\n  silent: meter1\n" in done.stdout
