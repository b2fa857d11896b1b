"""DataWriter in all 16 FORMATs against plain floating-point arithmetic on the values, unpacked with struct."""

import math
import random
import struct

from c37118.config import PmuConfig
from c37118.writer import ABSENT, DataWriter

SCALES = (0.35, 0.05)
PHASORS = [("A", 0, 25000), ("B", 1, 4000)]


def near(got, want, tolerance, what):
    assert abs(got - want) <= tolerance, (what, got, want)


def single(want):
    """Half a unit of the last place, and the product's own truncation."""
    return abs(want) * 1.3e-7


def check_phasor(pmu, i, fields, values):
    unit = 1 if pmu.phasors_float else PHASORS[i][2] * 1e-5
    first = values[4 * i] * SCALES[i] / 16384 / unit
    second = values[4 * i + 1]
    turn = 2 * math.pi if pmu.phasors_float else 2e4 * math.pi
    second *= turn / 2**30 if pmu.polar else SCALES[i] / 16384 / unit
    if pmu.phasors_float:
        near(fields[0], first, single(first), "float")
        near(fields[1], second, single(second), "float")
    else:
        near(fields[0], min(65535, first) if pmu.polar else min(32767, first), 0.51, "int16")
        near(fields[1], max(-32767, min(32767, second)), 0.51, "int16")


def check(fmt, rounds):
    pmu = PmuConfig("X", 7, fmt, PHASORS, [("n", 0, 1), ("m", 0, 1)], [(["d"] * 16, 0, 0xFFFF)], 1, 0)
    writer = DataWriter(pmu, 7, SCALES, 1)
    values = writer.values
    layout = ">HHHIIH" + ("ff" if pmu.phasors_float else "Hh" if pmu.polar else "hh") * 2
    layout += ("ff" if pmu.freq_float else "hh") + ("ff" if pmu.analogs_float else "hh") + "HH"
    assert struct.calcsize(layout) == writer.size == 16 + pmu.data_size
    for _ in range(rounds):
        for i in range(2):
            values[4 * i] = random.getrandbits(29) >> random.getrandbits(4)
            values[4 * i + 1] = random.getrandbits(30) - 2**29
            values[4 * i + 2] = random.getrandbits(25) - 2**24
            values[4 * i + 3] = random.getrandbits(24) - 2**23
        values[8], values[9] = random.getrandbits(16) - 32768, random.getrandbits(15)
        values[10] = random.getrandbits(16)
        soc = random.getrandbits(30) + 2**30 + 2**29
        fracsec, stat = random.getrandbits(24), random.getrandbits(16)
        buf = bytearray(b"\x55" * 100)
        size = writer.write(buf, 3, soc - 2**31, fracsec, 0x2F, stat)
        assert buf[:3] == b"\x55" * 3 and buf[3 + size :] == b"\x55" * (97 - size)
        fields = struct.unpack(layout, bytes(buf[3 : 3 + size]))
        assert fields[:6] == (0xAA01, size, 7, soc, 0x2F << 24 | fracsec, stat)
        check_phasor(pmu, 0, fields[6:8], values)
        check_phasor(pmu, 1, fields[8:10], values)
        deviation, rocof = values[6], values[7]
        if pmu.freq_float:
            near(fields[10], 50 + deviation / 1e6, 4e-6, "FREQ")
            near(fields[11], rocof / 1e3, single(rocof / 1e3), "DFREQ")
        else:
            near(fields[10], deviation / 1e3, 0.51, "FREQ")
            near(fields[11], max(-32767, min(32767, rocof / 10)), 0.63, "DFREQ")
        for k in (0, 1):
            want = values[8 + k] / 1e3 if pmu.analogs_float else values[8 + k]
            near(fields[12 + k], want, single(want) if pmu.analogs_float else 0, "analog")
        assert fields[14] == values[10]


def check_absent(fmt):
    """Clause 6.3: 8000 in integers (of a polar phasor the angle), NaN in floats."""
    pmu = PmuConfig("X", 7, fmt, PHASORS[:1], [], [], 1, 0)
    writer = DataWriter(pmu, 7, SCALES[:1])
    writer.values[0] = 0 if pmu.polar else ABSENT
    for i in (1, 2, 3):
        writer.values[i] = ABSENT
    buf = bytearray(writer.size)
    writer.write(buf, 0, 0, 0, 0, 0)
    width = 4 if pmu.phasors_float else 2
    nan, high = b"\x7f\xc0\x00\x00", b"\x80\x00"
    assert buf[16 + width : 16 + 2 * width] == (nan if pmu.phasors_float else high)
    assert bytes(buf[16 + 2 * width : -2]) == (nan if pmu.freq_float else high) * 2


random.seed(37118)
for fmt in range(16):
    check(fmt, 200)
    check_absent(fmt)
