"""The unix port's clock: UTC with the quality that the kernel states, or none until the network is there."""

import struct
import time

from micropython import const

from timebase.quality import quality

_NO_TIME_SOC = const(1609459200)  # 2021-01-01: where a board without battery clock begins to count
_DRIFT_PPM = const(50)  # of the monotonic clock: a crystal over the temperatures of a cabinet
_UNKNOWN_US = const(20000000)  # what an error that nobody bounds counts as: beyond every quality


class Clock:
    """UTC of the system clock, and how far it may be off as the kernel states it.

    `known`: whether there is a time of day at all. With kind "network" there is none, and stamps count from
    2021-01-01 at the start, until `reached()` is told that the network is there.
    `tq`: time quality byte, `stat`: STAT bits of time. `stepped`: the stamps have been left behind and begin anew.
    `gained_ms`: see boards/wallclock.py; these stamps go on by bare ticks.
    """

    gained_ms = 0

    def __init__(self, kind="system"):
        self.known = kind == "system"
        self._adjtimex = _adjtimex()
        self._utc_s = _NO_TIME_SOC  # of the stamps
        self._utc_ms = time.ticks_ms()
        self.next_second()
        self.update()

    def update(self):
        """Ask the kernel anew. MSG_TQ n: within 10^(n - 10) s; F: not synchronised.

        Stamps go on by the monotonic clock: how far the system clock has moved away from it is added, and a
        millisecond, to which the start is known.
        """
        self._go_on()
        error_us = None
        if self.known:
            astray_s = abs(time.time() - self._utc_s)
            self.stepped = astray_s > 0.5
            error_us = self._max_error_us()
            if error_us is not None:
                error_us += 1000 + int(astray_s * 1000000)
        self.tq, self.stat = quality(error_us)

    def reached(self):
        """The network is there, and with it the time. What the stamps so far were short of it, once:
        (seconds, microseconds, SOC of the stamps now, error now in us, drift in ppm); None if time was known.
        """
        if self.known:
            return None
        self._go_on()
        short_s = time.time() - self._utc_s
        error_us = self._max_error_us()
        offset = (
            int(short_s // 1),
            int(short_s % 1 * 1000000),
            int(self._utc_s),
            _UNKNOWN_US if error_us is None else error_us + 1000,
            _DRIFT_PPM,
        )
        self.known = True
        self.update()
        return offset

    def _go_on(self):
        """Bring the time of the stamps up to now."""
        now_ms = time.ticks_ms()
        self._utc_s += time.ticks_diff(now_ms, self._utc_ms) / 1000
        self._utc_ms = now_ms

    def _max_error_us(self):
        """The kernel's bound on the clock's error, or None if it is not synchronised or not known."""
        timex = bytearray(256)
        if self._adjtimex is None or self._adjtimex(timex) in (-1, 5):  # 5: TIME_ERROR
            return None
        return struct.unpack_from("l", timex, 3 * struct.calcsize("l"))[0]

    def soc(self):
        """The second that runs now; only while `known`."""
        return int(time.time())

    def next_second(self):
        """(SOC - 2^31 of the second that begins next, ms until it has begun)."""
        self._go_on()
        if self.known:
            self._utc_s = time.time()
        now = self._utc_s
        self.stepped = False
        return int(now) + 1 - (1 << 31), int((int(now) + 1 - now) * 1000) + 1


def _adjtimex():
    """adjtimex(2) as a function, or None where it is not to be had."""
    try:
        import ffi

        return ffi.open("libc.so.6").func("i", "adjtimex", "p")
    except (ImportError, OSError):
        return None
