"""Energy registers from any values, against exact rational arithmetic; what is kept, and damage to it."""

import math
from array import array
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.registers import Registers
from host_tests.property import examples

ABSENT = -0x3FFFFFFF
CHANNELS = [{"name": k + p, "kind": k, "phase": p, "scale": 1.0} for p in "ABC" for k in "VI"]
PART = st.one_of(st.integers(-(1 << 29), 1 << 29), st.integers(-(1 << 18), 1 << 18))
MAGNITUDE = st.one_of(st.integers(0, 1 << 29), st.integers(0, 1 << 18))
ANGLE = st.one_of(st.integers(-(1 << 29), (1 << 29) - 1), st.just(ABSENT))


def frames(channel):
    return st.lists(st.lists(channel, min_size=6, max_size=6), min_size=1, max_size=20)


RECTANGULAR = frames(st.one_of(st.tuples(PART, PART), st.just((ABSENT, ABSENT))))
POLAR = frames(st.tuples(MAGNITUDE, ANGLE))


def registered(made, rectangular, carry=lambda n: False):
    """(energy in and out of each phase in square counts * rate * 3600, frames missing) after all frames."""
    values = array("i", bytes(16 * 6))
    registers = Registers(CHANNELS, values, 50, rectangular)
    for n, frame in enumerate(made):
        for c, (a, b) in enumerate(frame):
            values[4 * c], values[4 * c + 1] = a, b
        registers.add()
        if carry(n):
            registers.wh()
    registers.wh()
    return [Fraction(r * 50 * 3600, 1 << 96) for r in registers._registers], registers.missing


@examples(100)
@given(RECTANGULAR)
def test_rectangular_power_is_exact_to_its_unit(made):
    got, missing = registered(made, True)
    expected, absent = [Fraction(0)] * 6, [0] * 3
    for frame in made:
        for p in range(3):
            (vr, vi), (ir, ii) = frame[2 * p : 2 * p + 2]
            if ABSENT in (vi, ii):
                absent[p] += 1
                continue
            power = Fraction(vr * ir + vi * ii, 1 << 28)
            expected[2 * p + (power < 0)] += abs(power)
    assert missing == absent
    for p in range(3):
        for k in (2 * p, 2 * p + 1):  # two units of 2^-13 each frame, which may also tip the sign
            near = len(made) * Fraction(2, 1 << 13) + expected[k] / 10**12
            assert abs(got[k] - expected[k]) <= near


@examples(100)
@given(POLAR)
def test_polar_power(made):
    got, missing = registered(made, False)
    expected, absent, most = [0.0] * 6, [0] * 3, [0.0] * 3
    for frame in made:
        for p in range(3):
            (v, va), (i, ia) = frame[2 * p : 2 * p + 2]
            if ABSENT in (va, ia):
                absent[p] += 1
                continue
            power = v * i / (1 << 28) * math.cos((va - ia) * math.pi / (1 << 29))
            expected[2 * p + (power < 0)] += abs(power)
            most[p] += v * i / (1 << 28) * 2e-7 + v / (1 << 28) + 2 / (1 << 13)  # CORDIC, its rounding, the unit
    assert missing == absent
    for k in range(6):
        assert abs(float(got[k]) - expected[k]) <= most[k // 2]


@pytest.mark.parametrize("volts, amperes", [(3 << 14, 5 << 14), ((1 << 14) + (1 << 8), 1 << 7), (1 << 29, 1 << 29)])
def test_both_ways_are_counted_alike(volts, amperes):
    power = Fraction(volts * amperes, 1 << 28)  # a whole number of 2^-13
    for sign, at in ((1, 0), (-1, 1)):
        got, _ = registered([[(volts, 0), (sign * amperes, 0)] * 3] * 1000, True)
        assert abs(got[at] / 1000 - power) < power / 10**12 and got[1 - at] == 0


@examples(50)
@given(POLAR, st.integers(1, 5))
def test_reading_the_registers_costs_nothing(made, every):
    assert registered(made, False) == registered(made, False, lambda n: n % every == 0)


def running():
    values = array("i", [10000 << 14, 0, 0, 0] * 6)
    registers = Registers(CHANNELS, values, 50)
    for _ in range(1234):
        registers.add()
    return registers


def test_a_state_goes_on_where_it_was():
    before = running()
    assert before.wh() == ([685_555] * 3, [0] * 3)  # 10^8 W for 1,234 fiftieths of a second
    state = before.state()
    for _ in range(50):  # restored over and over: 2^-32 Wh at most each time
        after = Registers(CHANNELS, array("i", bytes(96)), 50)
        after.restore(state)
        assert after.wh() == before.wh() and after.state() == state
        state = after.state()
    assert after._registers[0] == before._registers[0] >> 64 << 64
    after.add()
    assert after.wh() == before.wh()


def test_phases_that_are_still_there_are_kept():
    state = running().state()
    values = array("i", [10000 << 14, 0, 0, 0] * 6)
    two = Registers([dict(c, phase="C" if c["phase"] == "C" else "") for c in CHANNELS], values, 50)
    assert two.phases == "C"
    two.restore(state)
    assert two.wh()[0][0] == running().wh()[0][2]
    all_three = running()
    all_three.restore(two.state())
    assert all_three.wh() == running().wh()


def test_damage_is_told_and_changes_nothing():
    registers = running()
    state, before = registers.state(), registers.wh()
    for bit in range(8 * len(state)):
        bad = bytearray(state)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError):
            registers.restore(bytes(bad))
    for n in range(len(state)):
        with pytest.raises(ValueError):
            registers.restore(state[:n])
    assert registers.wh() == before


@examples(100)
@given(st.binary(max_size=100))
def test_garbage_is_refused(raw):
    with pytest.raises(ValueError):
        Registers(CHANNELS, array("i"), 50).restore(raw)
