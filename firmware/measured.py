"""What a meter that measures can say when its segment asks."""

import math
from array import array

from micropython import const

_ANGLE = const(2)  # gossip.quantity
_FREQUENCY = const(3)
_ABSENT = const(-0x3FFFFFFF)  # phasor.kernel
_SECONDS = const(16)  # whose angles are kept


class Measured:
    """What a Meter measured: its first voltage. channels: of its source. values: what the Estimator writes.

    `value(quantity, second)`: gossip.quantity, None where it is not known. An angle turns while the grid is off
    nominal, so that angles are compared as they were at the same second: the lowest byte of its SOC.
    """

    def __init__(self, meter, channels, values, f0_hz, rectangular):
        found = [i for i in range(len(channels)) if channels[i]["kind"] == "V"]
        self._meter, self._values, self._f0_hz, self._rectangular = meter, values, f0_hz, rectangular
        self._at = 4 * found[0] if found else -1
        self._mv = channels[found[0]]["scale"] * 1000 / 16384 if found else 0
        self._kept = array("i", bytes(12 * _SECONDS))  # SOC - 2^31 and the phasor of each
        if found:
            meter.on_second = self._keep

    def _keep(self, sec):
        kept, values, at, i = self._kept, self._values, self._at, 3 * (sec & _SECONDS - 1)
        kept[i] = sec
        kept[i + 1] = values[at]
        kept[i + 2] = values[at + 1] if values[at + 2] != _ABSENT else _ABSENT

    def value(self, quantity, second):
        at, values = self._at, self._values
        if at < 0 or not self._meter.frames:
            return None
        if quantity == _ANGLE:
            i = 3 * (second & _SECONDS - 1)
            sec, a, b = self._kept[i], self._kept[i + 1], self._kept[i + 2]
            if not sec or sec & 0xFF != second or b == _ABSENT:
                return None
            turn = math.atan2(b, a) / (2 * math.pi) if self._rectangular else b / (1 << 30)
            return round(turn * 36000)
        if quantity == _FREQUENCY:
            deviation = values[at + 2]
            return self._f0_hz * 1000 + round(deviation / 1000) if deviation != _ABSENT else None
        a, b = values[at], values[at + 1]
        return round((math.sqrt(a * a + b * b) if self._rectangular else a) * self._mv)
