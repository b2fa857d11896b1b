"""The ring of reasons: its bounds, and the power that goes at every flash operation."""

import os

import vfs
from flash_device import AFTER, BEFORE, MIDDLE, PROG_SIZES, FlashDevice, cut

from firmware.crashes import Crashes, trace

BLOCKS = 16


def begin(kind, records):
    device = FlashDevice(PROG_SIZES[kind], blocks=BLOCKS).mkfs().mount()
    os.mkdir("/flash/node")
    for n in range(1, records + 1):
        Crashes("/flash/node").record("crash", "text %d" % n)
    return device


def numbers():
    return [entry[0] for entry in Crashes("/flash/node").entries()]


def told(crashes):
    found = []
    crashes.tell(lambda number, kind, text: found.append((number, kind, text)))
    return found


def record_and_tell():
    Crashes("/flash/node").record("crash", "y" * 600)
    told(Crashes("/flash/node"))


device = begin("rp2", 0)
crashes = Crashes("/flash/node")
assert crashes.entries() == [] and told(crashes) == []
crashes.record("restart", "memory: 5 bytes are free")
crashes.record("crash", "a\nb\n")
assert told(crashes) == [(1, "restart", "memory: 5 bytes are free"), (2, "crash", "a\nb\n")]
assert told(crashes) == []
for n in range(3, 9):
    crashes.record("crash", "x" * n)
assert numbers() == [5, 6, 7, 8]
assert told(crashes) == [(n, "crash", "x" * n) for n in range(5, 9)] and told(crashes) == []
crashes.record("crash", "begin " + "\xe4\u20ac" * 400 + " end")
(number, kind, text), = told(crashes)
assert number == 9 and text.endswith("? end") and "begin" not in text and len(text) <= 700
for size in range(690, 710):
    crashes.record("crash", "\xe4" * size)
    assert len(told(crashes)) == 1
try:
    {}["secret place"]
except KeyError as e:
    text = trace(e)
assert "test_crashes.py" in text and text.rstrip().endswith("KeyError: secret place"), text
os.remove("/flash/node/crashes")
os.rmdir("/flash/node")
try:
    crashes.record("crash", "nowhere")
    raise AssertionError("written where no folder is")
except OSError:
    pass
assert crashes.entries() == []
vfs.umount("/flash")

for kind, records in (("rp2", 0), ("rp2", 5), ("esp32", 3)):
    n, through = 0, False
    while not through:
        for mode in (BEFORE, MIDDLE, AFTER):
            device = begin(kind, records)
            before = numbers()
            _, through = cut(device, n, mode, record_and_tell)
            now = numbers()
            assert now in (before, (before + [records + 1])[-4:]), (kind, n, mode, before, now)
            Crashes("/flash/node").record("crash", "z")
            assert told(Crashes("/flash/node"))[-1][2] == "z" and told(Crashes("/flash/node")) == []
            vfs.umount("/flash")
        n += 1
    assert n > 4

# Any bytes in its place are no crash and hinder none.
begin("rp2", 2)
with open("/flash/node/crashes", "rb") as file:
    whole = file.read()
for i in range(0, len(whole), 7):
    spoilt = bytearray(whole)
    spoilt[i] ^= 0x55
    with open("/flash/node/crashes", "wb") as file:
        file.write(spoilt)
    assert set(numbers()) <= {1, 2}
for size in (0, 1, 12, 13, 767, 768, 3000):
    for filling in (b"\0", b"\xff", b"!"):
        with open("/flash/node/crashes", "wb") as file:
            file.write(filling * size)
        assert numbers() == []
        Crashes("/flash/node").record("crash", "z")
        assert numbers() == [1]
