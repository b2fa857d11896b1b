"""The ESP32 board keeps the contract; its ADC's blocks are where time says, however late its timer is."""

import math
import os
import time

import fake_esp32
import fake_wlan

fake_esp32.install()
fake_wlan.install(1010)
from board_contract import configuration, loaded, stage_one, stage_two

from boards.esp32.board import Board

world = fake_esp32.world
FOLDER = "/tmp/board-esp32-%d" % (time.ticks_us() & 0xFFFFFF)
SEC = 1_790_000_000 - (1 << 31)

stage_one(Board(), "esp32")
assert world.watchdog == 20000
fed = world.fed
world.run(10000000)
assert world.fed >= fed + 9  # released: a timer feeds it
world.timers.clear()

board = Board()
board.open(configuration(board={"relays": [25, 26]}, outbox={"folder": FOLDER}))
stage_two(board, world.run)
assert "boards.sources" not in loaded() and "boards.esp32.adc" not in loaded()

# Why it started.
for cause, said in ((1, "power"), (3, "watchdog"), (2, "unknown"), (5, "restart"), (4, "unknown")):
    world.cause = cause
    assert Board().reset_cause == said, said
world.memory = b""
board = Board()
assert board.note == 0
board.note = 771
try:
    board.restart()
    raise AssertionError("it went on")
except SystemExit:
    pass
board = Board()
assert (board.reset_cause, board.note) == ("restart", 771)
assert Board().reset_cause == "unknown"  # the next one is not its own
world.memory = b"of somebody else"
assert Board().note == 0
world.cause = 1
try:
    Board().vault.put("large", bytes(1985))
    raise AssertionError("too large")
except ValueError:
    pass

# The ADC.
inputs = [
    {"gpio": 33, "kind": "V", "ratio": 250, "offset_mv": 0},
    {"gpio": 32, "kind": "I", "ratio": 5, "offset_mv": 0},
]
config = configuration(
    source={"kind": "adc", "adc": {"inputs": inputs}, "test_mode": False}, outbox={"folder": FOLDER}
)
board = Board()
board.open(config)
assert config["source"]["test_mode"]  # whatever the configuration says
os.rmdir(FOLDER)


class Clock:
    known, stepped, sec, ns = True, False, 0, 0

    def next_second(self):
        self.stepped = False

    def locate(self, ticks_us):
        us = world.us + fake_esp32.Time.ticks_diff(ticks_us, world.us % fake_esp32.TICKS)
        self.sec, self.ns = SEC + us // 1000000, us % 1000000 * 1000


def sine(gpio, us):
    return round(2000 + 1000 * math.sin(2 * math.pi * (5 * us / 1e6 + (gpio - 32) / 4)))


source = board.source
source._clock = Clock()
world.signal = sine
world.late_us = 700
assert source.fs_hz == 800 and [c["kind"] for c in source.channels] == ["I", "V"]
n = late = 0
while n < 60:
    if n == 30:
        world.run(300000, held=True)  # timers wait: that stretch is lost, but nothing shifts
        n = 31
        late = 60
    due_ms = source.due_ms()
    if due_ms > 0:
        world.run(due_ms * 1000)
        continue
    assert source.fill() == 16
    n += 1
    late -= 1
    at_us = (source.sec - SEC) * 1000000 + source.ns // 1000
    if late < 0:
        for i in (0, 15):
            for c in (0, 1):
                value, true = source.block[2 * i + c] >> 3, sine(32 + c, at_us + 1250 * i)
                assert abs(value - true) < 90, (n, i, c, value, true)
assert source.lost_blocks == 0
board.close()
assert 0 not in world.timers

wrong = [{"inputs": inputs, "fs_hz": 900}, {"inputs": inputs, "fs_hz": 3200}, {"inputs": [{"gpio": 4, "ratio": 1}]}]
for adc in wrong:
    try:
        Board().open(configuration(source={"kind": "adc", "adc": adc}, outbox={"folder": FOLDER}))
        raise AssertionError("accepted: %r" % adc)
    except ValueError as e:
        assert "source.adc" in str(e), str(e)
os.rmdir(FOLDER)
