"""Energy registers on MicroPython: a closed case, 100,000 frames against floats, nothing on the heap."""

import math
from array import array

import micropython

from boards.synthetic import Synthetic
from energy.registers import Registers
from phasor.estimator import Estimator
from phasor.kernel import ABSENT, to_rectangular

ONE = 1 << 14
VOLTS, AMPERES = 0.02, 0.003  # a count
CHANNELS = [
    {"name": k + p, "kind": k, "phase": p, "scale": VOLTS if k == "V" else AMPERES} for k in "VI" for p in "ABC"
]


def synthetic(rectangular):
    """A grid of 230 V and 10 A, 30 degrees behind; phase C gives out what it does not take in."""
    channels = [
        {"name": k + p, "kind": k, "phase": p, "magnitude": 230 if k == "V" else 10, "angle_deg": a}
        for k, p, a in (("I", "A", -30), ("V", "A", 0), ("V", "N", 3), ("V", "B", -120), ("V", "B", 17),
                        ("I", "B", -180), ("V", "C", 120), ("I", "C", -30))
    ]  # fmt: skip
    source = Synthetic({"channels": channels, "frequency_offset_hz": 0.05}, 32)
    source.start(-350000001)
    values = array("i", bytes(16 * len(channels)))
    estimator = Estimator(1600, 50, 50, len(channels), 32, values, 8, rectangular)
    registers = Registers(source.channels, values, 50, rectangular)
    frames = 0
    while frames < 3700:
        n = source.fill()
        estimator.push(source.block, n, source.sec, source.ns)
        while estimator.next():
            registers.add()
            frames += 1
    return registers, frames / 50


for rectangular in (False, True):
    registers, seconds = synthetic(rectangular)
    assert registers.phases == "ABC"
    # 230 V * 10 A * cos 30, 60 and 150 degrees
    expected = [2300 * math.cos(math.radians(a)) * seconds / 3600 for a in (30, 60, 150)]
    wh_in, wh_out = registers.wh()
    assert wh_in == [int(expected[0]), int(expected[1]), 0], wh_in
    assert wh_out == [0, 0, int(-expected[2])], wh_out
    fine = [r / 2**96 for r in registers._registers]
    for got, wh in zip((fine[0], fine[2], -fine[5]), expected):
        assert abs(got - wh) < 1e-4 * abs(wh), (got, wh)
    assert registers.missing == [0, 0, 0]


def against_floats(volts, amperes, cosine_most, rectangular, frames=100000):
    """Voltages and currents (counts) that vary from frame to frame: the registers' error in parts of the energy."""
    values = array("i", bytes(4 * 24))
    registers = Registers(CHANNELS, values, 50, rectangular)
    expected = [0.0] * 6
    state = 12345
    for _ in range(frames):
        for p in range(3):
            state = (state * 69069 + 1) & 0x3FFFFFFF
            v, i = 4 * p, 4 * (p + 3)
            values[v] = volts * ONE + (state & 0xFFFFF if volts > 100 else state & 0xFFF)
            values[i] = amperes * ONE + (state >> 16 if amperes > 100 else state >> 20)
            values[v + 1] = (state & 0x3FFFFFFF) - 0x20000000
            lag = (0, 0x10000000, 0x20000000)[p] + cosine_most + (state >> 8)  # in, about none, out
            values[i + 1] = ((values[v + 1] - lag + 0x20000000) & 0x3FFFFFFF) - 0x20000000
            watts = VOLTS * AMPERES * values[v] / ONE * values[i] / ONE
            watts *= math.cos((values[v + 1] - values[i + 1]) * (math.pi / (1 << 29)))
            expected[2 * p + (watts < 0)] += abs(watts) / 50 / 3600
        if rectangular:
            to_rectangular(values, 6)
        registers.add()
    registers.wh()
    worst = 0
    for p in range(3):
        total = expected[2 * p] + expected[2 * p + 1]
        for k in (2 * p, 2 * p + 1):
            worst = max(worst, abs(registers._registers[k] / 2**96 - expected[k]) / total)
    return worst


assert against_floats(11500, 4000, 0x05555555, False) < 1e-6
assert against_floats(11500, 8, 0x05555555, False) < 2e-5  # the least load that has an angle
assert against_floats(9, 8, 0x0FF00000, False, 20000) < 1e-4
assert against_floats(29000, 29000, 0, False, 20000) < 1e-6
assert against_floats(11500, 4000, 0x05555555, True, 20000) < 1e-6
assert against_floats(11500, 8, 0x05555555, True, 20000) < 1e-4

for rectangular in (False, True):
    values = array("i", [20000 * ONE, 0x12345678, 0, 0] * 6)
    values[4 * 4 + 1] = ABSENT  # current of phase B
    values[4 * 2] = values[4 * 2 + 1] = ABSENT  # voltage of phase C
    registers = Registers(CHANNELS, values, 50, rectangular)
    registers.add()
    micropython.heap_lock()
    for _ in range(1000):
        registers.add()
    micropython.heap_unlock()
    wh_in, wh_out = registers.wh()
    assert wh_in[1:] == [0, 0] and wh_out == [0, 0, 0] and registers.missing == [0, 1001, 1001]
    wh = 1001 * VOLTS * AMPERES * 20000 * (20000 if not rectangular else 20000 + (0x12345678 / ONE) ** 2 / 20000)
    assert wh_in[0] == int(wh / 50 / 3600), (wh_in, wh / 50 / 3600)
    # a century of 100 kW and more: sums that were never read, registers that were kept over and over
    registers._sums[2] = registers._sums[1] = 0x3FFFFFFF
    before = registers._registers[0]
    registers.add()
    registers.wh()
    assert registers._registers[0] - before > (1 << 75) * registers._factors[0]
    again = Registers(CHANNELS, values, 50, rectangular)
    again.restore(registers.state())
    assert again.wh() == registers.wh()

# 100 kW, a frame a year long: a rate of 1 stands for a second
values = array("i", [10000 * ONE, 5, 0, 0, 10000 * ONE, 5, 0, 0])
year = Registers(
    [{"kind": "V", "phase": "A", "scale": 1.0}, {"kind": "I", "phase": "A", "scale": 1e-3 * 31557600}], values, 1
)
for _ in range(100):
    year.add()
    kept = year.state()
    year.restore(kept)
(wh,), (out,) = year.wh()
assert abs(wh / (100000 * 24 * 365.25 * 100) - 1) < 1e-7 and out == 0, wh

for channels in ([], CHANNELS[:3], CHANNELS[3:], [CHANNELS[0], CHANNELS[4]]):
    none = Registers(channels, array("i", bytes(4 * 24)), 50)
    none.add()
    assert none.phases == "" and none.wh() == ([], []) and none.missing == []
    none.restore(kept)
    assert none.wh() == ([], []) and len(none.state()) == 5
