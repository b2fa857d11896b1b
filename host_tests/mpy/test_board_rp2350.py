"""A Pico 2 W: the same board at other addresses."""

import sys

import fake_rp2

fake_rp2.install()


class Sys:
    modules = sys.modules

    class implementation:
        _machine = "Raspberry Pi Pico 2 W with RP2350"


sys.modules["sys"] = Sys
from boards.rp2 import board as module

CTRL, REASON, SCRATCH0, CHIP_RESET, RUNNING = 0x400D8000, 0x400D8008, 0x400D800C, 0x4010002C, 0xD0000090
words = fake_rp2.world.words
words.clear()
words.update({CTRL: 0, REASON: 0, SCRATCH0: 0, CHIP_RESET: 1 << 17, RUNNING: 0})
board = module.Board()
assert (board.reset_cause, board.note) == ("power", 0)
board.note = 3
assert words[SCRATCH0] & 0xFFFF == 3
words[RUNNING], words[REASON] = 0, 1
assert module.Board().reset_cause == "watchdog"
words[RUNNING], words[REASON], words[CHIP_RESET] = 0, 0, 1 << 18
assert module.Board().reset_cause == "button"
words[CTRL] = 1 << 30
module._Watchdog(1000).release()
assert words[CTRL] == 0
assert (module._ADC, module._DREQ_ADC) == (0x400A0000, 48)
