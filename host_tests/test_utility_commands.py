"""`gridmote is` as a user runs it, from the key that signs to the appliance that acts, on a small segment of real
nodes."""

import json
import re
import signal
import subprocess
import time

import pytest

from gridmote.processes import gridmote
from gridmote.sign.signer import Signer
from host_tests.mqtt_rig import wait_for
from host_tests.tariff_rig import csv_file
from host_tests.utility_rig import NAME, ROLES, Town, command

HOUR = 3600
WASHER_WH = 2000 * 90 // 60  # watts, minutes


class Street(Town):
    """Its keys were made by gridmote tariff keys."""

    def made(self):
        done = command("tariff", "keys", "--new", "--height", 5, "--keys", self.keys, "--recovery",
                       self.folder / "safe")
        assert done.returncode == 0 and "key 1: 0 of 32 signatures used" in done.stdout, done
        return Signer(self.keys)


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("street")
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        with Street(folder, ROLES) as street:
            wait_for(lambda: f"\n{len(ROLES)} answered" in street.query("count"), "all to answer", 60)
            yield street


def signed(street, name, hours=12):
    """gridmote tariff sign: hourly prices from the next hour on, the third and fourth are the cheapest. -> its
    file, when the third begins."""
    begin = int(time.time()) // HOUR * HOUR + HOUR
    rows = [f"{time.strftime('%Y-%m-%dT%H:%MZ', time.gmtime(begin + k * HOUR))},{10 if k in (2, 3) else 250 + k}"
            for k in range(hours)]
    path = csv_file(street.folder / f"{name}.csv", rows)
    done = command("tariff", "sign", path, "--keys", street.keys, "--force")
    assert done.returncode == 0, done
    return path.with_suffix(".signed"), begin + 2 * HOUR


def test_from_the_key_to_the_appliance(street):
    """Sign, inject with a receipt, order the washer, and see what it needs: once, as a sum."""
    argv = gridmote("is", "watch", "--json", *street.at())
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        path, cheap = signed(street, "day")
        done = command("is", "inject", path, "--receipt", 30, *street.at())
        assert done.returncode == 0 and not done.stderr, done
        lines = done.stdout.splitlines()
        assert lines[0] == "tariff 1: acknowledged by ssc0" and len(lines) == 2
        assert re.fullmatch(r"tariff 1: held by 4, lacking at 0; 4 answered of 4 \(100 %\), .*", lines[1])
        again = command("is", "inject", path, *street.at())
        assert again.returncode == 0 and again.stdout == "tariff 1: acknowledged by ssc0\n", "it had it already"
        assert [one["number"] for one in street.events("ied0", "tariff")] == [1]
        asked = json.dumps({"appliance": "washer", "finish_by": cheap + 3 * HOUR})
        done = command("is", "order", "ied0", asked, *street.at())
        assert done.returncode == 0 and "for ied0: acknowledged by a controller" in done.stdout, done
        days, told = {}, []
        while sum(days.values()) != WASHER_WH:
            told.append(json.loads(watching.stdout.readline()))
            days[told[-1]["day"]] = sum(told[-1]["wh"])
        watching.send_signal(signal.SIGINT)
        rest, errors = watching.communicate(timeout=20)
    assert watching.returncode == 0 and not errors and not rest
    assert {one["appliances"] for one in told} == {1}
    last = told[-1]
    if cheap // (8 * HOUR) == (cheap + 2 * HOUR - 1) // (8 * HOUR):  # all of it in one period
        assert last["wh"][cheap % 86400 // (8 * HOUR)] == WASHER_WH and last["day"] == cheap // 86400
    assert last["jobs"] == 1
    word = "needs" if last["day"] == int(time.time()) // 86400 else "tomorrow"
    found = re.findall(r" h: ([\d,]+) Wh", street.query(word))  # of that day alone, where it goes over midnight
    assert sum(int(wh.replace(",", "")) for wh in found) == sum(last["wh"])


def test_an_order_restarts_its_node_once(street):
    done = command("is", "order", "ied0", "restart", *street.at())
    assert done.returncode == 0 and not done.stderr, done
    assert street.running["ied0"].wait(20) == 3  # whoever runs it starts it again
    street.start("ied0")
    wait_for(lambda: f"\n{len(ROLES)} answered" in street.query("count"), "it is back", 60)
    assert not street.events("ied0", "command"), "the order is known to be obeyed"


def test_an_order_with_a_wrong_key_is_not_obeyed(street):
    path = street.keys / "nodes/meter1.key"
    right = path.read_text()
    path.write_text("77" * 32)
    try:
        done = command("is", "order", "meter1", "restart", *street.at())
    finally:
        path.write_text(right)
    assert done.returncode == 0, done  # who passes it on cannot know
    assert f"\n{len(ROLES)} answered" in street.query("count")
    assert not street.events("meter1", "command")


def fails(why, *arguments):
    done = command(*arguments)
    assert done.returncode == 1 and not done.stdout, done
    [line] = done.stderr.splitlines()
    assert re.search(why, line), line


def test_what_cannot_be_ordered(street):
    fails("gridmote is order: meter9: no node of .* has this id", "is", "order", "meter9", "restart", *street.at())
    path = street.keys / "nodes/meter1.key"
    right = path.read_text()
    for text, why in (("", "no key"), ("zz", "no key"), (right[2:], "no key")):
        path.write_text(text)
        fails(f"nodes/meter1.key: {why}", "is", "order", "meter1", "restart", *street.at())
    path.write_text(right)
    fails("bytes of the body", "is", "order", "meter1", "x" * 1200, *street.at())


def test_what_cannot_be_injected(street):
    path, _ = signed(street, "other")
    message = json.loads(path.read_text())
    path.write_text(json.dumps({**message, "seq": message["seq"] + 1}))
    fails(r"tariff \d+: its signature is not that of the fleet", "is", "inject", path, *street.at())
    path.write_text("{}\n")
    fails("other.signed:1: no signed message", "is", "inject", path, *street.at())
    fails("No such file", "is", "inject", street.folder / "none", *street.at())


@pytest.mark.torture
def test_who_does_not_answer(street):
    """The key of another segment, and a boot count that is damaged: clear, in one line."""
    key = street.keys / "segments" / f"{NAME}.key"
    count = street.keys / "utility/2.boot"
    right, boot = key.read_text(), count.read_text()
    key.write_text("66" * 32)
    try:
        fails("it (is off, or )?has another key than .*segments/", "query", "count", *street.at())
    finally:
        key.write_text(right)
    count.write_text("?")
    for what in (["query", "count"], ["is", "watch", "--seconds", 1]):
        fails(r"utility/2\.boot: damaged, .* write a number", *what, *street.at())
    count.write_text(boot)
    assert street.query("count").startswith("4")


@pytest.mark.torture
def test_a_revocation_reaches_all(street):
    """Last: nothing that the key of epoch 1 signs is believed afterwards; the new key's is."""
    safe, out = street.folder / "safe", street.folder / "out.signed"
    at = ["--keys", street.keys, "--recovery", safe, "--out", out, "--force"]
    late, _ = signed(street, "late")
    for what, told in ((["revoke", 1], "revocation"), (["keys", "--replace", "--origin", 2, "--height", 5], "key")):
        done = command("tariff", *what, *at)
        assert done.returncode == 0, done
        done = command("is", "inject", out, "--receipt", 30, *street.at())
        assert done.returncode == 0 and done.stdout.startswith(f"{told} "), done
        first, second = done.stdout.splitlines()
        assert "acknowledged by ssc0" in first and "4 answered of 4 (100 %)" in second
        said = "no key is believed" if told == "revocation" else r"all know a key of epoch [2-9] or later"
        assert re.search(said, second), second
        if told == "revocation":
            fails("no controller acknowledged it within 2 s; either .* its key is not, or no more, theirs",
                  "is", "inject", late, "--timeout", 2, *street.at())
    path, _ = signed(street, "new")
    done = command("is", "inject", path, "--receipt", 30, *street.at())
    assert done.returncode == 0 and "held by 4, lacking at 0" in done.stdout, done
