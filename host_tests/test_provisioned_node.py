"""`gridmote node` with a folder that `gridmote provision` made, or with secrets beside its configuration."""

import json
import subprocess

import pytest

from gridmote.fault import Fault
from gridmote.node import config as node_config
from gridmote.processes import gridmote
from gridmote.provision.folder import FolderPlace
from gridmote.provision.install import install
from gridmote.provision.layout import NodeSet
from host_tests.provision_rig import BASE, WIFI

CA = {"keys/ca-00000000.der": b"0"}


@pytest.fixture
def folder(tmp_path):
    config = {**BASE, "broker": {"host": "h", "ca": "/node/keys/ca-00000000.der"}, "wifi": {"ssid": "Lab"}}
    install(FolderPlace(tmp_path / "m1"), NodeSet(config, {"wifi": {"password": WIFI}}, CA))
    return tmp_path / "m1"


def test_folder_and_file_are_the_same(folder):
    given, full = node_config.read(folder)
    assert (given, full) == node_config.read(folder / "config.json")
    assert full["wifi"]["password"] == WIFI
    prepared = node_config.prepare(given, full, node_config.folder_of(folder), None)
    assert prepared["broker"]["ca"] == str(folder / "keys/ca-00000000.der")
    assert prepared["outbox"]["folder"] == str(folder / "m1.outbox")


def test_a_configuration_of_another_name_has_no_secrets_beside_it(folder):
    (folder / "node.json").write_text(json.dumps(BASE))
    assert node_config.read(folder / "node.json")[1]["wifi"]["password"] == ""


def test_an_interrupted_change_boots_as_the_device_does(folder):
    before = node_config.read(folder)
    install(FolderPlace(folder), NodeSet({**BASE, "status_s": 7}, {}, {}))
    assert node_config.read(folder)[1]["status_s"] == 7 and node_config.interrupted(folder) == ""
    (folder / "config.json").unlink()  # as between the two renames
    assert node_config.read(folder) == before
    assert "last good" in node_config.interrupted(folder) == node_config.interrupted(folder / "config.json")
    done = subprocess.run(gridmote("node", folder, "--seconds", "0.1"), capture_output=True, text=True, timeout=60)
    assert "an earlier change was interrupted" in done.stdout and WIFI not in done.stdout + done.stderr


@pytest.mark.parametrize("name, text, words", [
    ("secrets.json", f'{{"wifi": {{"password": "{WIFI}"', "secrets.json:1:"),
    ("secrets.json", f'{{"id": "{WIFI}"}}', "secrets.json: id: not a secret"),
    ("secrets.json", f'["{WIFI}"]', "secrets.json: an object is needed"),
    ("secrets.json", f'{{"wifi": "{WIFI}"}}', "wifi: an object is needed"),
    ("secrets.json", '{"wifi": {"password": "4711"}}', "wifi.password: must be"),
    ("secrets.json", f'{{"wifi": {{"password": "{WIFI}", "password": "{WIFI}"}}}}', "password: given twice"),
    ("config.json", "{}", "id: missing"),
    ("config.json", json.dumps({**BASE, "broker": {"host": "h", "ca": "/node/keys/no.der"}}), "broker.ca: no file"),
])
def test_mistakes_show_no_secret(folder, name, text, words):
    (folder / name).write_text(text)
    with pytest.raises(Fault) as told:
        node_config.read(folder)
    assert words in str(told.value) and WIFI not in str(told.value) and "4711" not in str(told.value)


def test_nothing_there(tmp_path):
    for path, words in ((tmp_path, "no config.json there"), (tmp_path / "config.json", "No such file")):
        with pytest.raises(Fault, match=words):
            node_config.read(path)
