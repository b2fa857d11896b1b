"""What a node answers: the measured values by closed formulas, each in its own unit; who cannot say is a fault."""

from array import array
from math import cos, pi, sin

from firmware.answers import Answers
from firmware.measured import Measured
from gossip.quantity import ANGLE, COUNT, FREQUENCY, HELD, LAST, MEAN, PERIODS, ROLL, SPAN, VERSIONS, VOLTAGE
from phasor.kernel import ABSENT

CHANNELS = [{"kind": "I", "scale": 0.001}, {"kind": "V", "scale": 0.25}]
SETTINGS = {"rated_v": 230, "rated_w": 10000}
SEC = 1800000000 - (1 << 31)


class Meter:
    frames = 0
    on_second = None


class Clock:
    known = True

    def soc(self):
        return 1800000007


class Gossip:
    def holds(self, number):
        return number == 7

    def needed(self, ahead):
        return (1, 2, 3) if not ahead else None


def measured(rectangular, volts, degrees, mhz):
    """A Meter that measured this second by second, turning by 10 degrees in each."""
    meter, values = Meter(), array("i", [ABSENT] * 8)
    found = Measured(meter, CHANNELS, values, 50, rectangular)
    for k in range(20):
        turn = (degrees + 10 * k) / 360
        size = volts / 0.25 * 16384
        if rectangular:
            values[4], values[5] = round(size * cos(2 * pi * turn)), round(size * sin(2 * pi * turn))
        else:
            values[4], values[5] = round(size), round(((turn + 0.5) % 1 - 0.5) * (1 << 30))
        values[6] = (mhz - 50000) * 1000
        meter.frames += 50
        meter.on_second(SEC + k)
    return found, values


for rectangular in (False, True):
    found, values = measured(rectangular, 231.5, -30, 50120)
    answers = Answers(Gossip(), Clock(), "a:01234567", SETTINGS, found)
    assert abs(answers.value(MEAN, VOLTAGE) - 231500) <= 1
    assert answers.value(MEAN, FREQUENCY) == 50120
    assert answers.value(LAST, FREQUENCY) == (1800000007, 50120)
    for k in range(4, 20):
        second = SEC + k & 0xFF
        expected = 100 * ((-30 + 10 * k + 180) % 360 - 180)
        assert abs(answers.value(SPAN, ANGLE | second << 8) - expected) <= 1, (k, expected)
    for k in (3, 20, 40):  # too long ago, or still to come
        assert answers.value(SPAN, ANGLE | (SEC + k & 0xFF) << 8) is None
    values[6] = ABSENT
    assert answers.value(MEAN, FREQUENCY) is None
    assert answers.value(MEAN, 4) is None and answers.value(MEAN, 0) is None

assert answers.value(COUNT, 0) == 1
assert answers.value(VERSIONS, 0) == b"01234567"
assert answers.value(ROLL, 500) == 500
assert answers.value(HELD, 7) and not answers.value(HELD, 8)
assert answers.value(PERIODS, 0) == (1, 2, 3) and answers.value(PERIODS, 1) is None
assert answers.bounds(PERIODS, 0) == (0, 80000)
assert answers.bounds(MEAN, VOLTAGE) == (0, 460000)
assert not answers.bounds(COUNT, 0)

none = Answers(Gossip(), Clock(), "", SETTINGS)
assert none.value(MEAN, VOLTAGE) is None and none.value(VERSIONS, 0) == b"source"
meter = Meter()
assert Measured(meter, CHANNELS, array("i", [0] * 8), 50, False).value(VOLTAGE, 0) is None  # nothing yet
assert Measured(meter, CHANNELS[:1], array("i", [0] * 4), 50, False).value(VOLTAGE, 0) is None
print("OK")
