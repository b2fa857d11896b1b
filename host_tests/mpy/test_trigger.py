"""Triggers: when they begin and end, what STAT says of them (C37.118.2), in both forms, without the heap."""

from array import array

import micropython

from boards.synthetic import Synthetic
from phasor.estimator import Estimator
from phasor.kernel import ABSENT
from phasor.trigger import Trigger

RATE = 10
SCALE = 0.02  # 230 V are 11,500 counts
CHANNELS = [
    {"kind": "V", "scale": SCALE}, {"kind": "I", "scale": 0.003}, {"kind": "V", "scale": SCALE * 2}
]  # fmt: skip
LOW, HIGH, FREQUENCY, ROCOF = 0x801, 0x802, 0x804, 0x805


class Case:
    """Two voltages and a current whose values are set in volts, mHz and mHz/s."""

    def __init__(self, rectangular=False, **limits):
        self.values = array("i", bytes(4 * 12))
        self.rectangular = rectangular
        self.trigger = Trigger(CHANNELS, self.values, RATE, 2, rectangular=rectangular, **limits)

    def __call__(self, volts=230.0, mhz=0, mhz_s=0, other=230.0):
        """(STAT bits, begun) of a frame; the frequency is that of channel 2, the current is not looked at."""
        for place, v, scale in ((0, volts, SCALE), (4, 0.0, 1.0), (8, other, SCALE * 2)):
            m = round(v / scale * 16384)
            self.values[place], self.values[place + 1] = m, 12345
            if self.rectangular:
                self.values[place], self.values[place + 1] = round(m * -0.6), round(m * 0.8)
            self.values[place + 2] = self.values[place + 3] = ABSENT
        self.values[10] = mhz if mhz == ABSENT else round(mhz * 1000)
        self.values[11] = mhz_s
        micropython.heap_lock()
        stat = self.trigger.check()
        begun = self.trigger.begun
        micropython.heap_unlock()
        return stat, begun


for rectangular in (False, True):
    case = Case(rectangular, nominal_v=230, low_percent=90, high_percent=110)
    assert case(207.1) == case(252.9) == (0, 0)
    assert case(206.9) == (LOW, 1)
    for _ in range(RATE - 1):
        assert case() == (LOW, 0)
    assert case() == (0, 0)  # back for a second
    assert case(other=206.9) == (LOW, 1)  # any of the voltages
    for _ in range(100):
        assert case(208.0) == (LOW, 0)  # between 90 and 91 %: not back
    for _ in range(RATE - 1):
        assert case(209.5) == (LOW, 0)
    assert case(206.9) == (LOW, 0)  # once more before it had ended: no new one
    for _ in range(RATE - 1):
        assert case(209.5) == (LOW, 0)
    assert case(209.5) == (0, 0)
    assert case(253.1) == (HIGH, 2)
    assert case(251.0) == (HIGH, 0)
    assert case(230.0, other=10.0) == (LOW, 1)  # another begins, which is graver
    for _ in range(RATE - 1):
        assert case(253.1) == (LOW, 0)
    for _ in range(RATE - 1):
        assert case() == (HIGH, 0)
    assert case() == (0, 0)
    assert case(100.0, other=300.0) == (LOW, 1)
    for i in range(3 * RATE):
        assert case(other=300.0) == (LOW if i < RATE - 1 else HIGH, 0)
    # a voltage that is gone
    case = Case(rectangular, nominal_v=230, low_percent=1)
    assert case(500.0) == (0, 0)
    assert case(0.0) == (LOW, 1)
    if rectangular:
        case = Case(rectangular, nominal_v=230, low_percent=80)
        case()
        case.values[0] = case.values[1] = ABSENT
        assert case.trigger.check() == LOW

    case = Case(rectangular, frequency_mhz=200, rocof_mhz_s=500)
    assert case(0.0, 200.0, 500) == case(0.0, -200.0, -500) == case(mhz=ABSENT, mhz_s=ABSENT) == (0, 0)
    assert case(mhz=-200.001) == (FREQUENCY, 4)
    for _ in range(20):
        assert case(mhz=180.5) == (FREQUENCY, 0)
    for _ in range(RATE - 1):
        assert case(mhz=179.9) == (FREQUENCY, 0)
    assert case(mhz=179.9) == (0, 0)
    assert case(mhz_s=501) == (ROCOF, 5)
    assert case(mhz=300.0, mhz_s=-501) == (FREQUENCY, 4)
    for _ in range(RATE - 1):
        assert case(mhz=ABSENT, mhz_s=ABSENT) == (FREQUENCY, 0)
    assert case(mhz=ABSENT, mhz_s=ABSENT) == (0, 0)
    assert case(mhz=201.0, mhz_s=501) == (FREQUENCY, 4)

    # a limit of 0 is none
    for limits in ({}, {"nominal_v": 230}, {"low_percent": 90, "high_percent": 110}):
        case = Case(rectangular, **limits)
        assert case(0.0, 9999.0, 99999) == case(550.0, -9999.0, -99999) == (0, 0)
    case = Case(rectangular, nominal_v=230, low_percent=90)
    assert case(550.0, 9999.0, 99999) == (0, 0)
    case = Case(rectangular, nominal_v=230, high_percent=110)
    assert case(0.0, 9999.0, 99999) == (0, 0)

# A grid that falls by 1 Hz/s from second 2 to 3, and sags to 70 % at 5 s: estimated as a node does
grid = {"ramps": [(2, 3, -1.0)], "steps": [(5, 0.7, 0.0)]}
for rectangular in (False, True):
    source = Synthetic(grid, 32)
    source.start(-350000001)
    values = array("i", bytes(16 * 6))
    estimator = Estimator(1600, 50, 50, 6, 32, values, 8, rectangular)
    trigger = Trigger(source.channels, values, 50, 0, 230, 500, 800, 80, 0, rectangular)
    begun = []
    for _ in range(7 * 50):
        n = source.fill()
        estimator.push(source.block, n, source.sec, source.ns)
        while estimator.next():
            stat = trigger.check()
            if trigger.begun:
                begun.append((trigger.begun, estimator.sec + 350000001 + estimator.frame / 50))
    # what the sag does to the window looks like a ROCOF for a moment
    assert [b for b, _ in begun] == [5, 4, 5, 1], begun
    for (_, t), expected in zip(begun, (2.0, 2.5, 5.0, 5.0)):
        assert abs(t - expected) <= 0.04, begun
    assert stat == LOW
