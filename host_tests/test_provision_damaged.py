"""`gridmote provision` where something else is at work: damaged files, missing ones, other runs."""

import json

import pytest

from gridmote.fault import Fault
from gridmote.provision.authority import Authority
from gridmote.provision.folder import FolderPlace
from gridmote.provision.layout import read_set
from gridmote.provision.passwords import Passwords
from gridmote.provision.run import Run, Wishes
from host_tests.provision_rig import BASE, WIFI, Workplace
from host_tests.test_mqtt_tls import Authority as BrokerAuthority

FIRST = ("m1", "--config", "meter.json", "--wifi", "Lab")


@pytest.fixture
def work(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture
def ca(tmp_path):
    return BrokerAuthority(tmp_path, "broker").pem


def test_a_change_while_the_password_is_typed_is_not_lost(work):
    work.run(*FIRST)
    other = lambda: work.run("m1", "--idcode", 999)  # noqa: E731
    status, _ = work.at_terminal("m1", "--wifi", "Other", answers=[WIFI, WIFI], before=other)
    config, _ = work.node()
    assert status == 0 and config["measurement"]["idcode"] == 999 and config["wifi"]["ssid"] == "Other"


def test_a_change_at_the_last_moment_is_refused(work):
    work.run(*FIRST)
    run = Run(Authority(work.folder / "other-keys", None), Passwords({}))
    made = run._make

    def late(place, planned, old):
        found = made(place, planned, old)
        work.run("m1", "--idcode", 999)
        return found

    run._make = late
    with pytest.raises(Fault, match="another run changed it just now"):
        run.one(FolderPlace(work.folder / "m1"), None, Wishes(idcode=5))
    assert work.node()[0]["measurement"]["idcode"] == 999
    with FolderPlace(work.folder / "m1").held():
        assert "in use by another" in work.run("m1", "--idcode", 7, status=1).stderr


@pytest.mark.parametrize("name, text, words", [
    ("config.json", "{broken", "m1/config.json:1:2: not JSON"),
    ("config.json", "\xff", "m1/config.json: not JSON"),
    ("config.json", "[]", "m1/config.json: an object is needed"),
    ("config.json", json.dumps({**BASE, "topic": [1]}), "m1/config.json: topic: an object is needed"),
    ("config.json", json.dumps({**BASE, "topic": None}), "m1/config.json: topic: an object is needed"),
    ("config.json", json.dumps({**BASE, "broker": 5}), "m1/config.json: broker: an object is needed"),
    ("secrets.json", '{"gossip": {"node_key": 5}}', "m1/secrets.json: gossip.node_key: must be"),
    ("secrets.json", '{"wifi": 5}', "m1/secrets.json: wifi"),
    ("secrets.json", "nonsense", "m1/secrets.json:1:1: not JSON"),
])
def test_what_cannot_be_used_is_told_and_replaced(work, name, text, words):
    work.run(*FIRST)
    before = work.files()
    (work.folder / "m1" / name).write_text(text)
    told = work.run("m1", "--idcode", 7, status=1).stderr
    assert words.split(": not")[0] in told and "gridmote provision --config FILE replaces it" in told
    work.run(*FIRST)
    assert {**work.files(), "config.good": 0, "secrets.good": 0} == {**before, "config.good": 0, "secrets.good": 0}


def test_key_files_that_are_gone(work, ca):
    work.run(*FIRST, "--ca", ca)
    config, _ = work.node()
    for name, mend in (("key", ["--new-keys"]), ("certificate", ["--new-keys"]), ("ca", ["--ca", ca])):
        path = work.node()[0]["broker"][name].removeprefix("/node/")
        (work.folder / "m1" / path).unlink()
        told = work.run("m1", status=1).stderr
        assert f"m1/{path}: is missing; {mend[0]}" in told
        work.run("m1", *mend)
        assert len(read_set(FolderPlace(work.folder / "m1")).keys) == 3
    assert work.node()[0]["broker"]["key"] != config["broker"]["key"]


def test_no_certificate_of_a_broker_for_the_ca(work, ca):
    BrokerAuthority(work.folder, "other").issue("leaf")
    assert "not the certificate of a CA" in work.run(*FIRST, "--ca", "leaf.crt", status=1).stderr
    assert not (work.folder / "m1").exists()


def test_where_no_folder_can_be(work):
    told = work.run("/proc/nope/x", *FIRST[1:], status=1).stderr
    assert told == "gridmote provision: /proc/nope/x: No such file or directory\n"
