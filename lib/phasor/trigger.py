"""Triggers: whether what is measured leaves the limits that are set for it."""

from phasor.kernel import ABSENT

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_TRIGGER = const(0x0800)  # STAT bit 11
_LOW = const(0)
_HIGH = const(1)
_FREQUENCY = const(2)
_ROCOF = const(3)
_REASONS = b"\x01\x02\x04\x05"  # STAT bits 3-0: magnitude low, high, frequency high or low, df/dt high
_NEVER = const(0x3FFFFFFF)  # more than any value


class Trigger:
    """Looks at the Estimator's `values` after each frame.

    channels: of the source; each voltage among them is compared with `nominal_v` (rms), for below `low_percent`
    or above `high_percent` of it. frequency_from: the channel whose frequency must be within `frequency_mhz` of
    nominal, and its ROCOF within `rocof_mhz_s`. rate: frames per second. A limit of 0 is none. A voltage that is
    absent is low; a frequency that is absent is none.

    A trigger ends when its value has been back for one second: within 90 % of a limit of frequency and ROCOF,
    1 % of nominal inside a limit of voltage.

    begun: the reason (1, 2, 4 or 5) that began with the last frame, else 0.
    """

    def __init__(self, channels, values, rate, frequency_from, nominal_v=0, frequency_mhz=0, rocof_mhz_s=0,
                 low_percent=0, high_percent=0, rectangular=False):  # fmt: skip
        self._values = values
        self._hold = rate
        self._left = [0] * 4  # frames until each of the triggers ends
        self.begun = 0
        self._frequency = 4 * frequency_from + 2
        self._limits = [frequency_mhz * 1000 or _NEVER, rocof_mhz_s or _NEVER]
        self._rectangular = rectangular
        self._voltages = []
        if nominal_v and (low_percent or high_percent):
            high_percent = high_percent or 1e6
            for i, channel in enumerate(channels):
                if channel["kind"] == "V":
                    percent = nominal_v / channel["scale"] / 100  # rms counts
                    self._voltages.append((
                        4 * i,
                        self._level(low_percent and low_percent * percent),
                        self._level(low_percent and (low_percent + 1) * percent),
                        self._level(high_percent * percent),
                        self._level((high_percent - 1) * percent),
                    ))  # fmt: skip

    def _level(self, counts):
        """Rms counts as they are compared: squared, or as in `values`."""
        return min(_NEVER, int(counts * counts if self._rectangular else counts * 16384))

    def check(self):
        """STAT bits 11 and 3-0 of the gravest trigger that is on, or 0. Allocates nothing.

        A magnitude goes before frequency before ROCOF: a sag or a step of phase shows in the latter as well.
        """
        values, left = self._values, self._left
        self.begun = 0
        at = self._frequency
        for k in (1, 0):
            value = values[at + k]
            value = 0 if value == ABSENT else abs(value)
            limit = self._limits[k]
            self._judge(_FREQUENCY + k, 2 if value > limit else value > limit - limit // 10)
        low = high = 0  # 1: not back, 2: beyond the limit
        for at, least, low_back, most, high_back in self._voltages:
            value = values[at]
            if self._rectangular:
                other = values[at + 1] >> 14
                value = 0 if value == ABSENT else (value >> 14) * (value >> 14) + other * other
            if value < least:
                low = 2
            elif value < low_back:
                low = low or 1
            if value > most:
                high = 2
            elif value > high_back:
                high = high or 1
        self._judge(_HIGH, high)
        self._judge(_LOW, low)
        for k in range(4):
            if left[k]:
                return _TRIGGER | _REASONS[k]
        return 0

    def _judge(self, k, state):
        left = self._left
        if state == 2:
            if not left[k]:
                self.begun = _REASONS[k]
            left[k] = self._hold
        elif left[k]:
            left[k] = self._hold if state else left[k] - 1
