"""Whatever happens to the signer of tariffs, no one-time key signs twice, and nodes follow from key to key."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gossip import wire
from gossip.seal import Seal
from gossip.trust import Trust
from gridmote.fault import Fault
from gridmote.provision import folder
from gridmote.sign import key as keys
from gridmote.sign import ledger, message, signer, store
from gridmote.sign.key import Key
from gridmote.sign.recovery import Recovery
from gridmote.sign.signer import Signer
from host_tests.dying_os import DyingOs, PowerCut
from host_tests.mpy.plain_shelf import Shelf

NOW = 1_800_000_000
MODULES = (folder, ledger, store, keys, signer)  # that change the disk


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(ledger, "_WAIT_S", 0.1)
    return tmp_path / "home"


@pytest.fixture
def used(monkeypatch):
    """[(epoch, leaf)] in the order in which they began to sign."""
    leaves, sign = [], Key.sign

    def spy(self, leaf, message):
        leaves.append((self.epoch, leaf))
        return sign(self, leaf, message)

    monkeypatch.setattr(Key, "sign", spy)
    return leaves


class Node:
    def __init__(self, public, recovery=b"", now=NOW):
        self.trust = Trust(public, recovery, None, Shelf(), lambda: now)

    def hear(self, signed):
        found = self.trust.begin(
            memoryview(signed.payload), signed.reach, signed.origin, signed.seq, signed.lifetime_s)
        if found:
            return found
        while self.trust.step(1000) is None:
            pass
        return self.trust.accept()


def made(fleet, height=5):
    made = Signer(fleet, now=lambda: NOW)
    made.create(height)
    return made


def tariff(signer, origin=1, seq=0, body=b"prices"):
    return signer.sign(wire.TARIFF, 7, origin, seq, 600, NOW, NOW + 86400, body)


# ---------------------------------------------------------------- from key to key
def test_nodes_follow(tmp_path, used):
    one = made(tmp_path / "fleet")
    always, seldom = Node(one.public()), Node(one.public())
    for i in range(75):
        for signed in tariff(one):
            assert always.hear(signed) == wire.OK
            if signed.kind == wire.KEY or not 18 < i < 27:  # it was off, and misses the first KEY
                assert seldom.hear(signed) in (wire.OK, wire.SIGNATURE)
    assert one.left()[0] == 3
    assert seldom.hear(tariff(one)[-1]) == wire.OK
    assert len(set(used)) == len(used)
    late = Node(one.public())  # provisioned now
    assert late.hear(tariff(one)[-1]) == wire.OK
    assert always.trust.reuses == seldom.trust.reuses == 0
    assert sorted(p.name for p in one.folder.iterdir()) == ["2", "3", "state"]


class Hollow:
    """A key that signs at once and worthlessly, for the schedule of a large one."""

    def __init__(self, epoch, height):
        self.epoch, self.height, self.size = epoch, height, 1 << height
        self.public = keys.u32(11) + keys.u32(8) + bytes([epoch]) + bytes(39)

    def sign(self, leaf, message):
        return keys.u32(leaf) + bytes(896)


def test_schedule_of_a_large_key(tmp_path, monkeypatch):
    """1,024 signatures: the next key is told of from 80 % on, signs from 95 % on, and is told of until the next."""
    for module in MODULES:
        monkeypatch.setattr(module, "os", DyingOs(1 << 60))  # syncs take no time

    def create(folder, epoch, height, watch):
        folder.mkdir()
        (folder / "key").touch()

    monkeypatch.setattr(keys, "create", create)
    monkeypatch.setattr(keys, "load", lambda folder, watch: Hollow(int(folder.name), 10))
    one = made(tmp_path / "fleet", 10)
    said = [[(signed.kind, signed.payload[1], int.from_bytes(signed.payload[-900:-896], "big"), signed.seq)
             for signed in tariff(one)] for _ in range(2000)]
    flat = [one for group in said for one in group]
    assert [one[3] for one in flat] == list(range(1, len(flat) + 1))  # no sequence number is left out
    assert len({one[1:3] for one in flat}) == len(flat)
    told = [i for i, group in enumerate(said) if group[0][0] == wire.KEY]
    assert told[0] == 1024 * 4 // 5 == 819
    gaps = [b - a for a, b in zip(told, told[1:], strict=False)]
    assert max(gaps) == 17  # to the end: what is left of the old key lasts until there is a third
    by = [group[-1][1] for group in said]
    assert by == sorted(by) and said[by.index(2)][-1][2] == 0
    assert 960 < by.index(2) < 974 and max(leaf for _, epoch, leaf, _ in flat if epoch == 1) > 1000


def test_recovery_after_a_theft(tmp_path):
    fleet = tmp_path / "fleet"
    one, recovery = made(fleet), Recovery(tmp_path / "safe")
    recovery.create(fleet)
    node = Node(one.public(), bytes.fromhex(store.read_public(fleet / "recovery.pub")))
    first = tariff(one)[0]
    assert node.hear(first) == wire.OK
    public = one.replace(5)
    assert public[8] == 3 and store.read_public(fleet / "tariff.pub") == public.hex()
    times = (NOW, NOW + 86400)
    revoked = recovery.sign(wire.REVOKE, 7, 1, one.reserve(1), 600, *times, b"\x03")[0]
    assert node.hear(revoked) == wire.OK
    assert node.hear(tariff(one)[0]) == wire.SIGNATURE
    assert node.hear(recovery.sign(wire.KEY, 7, 1, one.reserve(1), 600, *times, public)[0]) == wire.OK
    assert node.hear(tariff(one)[0]) == wire.OK
    assert tariff(one)[0].seq > first.seq + (1 << 20)  # a copy may have signed in between
    with pytest.raises(Fault, match="recovery.pub: is there"):
        Recovery(tmp_path / "other").create(fleet)
    for kind, body in ((wire.TARIFF, b"x"), (wire.KEY, b"x"), (wire.REVOKE, b"xx")):
        with pytest.raises(Fault):
            recovery.sign(kind, 7, 1, 9, 600, *times, body)
    for _ in range(30):
        recovery.sign(wire.REVOKE, 7, 1, 9, 600, *times, b"\x01")
    with pytest.raises(Fault, match="all used"):
        recovery.sign(wire.REVOKE, 7, 1, 9, 600, *times, b"\x01")


def test_order(tmp_path):
    key = bytes(range(32))
    signed = message.order(key, 7, 3, 9, 600, 4711, NOW, NOW + 60, b"off")
    node = Trust(b"", b"", Seal(key), Shelf(), lambda: NOW)
    assert node.order(signed.payload, 3, 9) == wire.OK
    assert node.order(signed.payload, 3, 9) == wire.OLD
    assert signed.payload[:13].hex() == f"08{4711:08x}{NOW:08x}{NOW + 60:08x}"
    with pytest.raises(Fault, match="bytes of the body"):
        message.order(key, 7, 3, 9, 600, 4711, NOW, NOW + 60, bytes(1171))


def test_what_no_node_would_take_costs_nothing(tmp_path, used):
    one = made(tmp_path / "fleet")
    good = {"kind": 1, "reach": 7, "origin": 1, "seq": 0, "lifetime_s": 60, "valid_from": 10, "valid_until": 20,
            "body": b"x"}
    for name, value in (("kind", 0), ("kind", 4), ("reach", 8), ("origin", 16), ("origin", 0), ("seq", 1 << 30),
                        ("lifetime_s", 0), ("valid_from", 20), ("valid_until", 1 << 32), ("body", bytes(408))):
        with pytest.raises(Fault):
            one.sign(**{**good, name: value})
    assert not used and one.left() == (1, 32, 32)
    assert one.sign(**{**good, "body": bytes(407)})[0].seq == 1
    assert one.reserve(1) == 2 and one.reserve(2) == 1
    assert one.sign(**{**good, "seq": 100})[0].seq == 100
    with pytest.raises(Fault, match="up to 100 they were used"):
        one.sign(**{**good, "seq": 100})
    assert one.sign(**good)[0].seq == 101 and one.left() == (1, 29, 32)


def test_leaves_are_kept(tmp_path, monkeypatch):
    """Loading computes no leaf; damaged ones are made again; a damaged seed is no key."""
    one = made(tmp_path / "fleet")
    leaf, calls = keys._leaf, []
    monkeypatch.setattr(keys, "_leaf", lambda *args: calls.append(1) or leaf(*args))
    tariff(Signer(one._fleet))
    assert not calls
    path = one.folder / "1/leaves"
    data = bytearray(path.read_bytes())
    data[400] ^= 1
    path.write_bytes(data)
    assert Node(one.public()).hear(tariff(Signer(one._fleet, now=lambda: NOW))[0]) == wire.OK
    assert len(calls) == 32
    tariff(Signer(one._fleet))
    assert len(calls) == 32
    path = one.folder / "1/key"
    said = json.loads(path.read_text())
    for bad in ({**said, "seed": "00" * 24}, {**said, "i": ""}, [], {**said, "lms": 5}):
        with path.open("r+") as file:  # the same file
            file.truncate()
            json.dump(bad, file)
        with pytest.raises(Fault, match="damaged"):
            tariff(Signer(one._fleet))


def test_progress(tmp_path):
    watched = []
    one = Signer(tmp_path / "fleet", watch=lambda leaves: watched.append(len(leaves)) or leaves)
    one.create(5)
    assert watched == [32]
    assert stat.S_IMODE(os.stat(one.folder / "1/key").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(one.folder).st_mode) == 0o700
    with pytest.raises(Fault, match="has a tariff key already"):
        one.create(5)


# ---------------------------------------------------------------- copies, and what was restored
def refused(signer, words):
    with pytest.raises(Fault, match=words) as caught:
        tariff(signer)
    assert "recovery key" in str(caught.value)  # what to do
    return True


def test_a_copy_does_not_sign(tmp_path, used):
    one = made(tmp_path / "fleet")
    tariff(one)
    for how in ("folder", "hard links"):
        other = tmp_path / how
        shutil.copytree(tmp_path / "fleet", other, copy_function=os.link if how == "hard links" else shutil.copy2)
        if how == "folder":
            assert refused(Signer(other), "is a copy or was restored")
        else:
            tariff(one)
            assert refused(Signer(other), "older than when it signed last")
    shutil.copytree(one.folder / "1", tmp_path / "bare/tariff/1")
    assert refused(Signer(tmp_path / "bare"), "state: is missing")
    (one.folder / "1/key").rename(one.folder / "1/was")
    shutil.copy2(one.folder / "1/was", one.folder / "1/key")
    assert refused(one, "is a copy or was restored")
    assert len(used) == 2


def test_a_backup_does_not_sign(tmp_path, used):
    one = made(tmp_path / "fleet")
    tariff(one)
    path = one.folder / "state"
    backup = path.read_bytes()
    tariff(one)
    newest = path.read_bytes()
    path.write_bytes(backup)
    assert refused(Signer(one._fleet), "older than when it signed last")
    for damaged in (b"", newest[:-5], newest.replace(b'"next": 2', b'"next": 1'), b"\xff" * 40, b"{}\n"):
        assert damaged != newest
        path.write_bytes(damaged)
        assert refused(Signer(one._fleet), "state: is damaged")
    path.write_bytes(newest)
    assert tariff(one)[0].seq == 3
    assert used == [(1, 0), (1, 1), (1, 2)]


def test_another_machine_or_user_does_not_sign(tmp_path, home, monkeypatch, used):
    one = made(tmp_path / "fleet")
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "machine", lambda: "another")
        assert refused(one, "made on another machine")
    with monkeypatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path / "root"))
        assert refused(one, "count: is missing")
    (count,) = home.rglob("count")
    count.write_text("{}")
    assert refused(one, "count: is damaged")
    count.unlink()
    assert refused(one, "count: is missing")
    assert not used


def test_a_copy_of_the_recovery_key(tmp_path, used):
    """On one machine the one that signs second is refused; elsewhere it is not seen, as its docstring says."""
    fleet = tmp_path / "fleet"
    made(fleet)
    said = (wire.REVOKE, 7, 1, 9, 600, NOW, NOW + 60, b"\x01")
    Recovery(tmp_path / "safe").create(fleet)
    shutil.copytree(tmp_path / "safe", tmp_path / "copy")
    Recovery(tmp_path / "safe").sign(*said)
    with pytest.raises(Fault, match="older than when it signed last"):
        Recovery(tmp_path / "copy").sign(*said)
    assert used == [(0, 0)]


# ---------------------------------------------------------------- any instant
class HardDisk(DyingOs):
    """A rename, too, is lost unless its folder was synced."""

    def __init__(self, after, full=False):
        super().__init__(after, full)
        self._renamed = []

    def __getattr__(self, name):
        change = super().__getattr__(name)
        if name == "rename":
            def rename(old, new):
                new = Path(new)
                before = new.read_bytes() if new.is_file() else None
                change(old, new)
                self._renamed.append((Path(old), new, before))
            return rename
        if name == "fsync":
            def fsync(held):
                change(held)
                done = Path(os.readlink(f"/proc/self/fd/{held}"))
                self._renamed = [one for one in self._renamed if one[1].parent.resolve() != done]
            return fsync
        return change

    def lose(self):
        super().lose()
        for old, new, before in reversed(self._renamed):
            os.rename(new, old)
            if before is not None:
                new.write_bytes(before)


def attempt(monkeypatch, after, full, call):
    """Whether `call` died at its change number `after`."""
    disk = HardDisk(after, full)
    with monkeypatch.context() as patch:
        for module in MODULES:
            patch.setattr(module, "os", disk)
        try:
            call()
        except (PowerCut, OSError, Fault):
            assert disk.died
    disk.lose()
    return disk.died


@pytest.fixture
def cheap(monkeypatch):
    """Keys and signatures that take no time, and are worth nothing."""
    monkeypatch.setattr(keys, "_leaf", lambda height, i, seed, q: bytes(24))
    monkeypatch.setattr(keys, "verify", lambda *_: True)
    monkeypatch.setattr(keys.pyhsslms.LmotsPrivateKey, "sign", lambda self, message: bytes(652))


@pytest.mark.parametrize("full", [False, True], ids=["power cut", "disk full"])
@pytest.mark.parametrize("renews", [False, True], ids=["plain", "next key"])
def test_every_change_of_the_disk(tmp_path, monkeypatch, full, renews, used, cheap):
    """Dying at each change, also while the next key is made, and going on afterwards."""
    fleet, after, seqs = tmp_path / "fleet", 0, []
    one = made(fleet)

    def sign():
        seqs.extend(signed.seq for signed in tariff(Signer(fleet)))

    died = True
    while died:
        while renews and ledger.guess(one.folder)["keys"][-1]["next"] < 25:
            sign()
        newest = ledger.guess(one.folder)["keys"][-1]["epoch"]
        died = attempt(monkeypatch, after, full, sign)
        sign()
        assert len(set(used)) == len(used), sorted(used)
        assert len(set(seqs)) == len(seqs), seqs
        assert ledger.guess(one.folder)["keys"][-1]["epoch"] == newest + renews
        after += 1
    assert after > (25 if renews else 12)


def test_making_the_first_key_dies(tmp_path, monkeypatch, cheap):
    for after in range(60):
        fleet = tmp_path / f"fleet{after}"
        died = attempt(monkeypatch, after, False, lambda fleet=fleet: Signer(fleet).create(5))
        one = Signer(fleet)
        if not one.exists():
            one.create(5)
        assert len(one.public()) == 48 and one.left() == (1, 32, 32)
        if not died:
            break
    assert not died and after > 15


def test_on_the_disk_before_it_signs(tmp_path, monkeypatch):
    """State and witness: written, synced, renamed, and their folders synced; then the leaf signs."""
    one = made(tmp_path / "fleet")
    log, real = [], os

    class Logged:
        def __getattr__(self, name):
            def call(*args, **options):
                if name in ("write", "fsync"):
                    path = real.readlink(f"/proc/self/fd/{args[0]}")
                    log.append((name, Path(path).name.replace(one._ledger_id, "ID")))
                elif name == "rename":
                    log.append((name, Path(args[1]).name))
                return getattr(real, name)(*args, **options)

            return call if name in ("write", "fsync", "rename") else getattr(real, name)

    one._ledger_id = ledger.guess(one.folder)["id"]
    for module in MODULES:
        monkeypatch.setattr(module, "os", Logged())
    monkeypatch.setattr(Key, "sign", lambda self, leaf, message: log.append(("sign", leaf)) or bytes(780))
    tariff(one)
    expected = [("write", "state~"), ("fsync", "state~"), ("rename", "state"), ("fsync", "tariff"),
                ("write", "count~"), ("fsync", "count~"), ("rename", "count"), ("fsync", "ID"), ("sign", 0)]
    assert log == expected


def test_killed_and_two_at_once(tmp_path):
    """Real processes, two at a time, ended by SIGKILL at any instant."""
    fleet = tmp_path / "fleet"
    done = subprocess.run([sys.executable, "-m", "host_tests.sign_and_kill", str(fleet)], capture_output=True,
                          text=True, timeout=60, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    leaves = [tuple(one[:2]) for one in found["used"]]
    assert len(leaves) > 30 and len(set(leaves)) == len(leaves)
    assert found["ended"] >= 2  # the last two, each of which had to wait for the other


def test_one_waits_for_the_other(tmp_path):
    one = made(tmp_path / "fleet")
    with ledger.locked(one.folder), pytest.raises(Fault, match="another run is signing with it"):
        tariff(one)
