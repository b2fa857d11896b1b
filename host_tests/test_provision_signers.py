"""`gridmote provision` gives nodes the public keys of those who sign tariffs, and of those who may revoke them."""

import json
import shutil

import pytest

from gridmote.sign.recovery import Recovery
from gridmote.sign.signer import Signer
from host_tests.provision_rig import Workplace


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Workplace(tmp_path)


def gossip(work, name="meter-1"):
    return json.loads((work.folder / name / "config.json").read_bytes()).get("gossip", {})


def test_public_keys_go_to_nodes(work):
    keys = work.folder / "fleet-keys"
    work.run("meter-1", "--config", "meter.json")
    assert not {"tariff_key", "recovery_key"} & set(gossip(work))
    signer, recovery = Signer(keys), Recovery(work.folder / "safe")
    signer.create(5)
    recovery.create(keys)
    work.run("meter-1")
    assert gossip(work)["tariff_key"] == signer.public().hex() == (keys / "tariff.pub").read_text().strip()
    assert gossip(work)["recovery_key"] == recovery.public().hex()
    before = signer.public()
    assert signer.replace(5) != before
    work.run("meter-1")  # the key of today, not the one that it has
    assert gossip(work)["tariff_key"] == signer.public().hex()
    secret = json.loads((keys / "tariff/3/key").read_text())["seed"]
    assert not [path for path in (work.folder / "meter-1").rglob("*") if path.is_file()
                and (secret.encode() in path.read_bytes() or bytes.fromhex(secret) in path.read_bytes())]


def test_what_may_be_copied_is_told(work):
    keys, kept = work.folder / "fleet-keys", "holds the keys of the fleet: keep it to yourself, and keep a copy\n"
    assert work.run("meter-1", "--config", "meter.json").stdout.endswith(kept)
    Signer(keys).create(5)
    told = work.run("meter-1").stdout
    assert f"{kept}without " in told and "tariff, of which no copy signs: after the loss of this disk" in told
    assert "gridmote tariff keys --replace --recovery FOLDER makes another tariff key\nbut there is no" in told
    Recovery(work.folder / "safe").create(keys)
    told = work.run("meter-1").stdout
    assert "makes another tariff key\n" in told and "but" not in told


def test_no_node_gets_a_key_that_was_revoked(work):
    """It would believe the thief: nobody tells it of the revocation."""
    keys = work.folder / "fleet-keys"
    signer = Signer(keys)
    signer.create(5)
    work.run("meter-1", "--config", "meter.json")
    signer.revoke(1)
    done = work.run("meter-1", status=1)
    assert "the tariff key was revoked" in done.stderr and "gridmote tariff keys --replace" in done.stderr
    signer.replace(5)
    work.run("meter-1")
    assert gossip(work)["tariff_key"] == signer.public().hex()


def test_a_damaged_public_key_is_told(work):
    keys = work.folder / "fleet-keys"
    Signer(keys).create(5)
    for text in ("", "zz", "00" * 48, (keys / "tariff.pub").read_text()[:-2]):
        (keys / "tariff.pub").write_text(text)
        done = work.run("meter-1", "--config", "meter.json", status=1)
        assert "tariff.pub: not a public LMS key" in done.stderr
    shutil.rmtree(keys)
    work.run("meter-1", "--config", "meter.json")
