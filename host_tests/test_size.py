"""The modules that a node has loaded together stay below 90 KB, an appliance's below 83.5; which these are, a
running node says itself."""

import contextlib
import json
from fnmatch import fnmatch

import pytest

from gridmote.flash.link import Link
from gridmote.node.config import EXAMPLE
from host_tests.board_rig import UNIX, Device
from host_tests.conftest import ROOT, Port
from host_tests.flash_rig import gridmote_flash
from needed import module_name, needed
from size import KEPT_LONGER, LEAN, MEASURING, NOT_BESIDE, SOURCES, let_go, measured, together, together_ied

_MOST = 90_000  # bytes
_IED_MOST = 83_500


@pytest.fixture(scope="module")
def sizes():
    return measured()


@pytest.mark.parametrize("board", ["rp2", "esp32"])
@pytest.mark.parametrize("source", ["adc", "synthetic"])
def test_below_90_kb(sizes, board, source):
    of_board = next(found for (name, _), found in sizes.items() if name == board)
    assert together(of_board, source) < _MOST
    assert together(of_board, source) > _MOST // 2  # the sum does not miss what counts


@pytest.mark.parametrize("board", ["rp2", "esp32"])
def test_an_appliance_below_83_kb(sizes, board):
    of_board = next(found for (name, _), found in sizes.items() if name == board)
    assert _IED_MOST // 2 < together_ied(of_board) <= _IED_MOST


def loaded_by(config, tmp_path, monkeypatch):
    """Modules of ours, and all, that a node has loaded which begins as a device does."""
    monkeypatch.setenv("GRIDMOTE_NODE", "/node")
    path = tmp_path / "node.json"
    path.write_text(json.dumps({**config, "outbox": {"folder": "/outbox"}}))
    with contextlib.closing(Device(Port("micropython32"), tmp_path, UNIX, heapsize="1M")) as device:
        status, said, trouble = gridmote_flash(device, ROOT, "--board", "unix", "--config", path)
        assert (status, trouble) == (0, ""), said
        with contextlib.closing(Link(device.place)) as link:
            link.interrupt()
            loaded = set(json.loads(link.run("import sys, json; print(json.dumps(list(sys.modules)))")))
    return {module_name(path) for path in needed("unix")}, loaded


def test_what_counts_as_let_go_is_not_there_while_a_meter_runs(tmp_path, mosquitto, monkeypatch):
    """Everything that stays is counted, nothing that stays is taken for gone."""
    config = {**EXAMPLE, "broker": {"host": mosquitto.host, "port": mosquitto.port}}
    ours, loaded = loaded_by(config, tmp_path, monkeypatch)
    gone = (let_go() - KEPT_LONGER) | (NOT_BESIDE - {"firmware.ending"})  # it ended just now
    assert loaded & gone & ours == set()
    assert "firmware.session" in loaded and SOURCES["synthetic"] <= loaded
    assert not {name for name in ours & loaded if name.startswith("c37118.")} - {"c37118", "c37118.writer"}
    assert not loaded & LEAN


def test_nor_while_an_appliance_runs(tmp_path, mosquitto, monkeypatch):
    broker = {"host": mosquitto.host, "port": mosquitto.port}
    config = {"id": "heater", "role": "ied", "topic": EXAMPLE["topic"], "broker": broker}
    ours, loaded = loaded_by(config, tmp_path, monkeypatch)
    gone = let_go() | (NOT_BESIDE - {"firmware.ending", "firmware.parting"}) | set().union(*SOURCES.values())
    assert loaded & gone & ours == set() and loaded >= LEAN
    assert not {name for name in ours & loaded if any(fnmatch(name, pattern) for pattern in MEASURING)}


def test_size_diff_compares_with_the_last_commit(capsys, monkeypatch, tmp_path):
    import size

    found = {key: {"firmware.node": 1000} for key in size.BOARD_MARCHES}
    before = {key: {"firmware.node": 900} for key in size.BOARD_MARCHES}
    trees = iter([before, found, found, found])
    monkeypatch.setattr(size, "measured", lambda root=None: next(trees))
    assert size.main(["diff"]) == 0
    said = capsys.readouterr().out
    assert "all that is sent" in said and "1000 (+100)" in said
    assert size.main(["diff"]) == 0
    assert "size that it had" in capsys.readouterr().out
    assert size.main(["dif"]) == 2 and "only diff" in capsys.readouterr().err
