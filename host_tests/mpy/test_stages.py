"""How a node starts by what went wrong before: `ROOT` is a folder of its own on a flash in RAM."""

import os
from struct import pack

import vfs
from flash_device import PROG_SIZES, FlashDevice

from firmware import boot as boot_module
from firmware.boot import boot
from firmware.crashes import Crashes

NODE, APP = "/flash/node", "/flash/app"


class Restarted(Exception):
    pass


class Board:
    """A board that remembers its note, as through resets."""

    node_folder = NODE
    vault = None

    def __init__(self, cause, note):
        self.reset_cause = cause
        self.note = note

    def restart(self):
        raise Restarted


tries = []
boot_module._start = lambda found, board, stage, feed: tries.append(stage)


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def begin(good=None, slots="ab"):
    FlashDevice(PROG_SIZES["rp2"], blocks=24).mkfs().mount()
    os.mkdir(NODE)
    os.mkdir(APP)
    put(NODE + "/config.json", b'{"given": 1}')
    if good:
        put(NODE + "/config.good", good)
    for slot in slots:
        put(APP + "/" + slot, pack("<4s5I", b"GM1\n", 24, 1, 0, 0, 0x89ABCDEF))


def switched(note):
    """A board that goes from slot a to the other one by that note."""
    board = Board("restart", note)
    try:
        boot(board, lambda: None, APP, "a", "a")
    except Restarted:
        return board
    raise AssertionError("not switched")


def live(crashes, causes, slot="a", wanted=None):
    """What each of that many crashes in a row leads to: a list of stages, and at last the note."""
    note, stages = 0, []
    for cause in causes:
        if slot:
            try:
                with open(APP + "/slot") as file:
                    slot = wanted = file.read()
            except OSError:
                pass
        board = Board(cause, note)
        del tries[:]
        try:
            found = boot(board, lambda: None, APP, slot, slot if wanted is None else wanted)
            stage = found.facts["stage"]
            assert tries == ([] if stage == "safe" else [stage])
            assert bool(found.why) == (stage == "safe" or slot != (slot if wanted is None else wanted)), found.why
            note = board.note + (crashes if cause == "restart" else 0)  # it crashes, and begins anew
        except Restarted:
            stage = "switch"
            note = board.note
        stages.append(stage)
    vfs.umount("/flash")
    return stages


CRASHES = ["restart"] * 12
NORMAL = ["normal"] * 3

begin(b'{"good": 1}')
assert live(1, CRASHES) == NORMAL + ["good"] * 2 + ["switch"] + ["slot"] * 2 + ["safe"] * 4
begin()  # no other configuration to fall back on
assert live(1, CRASHES) == NORMAL + ["switch"] + ["slot"] * 2 + ["safe"] * 6
begin(b'{"given": 1}')  # nor is this another
assert live(1, CRASHES) == NORMAL + ["switch"] + ["slot"] * 2 + ["safe"] * 6
begin(b'{"good": 1}', slots="a")
assert live(1, CRASHES) == NORMAL + ["good"] * 5 + ["safe"] * 4
begin(slots="")  # where there is nothing else, what there is gets as many tries
assert live(1, CRASHES, slot="") == ["normal"] * 8 + ["safe"] * 4
begin()  # the other one was wanted, but does not start
assert live(1, CRASHES, slot="b", wanted="a") == ["normal"] * 8 + ["safe"] * 4

# Watchdog resets count as crashes do, and so does what a board has no name for, if a node was under way (an ESP32's
# panic); power cuts, the button and deliberate restarts never.
begin(b'{"good": 1}')
assert live(0, ["watchdog"] * 4) == ["normal"] * 2 + ["good"] * 2
begin(b'{"good": 1}')
assert live(0, ["power"] + ["unknown"] * 4) == NORMAL + ["good"] * 2
for cause in ("power", "button", "restart"):
    begin(b'{"good": 1}')
    assert live(0, [cause] * 20) == ["normal"] * 20
begin(b'{"good": 1}')
assert live(1, ["restart"] * 4 + ["power"] + ["restart"] * 4) == NORMAL + ["good"] + ["normal"] * 4 + ["good"]

# A crash whose end hangs is one; which application it was switched to is known whatever the count is.
begin(b'{"good": 1}')
board = Board("watchdog", 0x1000 | 5 << 8 | 4)
found = boot(board, lambda: None, APP, "a", "a")
assert found.facts["crashes"] == 4 and found.facts["stage"] == "good" and board.note == 2 << 8 | 4
for cause in ("restart", "unknown"):
    board = Board(cause, 4)
    assert boot(board, lambda: None, APP, "a", "a").facts["crashes"] == 4
board = switched(6)
board.reset_cause = "restart"
assert boot(board, lambda: None, APP, "b", "b").facts["stage"] == "slot" and board.note == 0x2000 | 2 << 8 | 6
vfs.umount("/flash")

# Where it hung; which application it is; who was switched to is told.
begin()
board = Board("watchdog", 5 << 8 | 1)
found = boot(board, lambda: None, APP, "b", "b")
assert found.facts["during"] == "running" and found.facts["crashes"] == 2 and board.note == 2 << 8 | 2
assert found.facts["app"].startswith("b:") and len(found.facts["app"]) == 10
switched(3)
assert [entry[1:] for entry in Crashes(NODE).entries()] == [("slot", "b instead of a: 3 crashes in a row", False)]
with open(APP + "/slot") as file:
    assert file.read() == "b" and "slot~" not in os.listdir(APP)
board = Board("restart", 255)
assert boot(board, lambda: None, APP, "b", "b").facts["stage"] == "safe" and board.note & 0xFF == 255
vfs.umount("/flash")
