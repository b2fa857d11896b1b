"""What a node answers: the measured values by closed formulas, each in its own unit; who cannot say is a fault."""

from array import array
from math import cos, pi, sin

from firmware.answers import Answers
from firmware.measured import Measured
from gossip.quantity import (
    ANGLE,
    COUNT,
    EPOCH,
    FREQUENCY,
    HELD,
    KEY,
    LAST,
    MEAN,
    MIN,
    PERIODS,
    ROLL,
    SPAN,
    VERSIONS,
    VOLTAGE,
)
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


class Book:
    held = [7, 65555]

    def numbers(self):
        return self.held


class Trust:
    keys = [256, 0]

    def epochs(self):
        return self.keys

    def knows(self, origin, seq):
        back = 70100 - seq
        return origin == 3 and back >= 0 and (back > 31 or back in (0, 2, 4))


class Gossip:
    book, trust = Book(), Trust()

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
    assert answers.value(MEAN, 6) is None and answers.value(MEAN, 0) is None

assert answers.value(COUNT, 0) == 1
assert answers.value(VERSIONS, 0) == b"01234567"
assert answers.value(ROLL, 500) == 500
assert answers.value(HELD, 7) and not answers.value(HELD, 8)
# all bits of the number count; a table that came is superseded where four others are held, or lacking
assert answers.value(HELD, 65555) and not answers.value(HELD, 19)
assert not answers.value(HELD, 70100)
Book.held = [7, 65555, 70101, 70102]
for number, said in ((70102, 1), (70100, 1), (70098, 1), (70099, 0), (70103, 0), (70060, 1), (7, 1)):
    assert answers.value(HELD, number) == said, number
assert (answers.value(MIN, EPOCH), answers.value(MIN, KEY)) == (256, 0)
Trust.keys = [3]
assert (answers.value(MIN, EPOCH), answers.value(MIN, KEY)) == (3, 3)
Trust.keys = [3, 4]
assert (answers.value(MIN, EPOCH), answers.value(MIN, KEY)) == (3, 4)
assert answers.value(PERIODS, 0) == (1, 2, 3) and answers.value(PERIODS, 1) is None
assert answers.bounds(PERIODS, 0) == (0, 80000)
assert answers.bounds(MEAN, VOLTAGE) == (0, 460000)
assert not answers.bounds(COUNT, 0) and not answers.bounds(MIN, 6)
assert answers.bounds(MEAN, FREQUENCY) == (45000, 65000)  # mHz: what a grid can have, 50 or 60 Hz nominal
assert answers.bounds(SPAN, ANGLE | 77 << 8) == (-18000, 18000)
assert answers.bounds(MIN, EPOCH) == answers.bounds(MIN, KEY) == (0, 256)
assert answers.bounds(LAST, VOLTAGE) == (0, 460000, 1800000067)  # a minute ahead
answers._clock.known = False
assert answers.bounds(LAST, VOLTAGE) == (0, 460000)

none = Answers(Gossip(), Clock(), "", SETTINGS)
assert none.value(MEAN, VOLTAGE) is None and none.value(VERSIONS, 0) == b"source"
assert none.value(MIN, EPOCH) == 3  # who measures nothing can say that
meter = Meter()
assert Measured(meter, CHANNELS, array("i", [0] * 8), 50, False).value(VOLTAGE, 0) is None  # nothing yet
assert Measured(meter, CHANNELS[:1], array("i", [0] * 4), 50, False).value(VOLTAGE, 0) is None
print("OK")
