"""What the recovery key signs by `gridmote tariff keys --replace` and `revoke`, heard by a node's own Trust."""

import shutil
import time

import pytest

from gossip.trust import Trust
from gossip.wire import KEY, NUMBER_MOST, OK, OLD, REVOKE, SIGNATURE, TARIFF
from gridmote.fault import Fault
from gridmote.sign import store
from gridmote.sign.message import seal
from gridmote.sign.signer import Signer
from gridmote.tariff.messages import read
from host_tests.mpy.plain_shelf import Shelf
from host_tests.tariff_rig import agile, run, written

HOUR = 3600


class Node:
    """What a node that was provisioned with these keys believes."""

    def __init__(self, keys):
        public = [bytes.fromhex((keys / name).read_text()) for name in ("tariff.pub", "recovery.pub")]
        self.trust = Trust(*public, None, Shelf(), lambda: int(time.time()))

    def hears(self, message):
        head = message.reach, message.origin, message.seq, message.lifetime_s
        reason = self.trust.begin(memoryview(message.payload), *head)
        while not reason and self.trust.step(1 << 20) is None:
            pass
        return reason or self.trust.accept()


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """A fleet's keys of 32 signatures each; the recovery key is in `safe` beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    done = run("keys", "--keys", "keys", "--new", "--recovery", "safe", "--height", 5)
    assert done.exit_code == 0, done.stderr
    return tmp_path / "keys"


def prices(tmp_path):
    begin = int(time.time()) // HOUR * HOUR + HOUR
    written(tmp_path / "a.json", agile(time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(begin)), [1, 2, 3, 4]))


def signed(tmp_path, keys):
    """One message of gridmote tariff sign."""
    prices(tmp_path)
    done = run("sign", "a.json", "--keys", keys, "--force")
    assert done.exit_code == 0, done.stderr
    [message] = read(tmp_path / "a.signed")
    return message


def from_recovery(tmp_path, *arguments, name="key.signed"):
    done = run(*arguments, "--recovery", "safe", "--force")
    assert done.exit_code == 0, done.stderr
    [message] = read(tmp_path / name)
    return message, done.stdout


def burn(node, thief):
    """With a stolen key: the highest sequence number of origin 1, so that nothing more of it is new."""
    now = int(time.time())
    with thief._ledger.held() as state:
        leaf = store.take_leaf(state["keys"][0])
        thief._ledger.commit(state)
        key = thief._key(state["keys"][0])
    made = seal(key, leaf, TARIFF, 7, 1, NUMBER_MOST, 600, now - 60, now + HOUR, b"any table")
    assert node.hears(made) == OK


def test_a_thief_burnt_the_numbers(tmp_path, keys):
    """Who has the key signs the last sequence number: what origin 1 says is old from then on. The recovery key's
    message is taken, and what is signed after it, without saying the origin again."""
    node = Node(keys)
    first = signed(tmp_path, keys)
    assert first.origin == 1 and node.hears(first) == OK
    burn(node, Signer(keys))
    assert node.hears(signed(tmp_path, keys)) == OLD
    replaced, said = from_recovery(tmp_path, "keys", "--keys", "keys", "--replace", "--origin", 2, "--height", 5)
    assert (replaced.origin, replaced.payload[0], replaced.payload[1]) == (15, KEY, 0) and "key 3" in said
    second = signed(tmp_path, keys)
    assert second.origin == 2 and second.seq > first.seq
    assert node.hears(second) == SIGNATURE  # the key is not known yet
    assert [node.hears(one) for one in (replaced, second, second, replaced)] == [OK, OK, OLD, OLD]
    third, _ = from_recovery(tmp_path, "keys", "--keys", "keys", "--replace", "--height", 5)
    assert node.hears(third) == OK
    fourth = signed(tmp_path, keys)
    assert fourth.origin == 2 and node.hears(fourth) == OK, "it stays"


def test_revoked(tmp_path, keys):
    node = Node(keys)
    before = signed(tmp_path, keys)
    assert node.hears(before) == OK
    stolen = [signed(tmp_path, keys) for _ in range(3)]
    revoked, said = from_recovery(tmp_path, "revoke", 1, "--keys", keys, name="revoke.signed")
    assert (revoked.payload[0], revoked.payload[1], revoked.origin) == (REVOKE, 0, 15)
    assert "keys below epoch 2 end" in said and "the key that signs now is among them" in said
    damaged = revoked._replace(payload=revoked.payload[:12] + b"\xff" + revoked.payload[13:])
    assert node.hears(damaged) == SIGNATURE
    assert node.hears(stolen[0]) == OK
    assert node.hears(revoked) == OK and node.hears(revoked) == OLD
    assert node.hears(stolen[1]) == SIGNATURE and node.hears(stolen[2]) == SIGNATURE
    replaced, _ = from_recovery(tmp_path, "keys", "--keys", "keys", "--replace", "--height", 5)
    assert [node.hears(one) for one in (replaced, signed(tmp_path, keys))] == [OK, OK]
    again, said = from_recovery(tmp_path, "revoke", 2, "--keys", keys, "--origin", 7, name="revoke.signed")
    assert again.origin == 7 and "among them" not in said and "no more" not in run("keys", "--keys", keys).stdout
    assert [node.hears(one) for one in (again, signed(tmp_path, keys))] == [OK, OK]


def test_a_revoked_key_signs_no_more(tmp_path, keys):
    """Whoever made the revocation: refused with what to do, and no signature is used up."""
    signed(tmp_path, keys)
    from_recovery(tmp_path, "revoke", 4, "--keys", keys, name="revoke.signed")
    state = (keys / "tariff/state").read_bytes()
    done = run("sign", "a.json", "--keys", keys, "--force")
    assert done.exit_code == 1 and "its key, epoch 1, was revoked" in done.stderr
    assert "gridmote tariff keys --replace --recovery FOLDER makes another" in done.stderr
    assert (keys / "tariff/state").read_bytes() == state and len(done.stderr.splitlines()) == 1
    assert "key 1: revoked, it signs no more" in run("keys", "--keys", keys).stdout
    _, said = from_recovery(tmp_path, "keys", "--keys", keys, "--replace", "--height", 5)
    assert "key 5: 0 of 32" in said, "no node takes one that is below what was revoked"
    assert signed(tmp_path, keys).payload[1] == 5
    from_recovery(tmp_path, "revoke", 2, "--keys", keys, name="revoke.signed")
    with pytest.raises(Fault, match="epoch 4: there are 5 to 255"):
        Signer(keys).replace(5, epoch=4)


def test_a_revocation_is_written_down_before_it_is_in_a_file(tmp_path, keys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "revoke.signed")

    with monkeypatch.context() as patch:
        patch.setattr("gridmote.tariff.revoke_command.write", full)
        assert run("revoke", 1, "--keys", keys, "--recovery", "safe").exit_code == 1
    prices(tmp_path)
    assert "was revoked" in run("sign", "a.json", "--keys", keys).stderr
    from_recovery(tmp_path, "revoke", 1, "--keys", keys, name="revoke.signed")


def test_the_older_of_two_keys_is_revoked(tmp_path, keys):
    """The newer one signs at once, and the older one tells nobody of it any more."""
    signer = Signer(keys)
    with signer._ledger.held() as state:
        state["keys"][0]["next"] = 26
        signer._ledger.commit(state)
    signed_two = signer.sign(TARIFF, 7, 1, 0, 60, 1000, 2000, b"x")
    assert [one.payload[:2] for one in signed_two] == [bytes([KEY, 1]), bytes([TARIFF, 1])]
    from_recovery(tmp_path, "revoke", 1, "--keys", keys, name="revoke.signed")
    assert [signed(tmp_path, keys).payload[1] for _ in range(3)] == [2, 2, 2]
    assert bytes.fromhex((keys / "tariff.pub").read_text())[8] == 2  # what nodes are provisioned with


def test_a_copy_without_the_tariff_key(tmp_path, keys, monkeypatch):
    """What is left after the loss of a disk: a copy of the rest, and the recovery key. Nodes follow."""
    node = Node(keys)
    assert node.hears(signed(tmp_path, keys)) == OK
    shutil.copytree(keys, tmp_path / "copy", ignore=shutil.ignore_patterns("tariff"))
    shutil.rmtree(keys)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    (tmp_path / "copy").rename(keys)
    replaced, said = from_recovery(tmp_path, "keys", "--keys", keys, "--replace", "--height", 5)
    assert "key 3: 0 of 32" in said and node.hears(replaced) == OK
    assert node.hears(signed(tmp_path, keys)) == OK


def test_after_the_last_epoch(tmp_path, keys):
    """255: no key follows it by itself, which is told; the recovery key begins anew, and nodes follow."""
    Signer(keys).replace(5, epoch=255)
    node = Node(keys)
    assert node.hears(signed(tmp_path, keys)) == OK
    said = run("keys", "--keys", keys).stdout
    assert "key 255: 1 of 32" in said and "--replace --recovery FOLDER begins anew, before it is used up" in said
    for _ in range(31):
        last = signed(tmp_path, keys)
    assert last.payload[1] == 255
    done = run("sign", "a.json", "--keys", keys, "--force")
    assert "all used; gridmote tariff keys --replace --recovery FOLDER makes another" in done.stderr
    replaced, said = from_recovery(tmp_path, "keys", "--keys", keys, "--replace", "--height", 5)
    assert "key 1: 0 of 32" in said
    assert [node.hears(one) for one in (replaced, signed(tmp_path, keys))] == [OK, OK]


@pytest.mark.parametrize("arguments, why", [
    (("keys", "--origin", 2), "--origin goes with --replace"),
    (("keys", "--replace", "--origin", 16, "--recovery", "safe"), "less than or equal to 15"),
    (("revoke", 255, "--recovery", "safe"), "less than or equal to 254"),
    (("revoke", 1), "--recovery"),
    (("revoke", 1, "--recovery", "nowhere"), "nowhere/0/key: No such file"),
    (("revoke", 1, "--recovery", "safe", "--out", "no/where"), "no/where: no such folder"),
    (("revoke", 1, "--recovery", "safe", "--out", "there"), "there exists; --force writes over it"),
])
def test_refused(tmp_path, keys, arguments, why):
    (tmp_path / "there").write_text("mine")
    state = (keys / "tariff/state").read_bytes()
    done = run(*arguments, "--keys", keys)
    assert done.exit_code and why in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and (keys / "tariff/state").read_bytes() == state
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("height", [4, 8, 16])
def test_a_height_that_lms_does_not_have(tmp_path, monkeypatch, height):
    """Refused before anything is made or moved."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for how in ("--new", "--replace"):
        done = run("keys", "--keys", "keys", how, "--recovery", "safe", "--height", height)
        assert done.exit_code == 2 and f"'{height}' is not one of '5', '10', '15'" in done.stderr, done
        assert not list(tmp_path.iterdir())
    assert "<5|10|15>" in run("keys", "--help").stdout


def test_a_tariff_key_that_the_recovery_key_is_ahead_of(tmp_path, keys):
    """As an interruption leaves it: what is refused says what to do, and that does it."""
    shutil.rmtree(keys / "tariff")
    (keys / "tariff.pub").unlink()
    done = run("keys", "--keys", "keys", "--new", "--recovery", "other", "--height", 5)
    assert done.exit_code == 1 and "recovery.pub: is there; leave out --recovery" in done.stderr, done
    assert not (tmp_path / "other").exists()
    done = run("keys", "--keys", "keys", "--new", "--height", 5)
    assert done.exit_code == 0 and "key 1: 0 of 32" in done.stdout, done


def test_a_state_of_before_has_origin_1(tmp_path, keys):
    signer = Signer(keys)
    with signer._ledger.held() as state:
        del state["origin"]
        signer._ledger.commit(state)
    assert signer.origin() == 1 and signed(tmp_path, keys).origin == 1
