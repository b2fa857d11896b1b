"""boards/*/manifest.py freeze into an image what flash would send; the frozen _boot.py of rp2 formats nothing."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from host_tests.conftest import ROOT
from needed import needed

OWN = {"rp2": {"main.py", "_boot.py"}, "esp32": {"main.py"}}


class Manifest:
    """As MicroPython's tools/manifestfile.py reads one: its functions, and its paths relative to the file."""

    def __init__(self, path):
        self.frozen = {}  # {path in the image: file}
        self.run(path)

    def run(self, path, **options):
        if path.startswith("$(MPY_DIR)"):
            return
        before = os.getcwd()
        os.chdir(Path(path).parent)
        try:
            exec(Path(path).name and Path(Path(path).name).read_text(), {
                "freeze": self.freeze, "include": self.run, "options": SimpleNamespace(**options)})
        finally:
            os.chdir(before)

    def freeze(self, base, names=None):
        if base.startswith("$(PORT_DIR)"):
            return
        for name in [names] if isinstance(names, str) else names:
            assert name not in self.frozen, f"{name} twice"
            self.frozen[name] = Path(base, name).resolve()


@pytest.mark.parametrize("board", ["rp2", "esp32"])
def test_the_same_set_as_flash(board):
    frozen = Manifest(str(ROOT / f"boards/{board}/manifest.py")).frozen
    wanted = {path.removeprefix("lib/"): file.resolve() for path, file in needed(board).items()}
    assert {name: file for name, file in frozen.items() if name not in OWN[board]} == wanted
    assert OWN[board] <= set(frozen)
    assert frozen["main.py"] == ROOT / "boards/main.py"
    assert all(file.is_file() for file in frozen.values())


_BOOT = """
import sys, os, vfs
class Flash:
    def __init__(self):
        self.bad = 0
    def readblocks(self, block, buf, offset=0):
        if self.bad:
            self.bad -= 1
            raise OSError(5)
        at = block * 4096 + offset
        buf[:] = memoryview(data)[at : at + len(buf)]
    def writeblocks(self, block, buf, offset=0):
        at = block * 4096 + offset
        data[at : at + len(buf)] = buf
    def ioctl(self, op, arg):
        return {4: len(data) // 4096, 5: 4096, 6: 0}.get(op)
class Module:
    pass
sys.modules["rp2"] = rp2 = Module()
rp2.Flash = Flash
with open(sys.argv[1]) as file:
    source = file.read()
def boot():
    vfs.umount("/")
    exec(source, {})
data = bytearray(b"\\xff" * 4096 * 16)
boot()
with open("/kept", "w") as file:
    file.write("x")
boot()
print(os.listdir("/"))
vfs.umount("/")
made = Flash
def failing_once():
    flash = made()
    flash.bad = 1
    return flash
rp2.Flash = failing_once
exec(source, {})
print(os.listdir("/"))
rp2.Flash = made
data[0:8192] = b"\\x11" * 8192
before = bytes(data)
boot()
print(bytes(data) == before)
"""


def test_boot_formats_erased_flash_and_no_other(mpy):
    done = mpy("-c", _BOOT, ROOT / "boards/frozen/rp2/_boot.py")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["['kept']", "['kept']"] and lines[-1] == "True"
    assert "left as it is" in done.stdout
