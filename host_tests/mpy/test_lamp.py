"""The LED's codes: the most urgent first; few wake-ups; no memory."""

import asyncio

import micropython

from firmware import lamp
from firmware.lamp import (
    FALLBACK,
    FLASH,
    NO_ADDRESS,
    NO_BROKER,
    NO_TIME,
    NO_WIFI,
    OK,
    PASSWORD,
    SAFE,
    Lamp,
    code,
)

for expected, state in (
    (OK, (None, False, "ok", True, False)),
    (OK, ("up", False, "none", True, False)),
    (FALLBACK, ("up", False, "ok", True, True)),
    (NO_TIME, ("up", False, "ok", False, True)),
    (FLASH, ("up", False, "[Errno 28]", False, True)),
    (NO_BROKER, ("up", True, "[Errno 28]", False, True)),
    (NO_BROKER, (None, True, "ok", True, False)),
    (PASSWORD, ("password", True, "ok", True, False)),
    (NO_WIFI, ("absent", True, "ok", True, False)),
    (NO_WIFI, ("joining", True, "ok", True, False)),
    (NO_WIFI, ("off", True, "ok", True, False)),
    (NO_ADDRESS, ("address", True, "ok", True, False)),
):
    assert code(*state) == expected, (expected, state, code(*state))


class Clock:
    """In place of asyncio: `sleep_ms` notes how long."""

    def __init__(self):
        self.end = OSError()
        self.over = StopIteration()  # made before the heap is locked, as asyncio does
        self.slept = bytearray(4000)
        self.n = 0
        self.most = 4000

    def sleep_ms(self, ms):
        if self.n == self.most:
            raise self.end
        self.slept[self.n] = ms // 100
        self.n += 1
        return self

    def __iter__(self):
        return self

    def __next__(self):
        self.over.__traceback__ = None
        raise self.over


lit = bytearray(4001)
clock = Clock()
lamp.asyncio = clock


def led(on):
    lit[clock.n] = on


def show(number, most):
    """What the lamp does in `most` steps, as text: a letter a tenth of a second."""
    clock.n, clock.most = 0, most
    lamp_ = Lamp(led)
    lamp_.code = number
    task = lamp_.run()
    micropython.heap_lock()
    try:
        task.send(None)
    except OSError:
        pass
    micropython.heap_unlock()
    assert clock.n == most
    return "".join(["#_"[not lit[i]] * clock.slept[i] for i in range(most)])


seen = set()
for number in range(SAFE + 1):
    long = show(number, 400)
    assert long[0] == "#" and "_" in long
    assert len(long) >= 400, "at most ten wake-ups a second"
    pattern = long[:60]
    assert pattern not in seen, "no two codes look alike"
    seen.add(pattern)
assert asyncio
