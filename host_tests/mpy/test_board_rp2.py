"""The RP2040 board keeps the contract; it tells why it started, keeps its note, and lets go of its watchdog."""

import time

import fake_rp2
import fake_wlan

fake_rp2.install()
fake_wlan.install(3)
from board_contract import configuration, lean, loaded, stage_one, stage_two, without_source

from boards.rp2.board import Board

world = fake_rp2.world
SCRATCH0, CTRL, REASON, CHIP_RESET, RUNNING = 0x4005800C, 0x40058000, 0x40058008, 0x40064008, 0xD0000090

stage_one(Board(), "rp2")
assert world.watchdog == 8300 and not world.words[CTRL] & 1 << 30 and world.fed == 2
assert world.pins["LED"] == 0

FOLDER = "/tmp/board-rp2-%d" % (time.ticks_us() & 0xFFFFFF)
board = Board()
assert board.identity == "e6614104032b1d2e"
board.open(configuration(board={"relays": [14, 15], "led": 13}, outbox={"folder": FOLDER}))
stage_two(board, world.run)
assert (world.pins[14], world.pins[15]) == (1, 0)
board.led(True)
assert world.pins[13] == 1 and world.pins["LED"] == 0
assert board.storage.names() == []
assert "boards.sources" not in loaded() and "boards.rp2.adc" not in loaded()
import os

os.rmdir(FOLDER)

# The chip's own clock is what certificates are judged by.
from boards.micro import _set_rtc

_set_rtc(1_790_000_000)
assert world.rtc[:3] + world.rtc[4:7] == (2026, 9, 21, 14, 13, 20), world.rtc

# With an ADC: only what it needs is loaded, and it stops.
inputs = [{"gpio": 27, "kind": "V", "ratio": 250, "phase": "A"}, {"gpio": 26, "kind": "I", "ratio": -5.5}]
board = Board()
board.open(configuration(source={"kind": "adc", "adc": {"inputs": inputs}}, outbox={"folder": FOLDER}))
os.rmdir(FOLDER)
assert [c["kind"] for c in board.source.channels] == ["I", "V"] and board.source.fs_hz == 1600
assert not {"boards.adc", "boards.rp2.sampling"} & set(loaded())
stage_two(board, world.run, relays=False)
assert not world.channels and world.next_at is None
board.close()  # again, and open() after it
board.open(configuration(source={"kind": "adc", "adc": {"inputs": inputs}}, outbox={"folder": FOLDER}))
os.rmdir(FOLDER)
stage_two(board, world.run, relays=False)
assert not world.channels and world.next_at is None
try:
    Board().open(configuration(source={"kind": "replay", "file": "x"}, outbox={"folder": FOLDER}))
    raise AssertionError("a recording on a board")
except ValueError as e:
    assert "source.kind" in str(e)
os.rmdir(FOLDER)

washer = {"kind": "run", "name": "washer", "relay": 0, "watts": 9, "minutes": 9, "by": 9}
without_source(Board(), outbox={"folder": FOLDER}, appliances=[washer], board={"relays": [14]})
os.rmdir(FOLDER)
try:
    Board().open(lean(outbox={"folder": FOLDER}, appliances=[washer]))
    raise AssertionError("an appliance without a relay")
except ValueError as e:
    assert "board.relays" in str(e)
os.rmdir(FOLDER)


def started(cause, note):
    board = Board()
    assert (board.reset_cause, board.note) == (cause, note), (board.reset_cause, board.note)
    return board


world.reset()
board = started("power", 0)
board.note = 517
started("restart", 517)  # a soft reset: nothing of the chip has changed
world.words[RUNNING], world.words[REASON] = 0, 1
started("watchdog", 517)
started("restart", 517)  # softly after that: the watchdog is not told twice
try:
    board.restart()
    raise AssertionError("it went on")
except SystemExit:
    pass
assert world.resets == 1
started("restart", 517)
world.reset()
world.words[CHIP_RESET] = 1 << 16
started("button", 0)
world.reset()
world.words[CHIP_RESET] = 1 << 20  # a debugger
started("unknown", 0)
world.reset()
world.words[SCRATCH0] = 0x12345678  # of somebody else
started("power", 0)
