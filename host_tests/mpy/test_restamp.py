"""Frames moved to a time learned later, on MicroPython: every format, decoded by the codec; see test_restamp.py."""

import cmath
import math

from c37118.config import Config, PmuConfig
from c37118.data import Data, PmuData
from c37118.decode import decode
from c37118.restamp import Restamp

SEC, US = 1750000000, 123456  # 50 Hz: 6.1728 turns, 60 Hz: 7.40736 turns
for fmt in range(16):
    for f0, turns in ((50, 0.1728), (60, 0.40736)):
        pmu = PmuConfig("MPY", 9, fmt, [("V", 0, 1000), ("I", 1, 10), ("GONE", 0, 1)], fnom=int(f0 == 50))
        config = Config(9, [pmu], 50, soc=60, fracsec=999999, tq=0x4F)
        phasors = [cmath.rect(230, -3.1), cmath.rect(2.5, 3.1), None]
        block = PmuData.measured(pmu, 0x21C1, phasors, f0 + 0.25, -0.5)
        raw = Data(9, 61, 0x1F, 980000, [block]).encode(config)
        for error_us, drift_ppm, at_sec, tq, pmu_tq in ((40, 10, 57, 6, 5), (None, 10, 60, 15, 7)):
            offset = (SEC, US, at_sec, error_us, drift_ppm)
            buf = bytearray(b"xx" + raw + b"yy")
            restamp = Restamp(config.encode())
            assert restamp.move(buf, 2, offset)
            assert buf[:2] == b"xx" and buf[-2:] == b"yy"
            got = decode(bytes(buf[2:-2]), config)
            assert (got.soc, got.fracsec, got.tq) == (SEC + 62, 103456, 0x10 | tq)
            moved = got.pmus[0]
            assert moved.stat == 0x2201 | pmu_tq << 6, moved.stat
            assert abs(moved.frequency_hz(pmu) - f0 - 0.25) < 1e-6 and moved.rocof_hz_s(pmu) == -0.5
            assert moved.phasor(pmu, 2) is None
            for i in range(2):
                expected = phasors[i] * cmath.exp(-2j * math.pi * turns)
                assert abs(moved.phasor(pmu, i) - expected) < abs(expected) * 2e-4, (fmt, i)
            buf = bytearray(config.encode())
            assert restamp.move_config(buf, 0, offset)
            again = decode(bytes(buf))
            assert (again.soc, again.fracsec, again.tq) == (SEC + 61, 123455, 0x40 | tq)
            assert not restamp.move(buf, 0, offset) and not restamp.move_config(bytearray(raw), 0, offset)
