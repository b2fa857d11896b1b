"""Engineering units of C37.118 data, rounding, and values that an encoder must refuse."""

import cmath
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c37118.command import Command, HeaderText
from c37118.config import Config, PmuConfig
from c37118.data import Data, PmuData
from c37118.decode import decode
from c37118.frame import FrameError
from host_tests.property import examples

FACTOR = 915527  # 300 kV over 32767 counts, in 10^-5 V


def pmu(fmt, factor=FACTOR, fnom=1):
    return PmuConfig("S", 7, fmt, [("V", 0, factor)], [("A", 1, 5)], [([""] * 16, 0, 0xFFFF)], fnom)


def through_the_wire(config, block):
    stream = Config(7, [config], 50)
    return decode(Data(7, 1, 0, 0, [block]).encode(stream), stream).pmus[0]


@pytest.mark.parametrize("fmt", range(16))
@pytest.mark.parametrize("fnom, f0_hz", [(0, 60), (1, 50)])
def test_every_format_gives_back_what_was_measured(fmt, fnom, f0_hz):
    config = pmu(fmt, fnom=fnom)
    volts = cmath.rect(132_790.0, -2.0944)
    block = PmuData.measured(config, 0x0123, [volts], f0_hz - 0.0126, -1.237, [35], [0xBEEF])
    got = through_the_wire(config, block)
    count_v = FACTOR * 1e-5
    assert abs(got.phasor(config, 0) - volts) < (0.02 if fmt & 2 else count_v + abs(volts) * 5e-5)
    exact = fmt & 8
    assert got.frequency_hz(config) == pytest.approx(f0_hz - (0.0126 if exact else 0.013), abs=4e-6)
    assert got.rocof_hz_s(config) == pytest.approx(-1.237 if exact else -1.24, abs=1e-6)
    assert (got.analog(config, 0), got.digitals, got.stat) == (35, [0xBEEF], 0x0123)
    assert got.analogs == ([35.0] if fmt & 4 else [7])


@examples()
@given(st.floats(0, 65535), st.floats(-math.pi, math.pi))
def test_polar_counts_are_the_nearest(magnitude, angle):
    config = pmu(1, factor=100_000)
    ((m, a),) = PmuData.measured(config, 0, [cmath.rect(magnitude, angle)], 50, 0, [0]).phasors
    assert abs(m - magnitude) <= 0.5 + 1e-6
    if magnitude > 1e-300:
        assert abs(a - angle * 1e4) <= 0.5 + 1e-6
    assert abs(a) <= 31416


def test_rectangular_frequency_and_rocof_counts_are_the_nearest():
    block = PmuData.measured(pmu(0, 100_000), 0, [complex(2.6, -2.6)], 49.9996, 0.016, [13])
    assert block.phasors == [(3, -3)]
    assert (block.freq, block.dfreq, block.analogs) == (0, 2, [3])


@pytest.mark.parametrize("fmt, raw", [(0, (-32768, -32768)), (1, (0, -32768)), (2, None), (3, None)])
def test_absent_phasors(fmt, raw):
    config = pmu(fmt)
    block = PmuData.measured(config, 0, [None], 50, 0, [0], [0])
    assert raw is None or block.phasors == [raw]
    assert through_the_wire(config, block).phasor(config, 0) is None


def test_an_int16_real_part_of_8000_alone_is_a_value():
    config = pmu(0)
    assert PmuData(0, [(-32768, 1)], 0, 0).phasor(config, 0) is not None


def head(**fields):
    frame = Command(1, 1)
    for name, value in fields.items():
        setattr(frame, name, value)
    return frame


def data(fmt, stat=0, phasor=(0, 0), freq=0, dfreq=0, analog=0, digital=0):
    block = PmuData(stat, [phasor], freq, dfreq, [analog], [digital])
    return Data(7, 0, 0, 0, [block]), Config(7, [pmu(fmt)], 50)


def config(change=None, **fields):
    block = pmu(0)
    for name, value in fields.items():
        setattr(block, name, value)
    frame = Config(7, [block], 50)
    if change:
        setattr(frame, *change)
    return frame


NAME17 = "x" * 17


@pytest.mark.parametrize(
    "made, text",
    [
        (head(idcode=65536), "IDCODE 65536 is outside 0..65535"),
        (head(idcode=1.0), "IDCODE 1.0 is not an integer in 0..65535"),
        (head(soc=-1), "SOC -1 is outside 0..4294967295"),
        (head(soc=1 << 32), "SOC 4294967296 is outside"),
        (head(tq=256), "TQ 256 is outside 0..255"),
        (head(fracsec=1 << 24), "FRACSEC 16777216 is outside 0..16777215"),
        (head(version=16), "version 16 is outside 0..15"),
        (Command(1, 65536), "CMD 65536 is outside 0..65535"),
        (Command(1, 8, bytes(65518)), "FRAMESIZE 65536 is outside 16..65535"),
        (HeaderText(1, ""), "header text is empty"),
        (HeaderText(1, "\u20ac"), "characters beyond U+00FF"),
        (HeaderText(1, "x" * 65520), "65520 characters, at most 65519 fit"),
        (config(stn=NAME17), "PMU 0: STN 'xxxxxxxxxxxxxxxxx': 17 characters, at most 16 fit"),
        (config(stn=5), "PMU 0: STN 5 is not a str"),
        (config(idcode=-1), "PMU 0: IDCODE -1 is outside 0..65535"),
        (config(fmt=65536), "PMU 0: FORMAT 65536 is outside 0..65535"),
        (config(fnom=65536), "FNOM 65536 is outside"),
        (config(cfgcnt=65536), "CFGCNT 65536 is outside"),
        (config(phasors=[("V", 256, 1)]), "PHUNIT type 256 is outside 0..255"),
        (config(phasors=[("V", 0, 1 << 24)]), "PHUNIT factor 16777216 is outside 0..16777215"),
        (config(analogs=[("A", 0, 1 << 23)]), "ANUNIT factor 8388608 is outside -8388608..8388607"),
        (config(analogs=[(NAME17, 0, 1)]), "CHNAM"),
        (config(digitals=[([""] * 15, 0, 0)]), "number of CHNAM in a digital word 15 is outside 16..16"),
        (config(digitals=[([""] * 16, 65536, 0)]), "DIGUNIT normal state 65536"),
        (config(digitals=[([""] * 16, 0, 65536)]), "DIGUNIT valid bits 65536"),
        (config(("rate", 32768)), "DATA_RATE 32768 is outside -32768..32767"),
        (config(("time_base", 1 << 32)), "TIME_BASE 4294967296 is outside 0..4294967295"),
        (config(("kind", 5)), "frame type of a configuration 5 is outside 2..3"),
        (config(("pmus", [pmu(0)] * 300)), "FRAMESIZE 99024 is outside 16..65535"),
        (data(0, stat=65536), "PMU 0: STAT 65536 is outside 0..65535"),
        (data(0, phasor=(32768, 0)), "PMU 0: PHASOR 0 real 32768 is outside -32768..32767"),
        (data(0, phasor=(0, 1.5)), "PMU 0: PHASOR 0 imaginary 1.5 is not an integer"),
        (data(1, phasor=(-1, 0)), "PMU 0: PHASOR 0 magnitude -1 is outside 0..65535"),
        (data(1, phasor=(0, 40000)), "PMU 0: PHASOR 0 angle 40000 is outside -32768..32767"),
        (data(2, phasor=(1e39, 0)), "PMU 0: PHASOR 0 real 1e+39 is outside the range of float32"),
        (data(2, phasor=("1", 0)), "PMU 0: PHASOR 0 real '1' is not a number"),
        (data(0, freq=32768), "PMU 0: FREQ 32768 is outside -32768..32767"),
        (data(0, dfreq=-32769), "PMU 0: DFREQ -32769 is outside"),
        (data(8, freq=-1e39), "PMU 0: FREQ -1e+39 is outside the range of float32"),
        (data(0, analog=40000), "PMU 0: ANALOG 0 40000 is outside -32768..32767"),
        (data(0, digital=-1), "PMU 0: DIGITAL 0 -1 is outside 0..65535"),
        ((Data(7, 0, 0, 0, []), Config(7, [pmu(0)], 50)), "PMU blocks: 0 given, 1 configured"),
        ((Data(7, 0, 0, 0, [PmuData(0, [], 0, 0)]), Config(7, [pmu(0)], 50)), "PHASORS: 0 given"),
    ],
)
def test_refused_values_are_named_with_their_range(made, text):
    frame, arguments = (made[0], made[1:]) if isinstance(made, tuple) else (made, ())
    with pytest.raises(FrameError) as refused:
        frame.encode(*arguments)
    assert text in str(refused.value)


@pytest.mark.parametrize(
    "fmt, factor, volts, frequency_hz, rocof, analog, text",
    [
        (0, 100_000, 32768, 50, 0, 0, "PHASOR 0 real 32768 is outside -32767..32767"),
        (1, 100_000, 65536, 50, 0, 0, "PHASOR 0 magnitude 65536 is outside 0..65535"),
        (0, 0, 1, 50, 0, 0, "PHUNIT factor 0"),
        (0, 1, math.nan, 50, 0, 0, "PHASOR 0 real nan is no number"),
        (0, 1, 0, 83, 0, 0, "FREQ 33000 is outside -32768..32767"),
        (0, 1, 0, 50, 328, 0, "DFREQ 32800 is outside"),
        (0, 1, 0, 50, 0, 200_000, "ANALOG 0 40000 is outside"),
    ],
)
def test_measurements_beyond_the_format_are_refused(fmt, factor, volts, frequency_hz, rocof, analog, text):
    with pytest.raises(FrameError) as refused:
        PmuData.measured(pmu(fmt, factor), 0, [complex(volts, 0)], frequency_hz, rocof, [analog], [0])
    assert text in str(refused.value)


def test_infinities_and_nans_pass_where_the_format_is_float():
    frame, stream = data(15, phasor=(math.inf, math.nan), freq=-math.inf, analog=3.4028235e38)
    got = decode(frame.encode(stream), stream).pmus[0]
    assert got.phasor(stream.pmus[0], 0) is None
    assert got.freq == -math.inf and got.analogs == [pytest.approx(3.4028235e38)]
