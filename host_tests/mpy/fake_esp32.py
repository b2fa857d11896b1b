"""An ESP32's `machine`, `esp32` and `time`, which check how they are called. Import before the board.

Timers come late by up to `world.late_us`, and not at all while the program is held.
"""

import sys
import time as real_time

TICKS = real_time.ticks_add(0, -1) + 1


class World:
    def __init__(self):
        self.us = 1000
        self.late_us = 0
        self.signal = lambda gpio, us: 2048
        self.timers, self.pins = {}, {}
        self.watchdog, self.fed = None, 0
        self.memory, self.nvs, self.written = b"", {}, {}
        self.cause, self.resets, self.rtc = 1, 0, None

    def run(self, us, held=False):
        end = self.us + us
        while not held:
            due = [timer for timer in self.timers.values() if timer.next_us <= end]
            if not due:
                break
            timer = sorted(due, key=lambda timer: timer.next_us)[0]
            self.us = max(self.us, timer.next_us + (timer.next_us * 7919 % (self.late_us + 1)))
            timer.next_us += timer.period_us
            timer.callback(timer)
        self.us = max(self.us, end)


world = World()


class Pin:
    OUT, IN = 3, 1

    def __init__(self, pin, mode=-1, pull=-1, *, value=None):
        assert isinstance(pin, int) and 0 <= pin <= 39, pin
        self.pin = pin
        if value is not None:
            assert mode == Pin.OUT
        if value is not None or pin not in world.pins:
            world.pins[pin] = value

    def value(self, to=None):
        if to is None:
            return world.pins[self.pin]
        assert to in (0, 1)
        world.pins[self.pin] = to


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin):
        assert isinstance(pin, Pin) and 32 <= pin.pin <= 39
        self.pin = pin.pin
        self.attenuated = False

    def atten(self, to):
        assert to == 3
        self.attenuated = True

    def read_u16(self):
        assert self.attenuated
        return world.signal(self.pin, world.us) << 4


class Timer:
    PERIODIC, ONE_SHOT = 1, 0

    def __init__(self, number):
        assert number in (0, 1, 2, 3) and number not in world.timers
        self.number = number

    def init(self, *, mode=1, freq=None, period=None, callback=None):
        assert mode == Timer.PERIODIC and (freq is None) != (period is None)
        self.period_us = 1000000 // freq if freq else period * 1000
        self.callback = callback
        self.next_us = world.us + self.period_us
        world.timers[self.number] = self

    def deinit(self):
        world.timers.pop(self.number, None)


class WDT:
    def __init__(self, *, id=0, timeout=5000):
        assert timeout >= 1000
        world.watchdog = timeout

    def feed(self):
        world.fed += 1


class RTC:
    def memory(self, data=None):
        if data is None:
            return world.memory
        assert len(data) <= 2048
        world.memory = bytes(data)

    def datetime(self, to):
        assert len(to) == 8
        world.rtc = to


class NVS:
    def __init__(self, namespace):
        assert 0 < len(namespace) <= 15

    def get_blob(self, key, buf):
        if key not in world.nvs:
            raise OSError(-4354, "ESP_ERR_NVS_NOT_FOUND")
        data = world.nvs[key]
        buf[: len(data)] = data
        return len(data)

    def set_blob(self, key, data):
        assert 0 < len(key) <= 15 and len(data) <= 1984
        world.written[key] = bytes(data)

    def commit(self):
        world.nvs.update(world.written)


class Machine:
    Pin, ADC, Timer, WDT, RTC = Pin, ADC, Timer, WDT, RTC
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5

    @staticmethod
    def unique_id():
        return b"\x24\x6f\x28\x01\x02\x03"

    @staticmethod
    def reset_cause():
        return world.cause

    @staticmethod
    def reset():
        world.cause = 2
        world.resets += 1
        raise SystemExit("reset")


class Esp32:
    NVS = NVS


class Time:
    ticks_diff, ticks_add = staticmethod(real_time.ticks_diff), staticmethod(real_time.ticks_add)
    gmtime = staticmethod(real_time.gmtime)

    @staticmethod
    def ticks_us():
        world.us += 3
        return world.us % TICKS

    @staticmethod
    def ticks_ms():
        return world.us // 1000 % TICKS


def install():
    sys.modules["machine"], sys.modules["esp32"], sys.modules["time"] = Machine, Esp32, Time
