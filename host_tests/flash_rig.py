"""What tests of `gridmote flash` flash: a small application that says its version, and the calls to flash it."""

import contextlib
import io
import subprocess

from rich.console import Console

from gridmote.commands.flash import install
from gridmote.flash.identity import Identity
from gridmote.flash.link import Link
from host_tests.board_rig import RP2, Device
from host_tests.conftest import ROOT

_DEVICE = """
import time
from room.version import VERSION
def device(app, slot, wanted):
    import room.parts
    print("running: test, version %d, parts of %d" % (VERSION, room.parts.VERSION))
    print("first frame acknowledged by 127.0.0.1:1883")
    while True:
        time.sleep(1)
"""
PARTS = 6
KEPT = {
    "/outbox/log": b"\x00\x01\x02" * 999,
    "/node/config.json": b'{"id": "kept"}',
    "/node/keys/ca-00000000.der": b"\x30",
    "/other": b"of somebody else",
}


def make_tree(folder, version=1):
    """A source tree whose application has PARTS modules of some KB and one that names its version."""
    for name in ("lib/room", "firmware", "boards/rp2", "boards/esp32"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    main = (ROOT / "boards/main.py").read_text()
    (folder / "boards/main.py").write_text(f"{main}# of version {version}\n")
    (folder / "firmware/device.py").write_text(_DEVICE)
    for board in ("rp2", "esp32"):
        (folder / f"boards/{board}/board.py").write_text("")
    names = [f"part{i}" for i in range(PARTS)]
    (folder / "lib/room/parts.py").write_text(
        "".join(f"import room.{name}\n" for name in names) + "VERSION = room.part0.VERSION\n")
    for i, name in enumerate(names):
        (folder / f"lib/room/{name}.py").write_text(f"TEXT = {bytes([i]) * 900 * (i + 1)!r}\nVERSION = {version}\n")
    (folder / "lib/room/unused.py").write_text("raise ValueError('not for boards')\n")
    (folder / "lib/room/version.py").write_text(f"VERSION = {version}\n")
    return folder


def flash(device, tree, *, identity=None, board="rp2", told=lambda *at: None, **link):
    """Flash in this process; what it says. Fault, and then the line is closed."""
    said = io.StringIO()
    console = Console(file=said, width=200)
    with contextlib.closing(Link(device.place, **link)) as line:
        install(line, board, identity or Identity(), tree, console, told)
        line.reset()
    return said.getvalue()


def gridmote_flash(device, tree, *args, timeout_s=60, place=None):
    """(exit status, stdout, stderr) of the command."""
    argv = [ROOT / ".venv/bin/gridmote", "flash", "--port", place or device.place, "--source", tree, *args]
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=timeout_s)
    return done.returncode, done.stdout, done.stderr


def put_files(device, files=KEPT):
    """Files onto the board's file system, by its REPL."""
    with contextlib.closing(Link(device.place)) as link:
        link.stop()
        for path, data in files.items():
            parts = path.split("/")[1:-1]
            for n in range(len(parts)):
                folder = "/" + "/".join(parts[: n + 1])
                link.run(f"import os\ntry:\n os.mkdir({folder!r})\nexcept OSError:\n pass")
            link.run(f"with open({path!r}, 'wb') as f:\n f.write({data!r})")


def board_with(port, folder, tree, **options):
    """A Device with the application of `tree` and the files of KEPT, without power."""
    folder.mkdir()
    device = Device(port, folder, RP2, **options)
    put_files(device)
    flash(device, tree)
    device.power_cut()
    return device


def boots(device):
    """The version that starts when the power comes; None if nothing does."""
    since = len(device.said)
    if device.events[-1] != "cut":
        device.power_cut()
    device.power_on()
    found = device.wait_said(rb"running: test, version (\d+), parts of (\d+)|>>> ", since=since)
    assert found[1] == found[2], "two versions mixed"
    return found[1] and int(found[1])
