"""gridmote flash with configuration, secrets and keys: what it writes, keeps and refuses."""

import contextlib
import json

import pytest

from gridmote.node.config import EXAMPLE
from host_tests.board_rig import Device, read_image
from host_tests.flash_rig import gridmote_flash, make_tree, put_files


@pytest.fixture
def tree(tmp_path):
    return make_tree(tmp_path / "tree")


@pytest.fixture
def device(mpy, tmp_path):
    with contextlib.closing(Device(mpy, tmp_path)) as made:
        yield made


def test_a_configuration_is_checked_before_the_board_is_touched(device, tree, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**EXAMPLE, "colour": "red"}))
    heard = device.heard
    status, said, trouble = gridmote_flash(device, tree, "--board", "rp2", "--config", wrong)
    assert status == 1 and "colour" in trouble and "Traceback" not in trouble
    assert device.heard == heard and said == ""


def test_configuration_secrets_and_keys_are_written_when_given(device, tree, tmp_path, mpy):
    config, secrets, keys = tmp_path / "meter.json", tmp_path / "secrets.json", tmp_path / "keys"
    wanted = {**EXAMPLE, "broker": {**EXAMPLE["broker"], "ca": "/node/keys/ca-0badcafe.der"}}
    config.write_text(json.dumps(wanted))
    secrets.write_text(json.dumps({"broker": {"password": "hush-hush"}}))
    status, _, trouble = gridmote_flash(device, tree, "--board", "rp2", "--config", config)
    assert status == 1 and "/node/keys/ca-0badcafe.der" in trouble and "--keys" in trouble
    keys.mkdir()
    (keys / "ca-0badcafe.der").write_bytes(b"a certificate")
    status, said, trouble = gridmote_flash(
        device, tree, "--board", "rp2", "--config", config, "--secrets", secrets, "--keys", keys)
    assert (status, trouble) == (0, ""), said
    assert "hush" not in said
    wanted["measurement"] = {**wanted["measurement"], "idcode": 7}
    config.write_text(json.dumps(wanted))
    status, said, trouble = gridmote_flash(device, tree, "--board", "rp2", "--config", config)
    assert (status, trouble) == (0, ""), said
    device.power_cut()
    files, _ = read_image(mpy, device.image)
    assert json.loads(files["/node/config.json"]) == wanted
    assert json.loads(files["/node/secrets.json"]) == {"broker": {"password": "hush-hush"}}
    assert files["/node/keys/ca-0badcafe.der"] == b"a certificate"
    assert json.loads(files["/node/config.good"])["measurement"]["idcode"] == 765


def test_the_folder_of_provision(device, tree, tmp_path, mpy):
    node = tmp_path / "node"
    (node / "keys").mkdir(parents=True)
    made = {**EXAMPLE, "broker": {**EXAMPLE["broker"], "ca": "/node/keys/ca-0badcafe.der"}}
    (node / "config.json").write_text(json.dumps(made))
    (node / "secrets.json").write_text(json.dumps({"broker": {"password": "hush-hush"}}))
    (node / "keys/ca-0badcafe.der").write_bytes(b"a certificate")
    status, said, trouble = gridmote_flash(device, tree, "--board", "rp2", "--node", node)
    assert (status, trouble) == (0, ""), said
    status, _, trouble = gridmote_flash(device, tree, "--board", "rp2", "--node", node, "--keys", node / "keys")
    assert status == 1 and "--node brings" in trouble
    device.power_cut()
    files, _ = read_image(mpy, device.image)
    assert json.loads(files["/node/config.json"]) == made
    assert files["/node/keys/ca-0badcafe.der"] == b"a certificate" and b"hush" in files["/node/secrets.json"]


_NVS = b"""
class NVS:
    def __init__(self, name):
        self.said = []
    def erase_key(self, name):
        if "2" in name:
            raise OSError(-4354)
        self.said.append(name)
    def commit(self):
        with open("/node/erased", "w") as file:
            file.write(",".join(self.said + ["done"]))
"""


def given(folder, node="765", **more):
    """A configuration file."""
    path = folder / f"{node}.json"
    path.write_text(json.dumps({**EXAMPLE, "id": node, **more}))
    return path


def files_of(device, port):
    device.power_cut()
    found = {path: data for path, data in read_image(port, device.image)[0].items() if path.startswith("/node/")}
    device.power_on()
    return found


def test_another_nodes_identity_is_not_replaced_without_a_word(device, tree, tmp_path, mpy):
    key = "/node/keys/key-0badcafe.der"
    put_files(device, {"/node/config.json": given(tmp_path, "one").read_bytes(), "/node/config.good":
                       given(tmp_path, "one").read_bytes(), "/node/secrets.good": b"{}", key: b"of one",
                       "/node/secrets.json": b'{"wifi": {"password": "of-one-12"}}'})
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "config.json").write_bytes(given(tmp_path, "two").read_bytes())
    before = files_of(device, mpy)
    for option, path in (("--node", folder), ("--config", tmp_path / "two.json")):
        status, _, trouble = gridmote_flash(device, tree, "--board", "rp2", option, path)
        assert status == 1 and "is node one" in trouble and "is for two" in trouble and "--replace" in trouble
        assert files_of(device, mpy) == before
    put_files(device, {"/node/config.json": b'{"id'})
    status, _, trouble = gridmote_flash(device, tree, "--board", "rp2", "--node", folder)
    assert status == 1 and "cannot be read" in trouble and "--replace" in trouble
    put_files(device, {"/node/config.json": given(tmp_path, "one").read_bytes(), "/esp32.py": _NVS})
    status, said, trouble = gridmote_flash(device, tree, "--board", "rp2", "--node", folder, "--replace")
    assert (status, trouble) == (0, "") and "configuration of two: written" in said
    after = files_of(device, mpy)
    assert after.pop("/node/erased") == b"a0,a1,b0,b1,done"
    assert set(after) == {"/node/config.json", "/node/secrets.json"}
    assert json.loads(after["/node/config.json"])["id"] == "two" and after["/node/secrets.json"].strip() == b"{}"


def test_a_configuration_alone_leaves_keys_and_secrets(device, tree, tmp_path, mpy):
    key, secrets = "/node/keys/key-0badcafe.der", b'{"wifi": {"password": "of-one-12"}}'
    put_files(device, {"/node/config.json": given(tmp_path, "one", broker={
        **EXAMPLE["broker"], "key": key}).read_bytes(), key: b"a key", "/node/secrets.json": secrets,
        "/node/config.good": given(tmp_path, "one").read_bytes()})
    config = given(tmp_path, "one", status_s=9)
    status, _, trouble = gridmote_flash(device, tree, "--board", "rp2", "--config", config)
    assert (status, trouble) == (0, "")
    after = files_of(device, mpy)
    assert after[key] == b"a key" and json.loads(after["/node/secrets.json"]) == json.loads(secrets)
    assert json.loads(after["/node/config.json"])["status_s"] == 9


def test_what_cannot_go_onto_a_board_is_told_before_it_is_stopped(device, tree, tmp_path):
    folder, file = tmp_path / "node", tmp_path / "afile"
    (folder / "config.json").mkdir(parents=True)
    file.write_text("x")
    tls = tmp_path / "tls"
    tls.mkdir()
    broker = {**EXAMPLE["broker"], "ca": "/node/keys/ca-0badcafe.der"}
    (tls / "config.json").write_text(json.dumps({**EXAMPLE, "broker": broker}))
    secrets = tmp_path / "secrets.json"
    secrets.write_text('{"broker": {"port": 1}}')
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"wifi": {"password": "short"}}')
    heard = device.heard
    for args, *words in (
            (("--node", file), "afile", "gridmote provision"),
            (("--node", folder), "config.json: Is a directory"),
            (("--node", tmp_path / "none"), "no config.json in it"),
            (("--node", tls), "/node/keys/ca-0badcafe.der", str(tls / "keys")),
            (("--config", folder), "Is a directory"),
            (("--secrets", secrets), "secrets.json: broker.port: not a secret"),
            (("--config", given(tmp_path), "--secrets", secrets), "secrets.json: broker.port: not a secret"),
            (("--config", given(tmp_path, wifi={"ssid": "x"}), "--secrets", wrong), "wrong.json: wifi.password"),
            (("--config", given(tmp_path, "s", broker={**broker, "password": "hush"})), "s.json: broker.password",
             "--secrets"),
            (("--config", given(tmp_path, "k", broker={**broker, "key": "/home/key.der"})), "k.json: broker.key",
             "/node/keys/NAME")):
        status, said, trouble = gridmote_flash(device, tree, "--board", "rp2", *args)
        assert status == 1 and said == "" and trouble.count("\n") == 1, trouble
        assert all(word in trouble for word in words) and "hush" not in trouble, trouble
    assert device.heard == heard
