"""ESP32 and ESP32-S3."""

import sys

import machine
from micropython import const

import esp32
from boards.micro import Micro
from boards.once import once

# ADC1: the other one is the radio's. An ESP32-S3 has no plain LED.
_S3 = "ESP32S3" in sys.implementation._machine
_PINS, _LED = (tuple(range(1, 11)), None) if _S3 else ((32, 33, 34, 35, 36, 39), 2)
_MINE = b"GM"  # of the RTC memory: this, the note (2 bytes), 1 while restart() is under way
_FEED_MS = const(1000)
_MOST = const(1984)  # bytes of a value in NVS


class Board(Micro):
    """boards/README.md."""

    name = "esp32"
    own_led = _LED
    longest_watchdog_ms = 20000
    handshake_ms = 1000, 1500  # not measured; an erase takes 80

    def __init__(self):
        super().__init__()
        self.vault = _Vault()
        cause, own = machine.reset_cause(), self._memory()[4] == 1
        if cause == machine.SOFT_RESET or own:
            self.reset_cause = "restart"
        else:
            # HARD_RESET is a panic as well as a restart by others: unknown
            causes = {machine.PWRON_RESET: "power", machine.WDT_RESET: "watchdog"}
            self.reset_cause = causes.get(cause, "unknown")
        self.note = self.note  # nothing is under way any more

    def _memory(self):
        memory = machine.RTC().memory()
        return memory if len(memory) == 5 and memory[:2] == _MINE else _MINE + b"\0\0\0"

    @property
    def note(self):
        memory = self._memory()
        return memory[2] << 8 | memory[3]

    @note.setter
    def note(self, value):
        machine.RTC().memory(_MINE + bytes((value >> 8, value & 255, 0)))

    def watchdog(self, timeout_ms):
        return _Watchdog(timeout_ms)

    def restart(self):
        machine.RTC().memory(self._memory()[:4] + b"\1")
        machine.reset()

    def _sampled(self, config, depth_ms):
        self.write("source: this board's own ADC is for demonstration; its frames are marked as test data")
        config["source"]["test_mode"] = True
        return once("boards.esp32.sampling", "sampled", config, self.clock, depth_ms, _PINS)


class _Watchdog:
    """It cannot be stopped: released, a timer feeds it."""

    def __init__(self, timeout_ms):
        self._wdt = machine.WDT(timeout=timeout_ms)
        self.feed = self._wdt.feed
        self._timer = None

    def release(self):
        if not self._timer:
            self._timer = machine.Timer(1)
            self._timer.init(mode=machine.Timer.PERIODIC, period=_FEED_MS, callback=self._feed)

    def _feed(self, timer):
        self.feed()


class _Vault:
    """NVS has a partition of its own, which outlives the file system."""

    most = _MOST

    def get(self, name):
        buf = bytearray(_MOST)
        try:
            n = esp32.NVS("gridmote").get_blob(name, buf)
        except OSError:
            return None
        return bytes(buf[:n])

    def put(self, name, data):
        if len(data) > _MOST:
            raise ValueError("%s: %d bytes, at most %d" % (name, len(data), _MOST))
        nvs = esp32.NVS("gridmote")
        nvs.set_blob(name, data)
        nvs.commit()
