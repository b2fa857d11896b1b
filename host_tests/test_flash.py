"""gridmote flash against a board's raw REPL: what it copies, what it leaves alone, what it says when it cannot."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

from gridmote.fault import Fault
from gridmote.flash import port as flash_port
from gridmote.flash.link import Link
from gridmote.flash.pack import Pack, unpack
from gridmote.flash.parts import compiled
from gridmote.node.config import EXAMPLE
from host_tests.board_rig import ESP32, RP2, UNIX, Device, read_image
from host_tests.conftest import ROOT, Port
from host_tests.flash_rig import KEPT, boots, flash, gridmote_flash, make_tree, put_files

_FOLDERS_KIB = 48  # /app, /node, /node/keys, /outbox with two blocks each, what is in /node, room for a rename


@pytest.fixture
def tree(tmp_path):
    return make_tree(tmp_path / "tree")


@pytest.fixture
def device(mpy, tmp_path):
    with contextlib.closing(Device(mpy, tmp_path)) as made:
        yield made


def counts(said):
    """(sent, copied on the board, from last time) of what flash said."""
    found = re.search(r"(\d+) sent(?:, (\d+) copied on the board, (\d+) from last time)?", said)
    return tuple(int(n or 0) for n in found.groups())


def test_an_empty_device_then_nothing_to_do_then_one_file(device, tree, mpy):
    put_files(device)
    status, said, trouble = gridmote_flash(device, tree, "--board", "rp2")
    assert (status, trouble) == (0, ""), said
    total = len(compiled("rp2", mpy.march, tree))
    assert counts(said) == (total, 0, 0)
    assert "running: test, version 1" in said and said.rstrip().endswith("its first frame was acknowledged")
    status, said, _ = gridmote_flash(device, tree, "--board", "rp2")
    assert status == 0 and counts(said) == (0, 0, 0)
    (tree / "lib/room/version.py").write_text("VERSION = 1  # the same, but not its code\nX = 2\n")
    status, said, _ = gridmote_flash(device, tree, "--board", "rp2")
    assert status == 0 and counts(said) == (1, total - 1, 0)
    device.power_cut()
    files, _ = read_image(mpy, device.image)
    assert {path: files.get(path) for path in KEPT} == KEPT
    assert set(files) == {*KEPT, "/main.py", "/app/a", "/app/b", "/app/slot"}
    assert files["/app/slot"] == b"b"
    assert sorted(unpack(files["/app/b"]).values()) == sorted(compiled("rp2", mpy.march, tree).values())


def test_only_what_is_imported_goes_to_the_board(tree, mpy):
    paths = compiled("rp2", mpy.march, tree)
    assert "lib/room/unused.mpy" not in paths and "boards/esp32/board.mpy" not in paths
    assert "lib/room/part5.mpy" in paths and "boards/rp2/board.mpy" in paths


def test_over_a_socket_and_without_waiting(mpy, tmp_path, tree):
    with contextlib.closing(Device(mpy, tmp_path, tcp=True)) as device:
        status, said, trouble = gridmote_flash(device, tree, "--board", "rp2", "--no-wait")
        assert (status, trouble) == (0, "") and "acknowledged" not in said
        device.wait_said(b"running: test, version 1")


def test_the_application_is_stopped_and_its_watchdog_does_not_bite(device, tree):
    (tree / "firmware/device.py").write_text(
        "import machine, time\nimport room.version\ndef device(app, slot, wanted):\n"
        " dog = machine.WDT(timeout=3000)\n"
        " print('running: test')\n print('first frame acknowledged')\n"
        " try:\n  while True:\n   dog.feed()\n   time.sleep(0.1)\n finally:\n  print('good-bye')\n")
    flash(device, tree)
    device.wait_said(b"first frame")
    make_tree(tree, 2)
    flash(device, tree)
    device.wait_said(b"good-bye")
    device.wait_said(b"version 2")
    assert "watchdog" not in device.events


def test_left_alone_in_the_midst_the_board_starts_again_by_itself(device, tree):
    flash(device, tree)
    since = len(device.said)
    with contextlib.closing(Link(device.place, deadman_s=2)) as link:
        link.stop()
        device.wait_said(b"version 1", since=since)


@pytest.mark.parametrize("when, words", [("modules", "repeated this goes on"),
                                         ("starts", "has the new application")])
def test_ctrl_c(device, tree, when, words):
    if when == "starts":
        (tree / "firmware/device.py").write_text(
            "import time\ndef device(app, slot, wanted):\n time.sleep(60)\n")
    else:
        flash(device, tree)
        device.wait_said(b"version 1")
        make_tree(tree, 2)
    argv = [ROOT / ".venv/bin/gridmote", "flash", "--board", "rp2", "--port", device.place, "--source", tree]
    with subprocess.Popen(list(map(str, argv)), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "PYTHONUNBUFFERED": "1"}) as run:
        for line in run.stdout:
            if {"modules": "KiB of heap", "starts": "waiting for"}[when] in line:
                break
        time.sleep(0.3)
        run.send_signal(signal.SIGINT)
        trouble = run.stderr.read()
        assert run.wait() == 130 and words in trouble and "Traceback" not in trouble and trouble.count("\n") == 1
    if when == "modules":
        assert boots(device) == 1


@pytest.mark.parametrize("board, option, words", [
    (ESP32, "rp2", "say --board esp32"),
    ({**RP2, "platform": "samd"}, "rp2", "'samd'"),
    ({**RP2, "machine": "Raspberry Pi Pico with RP2040", "network": False}, "rp2", "needs its W"),
    ({**RP2, "implementation": {"version": [1, 22, 0]}}, "rp2", "1.24 or later"),
    ({**RP2, "implementation": {"_mpy": 6 | 2 << 8 | 4 << 10}}, "rp2", "version 6.2"),
    ({**RP2, "implementation": {"_mpy": 6 | 3 << 8}}, "rp2", "architecture 0"),
    ({**RP2, "implementation": {"name": "circuitpython"}}, "rp2", "MicroPython 1.24"),
])
def test_the_wrong_board_is_refused(tmp_path, board, option, words):
    tree = make_tree(tmp_path / "tree")
    port = Port("micropython")
    with contextlib.closing(Device(port, tmp_path, board)) as device:
        status, _, trouble = gridmote_flash(device, tree, "--board", option)
        assert status == 1 and words in trouble and "Traceback" not in trouble, (device.said, device.events)
        device.power_cut()
        assert read_image(port, device.image)[0] == {}


def test_what_else_can_be_wrong_is_one_clear_line(tmp_path, tree, mpy, monkeypatch):
    with contextlib.closing(Device(mpy, tmp_path, UNIX)) as device:
        status, _, trouble = gridmote_flash(device, tree, "--board", "rp2", place="/dev/ttyNone")
        assert status == 1 and "no such port" in trouble
        assert gridmote_flash(device, tree, "--board", "pico")[0] == 2
        device.power_cut()
        monkeypatch.setattr("gridmote.flash.link._STOP_S", 1)
        with pytest.raises(Fault, match="no MicroPython answers"):
            flash(device, tree)
    found = [("/dev/ttyACM0", "Board 2e8a:0005"), ("/dev/ttyUSB0", "CP2102 10c4:ea60")]
    for n, words in ((0, "no board found"), (2, "--port /dev/ttyACM0")):
        monkeypatch.setattr(flash_port, "candidates", lambda n=n: found[:n])
        with pytest.raises(Fault, match=words):
            flash_port.find()
    monkeypatch.setattr(flash_port, "candidates", lambda: found[1:])
    assert flash_port.find() == "/dev/ttyUSB0"


def test_a_port_in_use_is_told(device, tree):
    from serial import serial_for_url

    with serial_for_url(device.place, exclusive=True):
        status, _, trouble = gridmote_flash(device, tree, "--board", "rp2")
    assert status == 1 and "is in use" in trouble


def test_a_full_file_system_is_told_and_the_old_application_starts(device, tree):
    flash(device, tree)
    device.wait_said(b"version 1")
    put_files(device, {"/big": b"x"})
    with contextlib.closing(Link(device.place)) as link:
        link.stop()
        link.run("f = open('/big', 'wb')\ntry:\n while True:\n  f.write(bytes(4096))\n  f.flush()\n"
                 "except OSError:\n pass\nf.close()", 60)
    make_tree(tree, 2)
    since = len(device.said)
    status, _, trouble = gridmote_flash(device, tree, "--board", "rp2")
    assert status == 1 and "file system is" in trouble and "full" in trouble
    device.wait_said(b"version 1", since=since)
    assert boots(device) == 1


def test_a_safe_mode_and_a_silent_node_are_told(device, tree):
    for line, words in (("safe mode: no configuration", "safe mode: no configuration"),
                        ("running: x", "no frame of it was acknowledged"), ("hello", "did not say that it runs")):
        (tree / "firmware/device.py").write_text(
            f"import time\ndef device(app, slot, wanted):\n print({line!r})\n while True:\n  time.sleep(1)\n")
        status, _, trouble = gridmote_flash(device, tree, "--board", "rp2", "--patience", "4")
        assert status == 1 and words in trouble, trouble
    for line, words in (("1 // 0", "the new application does not start: ZeroDivisionError"),
                        ("raise KeyboardInterrupt", "the application has ended: KeyboardInterrupt")):
        (tree / "firmware/device.py").write_text(f"def device(app, slot, wanted):\n {line}\n")
        status, said, trouble = gridmote_flash(device, tree, "--board", "rp2")
        assert status == 1 and words in trouble
    assert "Traceback" in said  # as the board told it


def test_the_real_application_fits_beside_itself():
    kept_kib = int(re.search(r"_FOR_APPLICATIONS_KIB = (\d+)", (ROOT / "boards/micro.py").read_text())[1])
    for board, march in (("rp2", "armv6m"), ("rp2", "armv7emsp"), ("esp32", "xtensawin")):
        pack = Pack(compiled(board, march))
        blocks = 2 * -(-len(pack.data) // 4096)
        assert 4 * blocks + _FOLDERS_KIB <= kept_kib, (board, march, len(pack.data))
        assert not [path for path, _ in pack.bodies if "splitter" in path or "replay" in path]


def test_the_real_application_from_an_empty_board_to_an_acknowledged_frame(mpy, tmp_path, mosquitto, monkeypatch):
    monkeypatch.setenv("GRIDMOTE_NODE", "/node")  # of the board that is a computer
    config = tmp_path / "meter.json"
    config.write_text(json.dumps({**EXAMPLE, "broker": {"host": mosquitto.host, "port": mosquitto.port},
                                  "outbox": {"folder": "/outbox"}}))
    with contextlib.closing(Device(mpy, tmp_path, UNIX, heapsize="1M")) as device:
        status, said, trouble = gridmote_flash(device, ROOT, "--board", "unix", "--config", config)
        assert (status, trouble) == (0, ""), said
        assert "running: 765 on unix" in said and "its first frame was acknowledged" in said
        status, said, trouble = gridmote_flash(device, ROOT, "--board", "unix")  # while it runs
        assert (status, trouble) == (0, "") and counts(said) == (0, 0, 0), said
        device.power_cut()
        files, _ = read_image(mpy, device.image)
        assert files["/outbox/boot"] and files["/node/config.json"]
