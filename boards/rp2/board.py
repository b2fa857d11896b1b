"""Raspberry Pi Pico W (RP2040), and Pico 2 W (RP2350), which differs in addresses only."""

import sys

import machine
from micropython import const

from boards.micro import Micro
from boards.once import once

if "RP2350" in sys.implementation._machine:
    _WATCHDOG, _ADC, _DREQ_ADC = 0x400D8000, 0x400A0000, 48
    _RESET, _POWER, _RUN = 0x4010002C, 3 << 16, 1 << 18  # POWMAN CHIP_RESET: HAD_POR and HAD_BOR, HAD_RUN_LOW
else:
    _WATCHDOG, _ADC, _DREQ_ADC = 0x40058000, 0x4004C000, 36
    _RESET, _POWER, _RUN = 0x40064008, 1 << 8, 1 << 16  # CHIP_RESET: HAD_POR, HAD_RUN
_REASON = _WATCHDOG + 8  # 1: it ran out, 2: forced, as machine.reset() does, 0: reset of the whole chip
_SCRATCH0 = _WATCHDOG + 12  # 0 to 3 are free, 4 to 7 the boot ROM's; all survive what is no reset of the chip
_CTRL_CLEAR = _WATCHDOG + 0x3000
_ENABLE = const(1 << 30)
_MINE = const(0x474D0000)  # of scratch 0, beside the note
# INTERP0_BASE2 of SIO: nobody uses it, every reset but a soft one zeroes it
_RUNNING = const(0xD0000090)
_YES = const(0x474D)


class Board(Micro):
    """boards/README.md."""

    name = "rp2"
    own_led = "LED"
    longest_watchdog_ms = 8300
    handshake_ms = 1300, 3500  # on an emulated chip

    def __init__(self):
        super().__init__()
        mem32 = machine.mem32
        reason = mem32[_REASON] & 3
        if mem32[_RUNNING] == _YES or reason & 2:
            self.reset_cause = "restart"
        elif reason:
            self.reset_cause = "watchdog"
        else:
            word = mem32[_RESET]
            self.reset_cause = "power" if word & _POWER else "button" if word & _RUN else "unknown"
        mem32[_RUNNING] = _YES

    @property
    def note(self):
        word = machine.mem32[_SCRATCH0]
        return word & 0xFFFF if word & 0xFFFF0000 == _MINE else 0

    @note.setter
    def note(self, value):
        machine.mem32[_SCRATCH0] = _MINE | value

    def watchdog(self, timeout_ms):
        return _Watchdog(timeout_ms)

    def restart(self):
        machine.reset()

    def _sampled(self, config, depth_ms):
        return once("boards.rp2.sampling", "sampled", config, self.clock, depth_ms, _ADC, _DREQ_ADC)


class _Watchdog:
    def __init__(self, timeout_ms):
        self.feed = machine.WDT(timeout=timeout_ms).feed

    def release(self):
        machine.mem32[_CTRL_CLEAR] = _ENABLE
