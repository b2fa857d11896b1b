"""What makes the unix port look like a board to a host tool: root file system, sys, machine.

The file system is a littlefs of 4096-byte blocks in a file, which a power cut leaves as it is: at the Nth write,
in the midst of it, if asked for. The watchdog is real: it ends the process.
"""

import os
import sys
from collections import namedtuple

import ffi
import vfs

COLD, SOFT, SOFT_RAW, CUT = 10, 11, 12, 13  # exit statuses: how the board starts again
BLOCK = 4096
_WATCHDOG_CLEAR = 0x4005B000  # RP2040: alias of WATCHDOG_CTRL that clears bits
_ENABLE = 1 << 30

settings = {}
_libc = ffi.open("libc.so.6")
_alarm = _libc.func("I", "alarm", "I")
_exit = _libc.func("v", "_exit", "i")
_real_sys = sys


def leave(status):
    """End at once, whatever Python code is running."""
    _exit(status)


class Flash:
    """A block device in a file. cut_after: the power goes in the midst of that write or erase; 0: it stays."""

    def __init__(self, path, cut_after):
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // BLOCK
        self._left = cut_after

    def _goes_now(self):
        self._left -= 1
        return self._left == 0

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * BLOCK + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * BLOCK + offset)
        if self._goes_now():
            self._file.write(memoryview(buf)[: len(buf) // 2])
            self._file.flush()
            leave(CUT)
        self._file.write(buf)
        self._file.flush()

    def ioctl(self, op, arg):
        if op == 4:
            return self._blocks
        if op == 5:
            return BLOCK
        if op == 6:
            if self._goes_now():
                leave(CUT)
            return 0


class _Sys:
    """sys with another platform and implementation."""

    def __init__(self, platform, implementation):
        self.platform = platform
        self.implementation = implementation

    def __getattr__(self, name):
        return getattr(_real_sys, name)


class _Memory:
    def __getitem__(self, at):
        return 0

    def __setitem__(self, at, value):
        if at == _WATCHDOG_CLEAR and value & _ENABLE:
            _alarm(0)


class WDT:
    """Kills the process, as a watchdog resets a chip; whole seconds."""

    def __init__(self, id=0, timeout=5000):
        self._s = (timeout + 999) // 1000
        self.feed()

    def feed(self):
        _alarm(self._s)


class Timer:
    """One shot, in whole seconds, and all it can do is to reset."""

    ONE_SHOT = 0

    def __init__(self, id):
        pass

    def init(self, mode, period, callback):
        _alarm((period + 999) // 1000)


class Machine:
    """The module `machine`, as far as a host tool asks for it."""

    WDT = WDT
    Timer = Timer
    PWRON_RESET, WDT_RESET = 1, 3
    mem32 = _Memory()

    def __init__(self):  # functions, which `from machine import` takes; not methods
        self.reset = lambda: leave(COLD)
        self.soft_reset = _soft_reset
        self.unique_id = lambda: b"\xe6\x61\x64\x08\x43\x41\x12\x34"
        self.reset_cause = lambda: self.WDT_RESET if settings["cause"] == "watchdog" else self.PWRON_RESET


def _soft_reset():
    raise SystemExit


def become(given):
    """Mount the image at the root and replace sys and machine."""
    settings.update(given)
    implementation = {"name": "micropython", "version": (1, 25, 0, ""), "_machine": given["machine"],
                      "_mpy": sys.implementation._mpy}
    implementation.update(given.get("implementation", {}))
    implementation = {key: tuple(v) if isinstance(v, list) else v for key, v in implementation.items()}
    fields = namedtuple("implementation", list(implementation))(*implementation.values())
    flash = Flash(given["image"], given.get("cut_after", 0))
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")
    os.chdir("/")
    sys.modules["sys"] = _Sys(given["platform"], fields)
    sys.modules["machine"] = Machine()
    if given["network"]:
        sys.modules["network"] = object()
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.argv[:] = []
    for name in ("board_repl", "fake_machine"):
        sys.modules.pop(name, None)
    if given.get("watchdog_s"):
        _alarm(given["watchdog_s"])
