"""An identity is replaced atomically: cut at every change of the disk, the old or the new one is there, whole."""

import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from gridmote.fault import Fault
from gridmote.provision import authority, folder
from gridmote.provision.authority import Authority
from gridmote.provision.folder import FolderPlace
from gridmote.provision.install import install, interrupted
from gridmote.provision.layout import GOOD_CONFIG, NodeSet, encode, read_set
from gridmote.provision.passwords import Passwords
from gridmote.provision.run import Run, Wishes
from host_tests.dying_os import DyingOs, PowerCut
from host_tests.provision_rig import BASE
from host_tests.test_mqtt_tls import Authority as BrokerAuthority


@pytest.fixture
def tmp_path():
    """In memory, if there is such a place: thousands of folders come and go."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    for module in (folder, authority):
        monkeypatch.setattr(module, "os", DyingOs(1 << 60))


with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "micropython", SimpleNamespace(const=lambda value: value))
    lastgood = importlib.import_module("firmware.lastgood")  # what decides on the device


def node(rate, word, key):
    config = {**BASE, "broker": {"host": "h", "ca": f"/node/keys/ca-{key * 8}.der"}, "status_s": rate}
    return NodeSet(config, {"wifi": {"password": word * 8}}, {f"keys/ca-{key * 8}.der": key.encode() * 400})


OLD = node(1, "a", "a")
CHANGES = {"all": node(2, "b", "b"), "configuration": node(2, "a", "a"), "secrets": node(1, "b", "a"),
           "key": node(1, "a", "b"), "nothing": OLD}


BOOTED = {}  # {files: what the firmware made of them}


class Device:
    """What firmware/lastgood.py asks of a board."""

    vault = None

    def __init__(self, path):
        self.node_folder = str(path)

    def boots(self):
        """(configuration, secrets) that the firmware itself takes, or None."""
        lastgood.mend(self.node_folder)
        for which in (lastgood.GIVEN, lastgood.GOOD):
            try:
                return lastgood.read(self, which)
            except OSError:
                continue
        return None


def cut(monkeypatch, after, call, full=False):
    """Whether `call` died at its change number `after`."""
    dying = DyingOs(after, full)
    with monkeypatch.context() as patch:
        patch.setattr(folder, "os", dying)
        patch.setattr(authority, "os", dying)
        try:
            call()
        except (PowerCut, OSError, Fault):
            assert dying.died
    dying.lose()
    return dying.died


def whole(path, *allowed):
    """Read as tools do and as the firmware does, `path` holds one of the sets; which."""
    found = read_set(FolderPlace(path))
    assert found in allowed, (found, sorted(p.name for p in path.rglob("*")) if path.exists() else None)
    files = {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    state = frozenset(files.items())
    if path.exists() and state not in BOOTED:  # many cuts leave the same
        copy = path.with_name("as-booted")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy)
        BOOTED[state] = Device(copy).boots()
    if path.exists():
        assert BOOTED[state] == (found and (encode(found.config), encode(found.secrets)))
    return found


@pytest.mark.parametrize("full", [False, True], ids=["power cut", "disk full"])
@pytest.mark.parametrize("keep_good", [False, True], ids=["folder", "board"])
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_disk(tmp_path, monkeypatch, change, keep_good, full):
    new, place = CHANGES[change], tmp_path / "node"
    proven = node(9, "p", "p")
    for good in (None, proven):
        for after in range(1000):
            shutil.rmtree(place, ignore_errors=True)
            if good:
                install(FolderPlace(place), good)
            install(FolderPlace(place), OLD)
            died = cut(monkeypatch, after, lambda: install(FolderPlace(place), new, keep_good), full)
            if keep_good and good and died:
                whole(place, OLD, new, proven)  # what the node itself proved is what it falls back to
            else:
                whole(place, *([OLD, new] if died else [new]))
            told = interrupted(FolderPlace(place))
            install(FolderPlace(place), new, keep_good)
            assert whole(place, new) and not interrupted(FolderPlace(place))
            assert not list(place.rglob("*~"))
            if not died:
                assert not told
                break
        assert after >= 12 or change == "nothing"
        kept = FolderPlace(place).read(GOOD_CONFIG)
        if change != "nothing":
            assert kept == encode(good.config if good and keep_good else OLD.config)


@pytest.mark.parametrize("first", [None, OLD], ids=["new node", "old node"])
def test_cut_twice(tmp_path, monkeypatch, first):
    """The run that should finish it is cut, too."""
    new, place = CHANGES["all"], tmp_path / "node"
    for after in range(1000):
        died = True
        for again in range(1000):
            shutil.rmtree(place, ignore_errors=True)
            if first:
                install(FolderPlace(place), first)
            died = cut(monkeypatch, after, lambda: install(FolderPlace(place), new))
            if not cut(monkeypatch, again, lambda: install(FolderPlace(place), new)):
                whole(place, new)
                break
            whole(place, first, new)
        if not died:
            break
    assert after > 15


@pytest.mark.parametrize("new_keys", [False, True], ids=["keys stay", "new keys"])
@pytest.mark.parametrize("known", [False, True], ids=["new node", "old node"])
def test_the_whole_command(tmp_path, monkeypatch, known, new_keys):
    """Whatever it was cut at: the same command ends it, and the utility has the key of the node all the time."""
    ca = BrokerAuthority(tmp_path, "broker").pem
    (tmp_path / "meter.json").write_text(json.dumps(BASE))
    (tmp_path / "word").write_text("wi-fi-word")
    path, keys = tmp_path / "node", tmp_path / "keys"
    passwords = Passwords({"wifi.password": tmp_path / "word"})

    def go(rate, new_keys):
        run = Run(Authority(keys, None), passwords, new_keys)
        return run.one(FolderPlace(path), tmp_path / "meter.json", Wishes(wifi="Lab", ca=ca, settings=(rate,)))

    for after in range(1000):
        for place in (path, keys):
            shutil.rmtree(place, ignore_errors=True)
        if known:
            go("measurement.rate=50", False)
        old = read_set(FolderPlace(path))
        died = cut(monkeypatch, after, lambda: go("measurement.rate=25", new_keys))
        found = read_set(FolderPlace(path))
        if found:
            assert len(found.keys) == 3
            assert found.secrets["gossip"]["node_key"] in (keys / "nodes/m1.key").read_text().split()
            assert found == old or found.config["measurement"]["rate"] == 25
        else:
            assert not known
        end = go("measurement.rate=25", False).made.node_set
        assert read_set(FolderPlace(path)) == end
        assert (keys / "nodes/m1.key").read_text().split() == [end.secrets["gossip"]["node_key"]]
        if known and not new_keys:
            assert end.secrets == old.secrets and end.keys == old.keys
        if not died:
            break
    assert after > 25
