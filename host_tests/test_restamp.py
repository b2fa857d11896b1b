"""Frames moved to the time that was learned later: against the definition of the synchrophasor, and tshark."""

import cmath
import contextlib
import itertools
import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c37118.config import CURRENT, VOLTAGE, Config, PmuConfig
from c37118.data import Data, PmuData
from c37118.decode import decode
from c37118.restamp import Restamp
from host_tests.c37118_samples import (
    FLOAT_WORDS,
    HEADS,
    U32,
    block_size,
    config_body,
    crc_bitwise,
    frame,
    pmu_block,
    words,
)
from host_tests.property import examples

OWN_S = 40_000_000  # SOC at which the node's own scale was when it measured
OFFSET = (1_750_000_000, 123_457, OWN_S + 60, 2_500, 20)
LIMIT = {False: 1e-4, True: 1e-6}  # of the phasor: counts of 10^-4 rad and of 1/30000, float32


def stream(fmt, f0_hz, time_base=1_000_000):
    phasors = [("VA", VOLTAGE, 1000), ("IA", CURRENT, 10), ("GONE", VOLTAGE, 1000)]
    digitals = [([f"bit {i}" for i in range(16)], 0, 0xFFFF)]
    fnom = 1 if f0_hz == 50 else 0
    return Config(
        77, [PmuConfig("RESTAMP", 77, fmt, phasors, [("LOAD", 1, 1)], digitals, fnom, 3)], 50, time_base=time_base
    )


def as_measured(config, time_s, reading_s, tq=0x0F, stat=0x21C0):
    """The frame of instant `time_s` (UTC) of two cosines 0.3 Hz off nominal, on a clock that reads `reading_s`.

    A synchrophasor's angle is that of the signal less that of a cosine whose maximum is where the clock's
    second begins (C37.118.1, 4.2).
    """
    (pmu,) = config.pmus
    f0 = pmu.f0_hz
    cycles = (f0 + Fraction(3, 10)) * time_s - f0 * reading_s
    turn = 2 * math.pi * float(cycles % 1)
    phasors = [cmath.rect(230.0, turn + 0.5), cmath.rect(2.5, turn - 1.25), None]
    block = PmuData.measured(pmu, stat, phasors, f0 + 0.3, -0.25, [77], [0xA55A])
    soc, rest = divmod(reading_s, 1)
    return Data(77, int(soc), tq, round(rest * (config.time_base & 0xFFFFFF)), [block]).encode(config)


def moved(config, raw, offset, off=3):
    """`raw` moved; what lies around it is watched."""
    buf = bytearray(b"\xaa" * off + raw + b"\x55" * 5)
    assert Restamp(config).move(buf, off, offset)
    assert buf[:off] == b"\xaa" * off and buf[off + len(raw) :] == b"\x55" * 5
    return bytes(buf[off : off + len(raw)])


def same_phasors(config, got, expected, limit):
    (pmu,) = config.pmus
    for i, magnitude in enumerate((230.0, 2.5)):
        error = abs(got.pmus[0].phasor(pmu, i) - expected.pmus[0].phasor(pmu, i))
        assert error < magnitude * limit * 1.5, (i, error)
    assert got.pmus[0].phasor(pmu, 2) is None


@pytest.mark.parametrize("f0_hz", [50, 60])
@pytest.mark.parametrize("fmt", range(16))
@pytest.mark.parametrize("us", [0, 1, 123_457, 500_000, 999_999])
def test_a_moved_frame_is_the_frame_of_the_true_time(fmt, f0_hz, us):
    config = stream(fmt, f0_hz)
    sec, _, at_sec, error_us, drift_ppm = OFFSET
    for n in range(0, 50, 7):
        own_s = OWN_S + Fraction(n, 50)
        true_s = own_s + sec + Fraction(us, 1_000_000)
        raw = as_measured(config, true_s, own_s)
        got = decode(moved(config.encode(), raw, (sec, us, at_sec, error_us, drift_ppm)), config)
        expected = decode(as_measured(config, true_s, true_s), config)
        assert (got.soc, got.fracsec) == (expected.soc, expected.fracsec)
        assert Fraction(got.fracsec, 1_000_000) + got.soc == true_s
        same_phasors(config, got, expected, LIMIT[bool(fmt & 2)])
        block, before = got.pmus[0], decode(raw, config).pmus[0]
        for name in ("freq", "dfreq", "analogs", "digitals"):
            assert getattr(block, name) == getattr(before, name)
        # 2.5 ms, and 60 s at 20 ppm: 3.7 ms. MSG_TQ 8: within 10 ms. Data modified, no sync, PMU_TQ 7
        assert (got.tq, block.stat) == (0x08, 0x23C0)


@pytest.mark.parametrize(
    "error_us, drift_ppm, seconds, tq, pmu_tq",
    [
        (1_000, 0, 1_000_000, 7, 6),  # within 1 ms; less than 10 ms
        (1_000, 1, 1, 8, 7),  # 1.001 ms
        (0, 20, -3_600, 9, 7),  # a frame of an hour after the time was learned: 72 ms
        (0, 20, 86_400, 11, 7),  # a day before: 1.728 s
        (0, 100, 99_999, 11, 7),
        (0, 100, 100_001, 15, 7),  # more than 10 s
        (None, 20, 5, 15, 7),
    ],
)
def test_error_of_the_time_with_the_distance_from_where_it_was_learned(error_us, drift_ppm, seconds, tq, pmu_tq):
    config = stream(1, 50)
    raw = as_measured(config, Fraction(OWN_S), Fraction(OWN_S), tq=0x6F, stat=0x2DD1)
    got = decode(moved(config.encode(), raw, (5, 0, OWN_S + seconds, error_us, drift_ppm)), config)
    # leap second bits, trigger and configuration change stay
    assert (got.tq, got.pmus[0].stat) == (0x60 | tq, 0x2E11 | pmu_tq << 6)


def test_a_second_begun_counts():
    config = stream(1, 50)
    raw = as_measured(config, OWN_S + Fraction(1, 50), OWN_S + Fraction(1, 50))
    for at_sec, error_us, tq in ((OWN_S, 999, 7), (OWN_S, 1000, 8), (OWN_S + 1, 999, 7), (OWN_S + 1, 1000, 8)):
        got = decode(moved(config.encode(), raw, (0, 0, at_sec, error_us, 1)), config)
        assert got.tq == tq, (at_sec, error_us)


def test_angles_of_integers_stay_within_half_a_turn():
    config = stream(1, 50)
    for us, count in itertools.product(range(0, 20_000, 37), (-31416, -31415, -1, 0, 12345, 31415, 31416)):
        block = PmuData(0, [(9, count), (0, -32768), (65535, count)], 0, 0, [0], [0])
        raw = Data(77, OWN_S, 0x0F, 0, [block]).encode(config)
        (one, absent, other) = decode(moved(config.encode(), raw, (0, us, 0, 0, 0)), config).pmus[0].phasors
        assert absent == (0, -32768) and (one[0], other[0]) == (9, 65535)
        assert one[1] == other[1] and abs(one[1]) <= 31416
        turned = (count - one[1]) / 1e4 - 2 * math.pi * 50 * us / 1e6
        assert abs(math.remainder(turned, 2 * math.pi)) <= 0.50001e-4


def test_one_part_of_8000_alone_is_a_value():
    config = stream(0, 50)
    block = PmuData(0, [(5, -32768), (-32768, 5), (-32768, -32768)], 0, 0, [0], [0])
    raw = Data(77, OWN_S, 0x0F, 0, [block]).encode(config)
    got = decode(moved(config.encode(), raw, (0, 5_000, 0, 0, 0)), config)  # back by a quarter of a turn
    assert got.pmus[0].phasors == [(-32767, -5), (5, 32767), (-32768, -32768)]


@pytest.mark.parametrize(
    "time_base, own, us, expected",
    [
        (1_000_000, (7, 999_999), 1, (12, 0)),
        (1_000_000, (7, 999_998), 1, (11, 999_999)),
        (999_990, (7, 999_989), 1, (12, 0)),
        (50, (7, 49), 9_999, (11, 49)),  # rounded to counts of 20 ms
        (50, (7, 49), 10_000, (12, 0)),
        (0x0A0F4240, (0xFFFFFFFB, 0), 5, (0xFFFFFFFF, 5)),  # flags above TIME_BASE do not count
        (1_000_000, (0xFFFFFFFF, 999_999), 1, (4, 0)),  # SOC begins anew in 2106
        (0xFFFFFF, (7, 0xFFFFFE), 999_999, (12, 0xFFFFFF - 1 - 17)),  # 999,999 us: 17 counts less than a second
    ],
)
def test_stamps_are_rounded_and_carried(time_base, own, us, expected):
    config = stream(11, 50, time_base)
    raw = bytearray(as_measured(config, Fraction(OWN_S), Fraction(OWN_S)))
    struct.pack_into(">II", raw, 6, own[0], own[1])
    raw[-2:] = struct.pack(">H", crc_bitwise(raw[:-2]))
    got = decode(moved(config.encode(), bytes(raw), (4, us, 7, 0, 0)), config)
    assert (got.soc, got.fracsec) == expected


def test_the_configuration_moves_with_its_frames():
    config = stream(1, 50)
    config.soc, config.fracsec, config.tq = OWN_S, 900_000, 0x2F
    raw = config.encode()
    buf = bytearray(b"..." + raw)
    assert Restamp(raw).move_config(buf, 3, OFFSET)
    config.soc, config.fracsec, config.tq = OWN_S + OFFSET[0] + 1, 23_457, 0x28
    assert bytes(buf[3:]) == config.encode()


def test_what_is_no_such_frame_is_left_alone():
    config, other = stream(1, 50), stream(2, 50)
    restamp = Restamp(config.encode() + b"and more")
    data, longer = (as_measured(c, Fraction(0), Fraction(0)) for c in (config, other))
    foreign = bytearray(data)
    foreign[5] ^= 1  # IDCODE
    for raw in (longer, foreign, data[:-1], data[:5], b"", config.encode()):
        buf = bytearray(raw)
        assert not restamp.move(buf, 0, OFFSET) and buf == raw
    for raw in (data, other.encode()[:-1], b"\xaa"):
        buf = bytearray(raw)
        assert not restamp.move_config(buf, 0, OFFSET) and buf == raw
    assert restamp.size == len(data)


def test_configurations_that_describe_no_single_pmu():
    raw = stream(1, 50).encode()
    two = Config(7, [stream(1, 50).pmus[0]] * 2, 50).encode()
    for bad in (b"", raw[:-1], two, as_measured(stream(1, 50), Fraction(0), Fraction(0)) * 3, raw[:40],
                stream(1, 50, time_base=0x01000000).encode(), b"\xaa\x21" + raw[2:]):  # fmt: skip
        with pytest.raises(ValueError):
            Restamp(bad)


def test_tshark_reads_moved_frames(check_frames):
    sent, expected = [], []
    for fmt in range(16):
        config = stream(fmt, 50)
        config.idcode = 1000 + fmt
        own_s = Fraction(OWN_S)
        true_s = own_s + OFFSET[0] + Fraction(OFFSET[1], 1_000_000)
        raw = bytearray(as_measured(config, true_s, own_s))
        struct.pack_into(">H", raw, 4, config.idcode)
        buf = bytearray(config.encode())
        assert Restamp(config.encode()).move_config(buf, 0, OFFSET)
        sent += [bytes(buf), moved(config.encode(), bytes(raw), OFFSET)]
        turn = 2 * math.pi * float(Fraction(3, 10) * true_s % 1)
        expected.append((cmath.rect(230.0, turn + 0.5), cmath.rect(2.5, turn - 1.25)))
    verdicts = check_frames(sent)
    assert [(v["undecoded"], v["lint"]) for v in verdicts if not v["ok"]] == []
    for verdict, phasors in zip(verdicts[1::2], expected, strict=True):
        told = verdict["tshark"]
        assert (told["soc"], told["fracsec_raw"]) == (OWN_S + OFFSET[0], OFFSET[1])
        assert told["time_quality"]["msg_tq"] == 8
        assert told["blocks"][0]["stat"]["pmu_tq"] == 7
        for got, phasor in zip(told["blocks"][0]["phasors"], phasors, strict=False):
            error = abs(cmath.rect(got["mag"], math.radians(got["angle_deg"])) - phasor)
            assert error < abs(phasor) * 3e-4 + 0.0005


@st.composite
def one_pmu(draw):
    """(CFG-2 of one PMU, data frame of any bits that fits it, where its phasors begin and end)."""
    fmt, head = draw(words()), draw(HEADS)
    counts = draw(st.tuples(words(0, 4), words(0, 3), words(0, 2)))
    time_base = draw(st.one_of(st.integers(1, 0xFFFFFF), U32.filter(lambda base: base & 0xFFFFFF)))
    config = frame(3, config_body([pmu_block(fmt, *counts, fnom=draw(words()))], time_base), **head)
    size = block_size(fmt, *counts)
    body = b"".join(struct.pack(">I", draw(FLOAT_WORDS)) for _ in range(size // 4 + 1))[:size]
    data = frame(0, body, **{**draw(HEADS), "idcode": head["idcode"]})
    return config, data, 16, 16 + counts[0] * (8 if fmt & 2 else 4)


OFFSETS = st.tuples(
    st.integers(-(1 << 32), 1 << 32),
    st.integers(0, 999_999),
    U32,
    st.one_of(st.none(), st.integers(0, 1 << 40)),
    st.integers(0, 1000),
)


@examples(150)
@given(one_pmu(), OFFSETS)
def test_any_bits_only_stamps_and_phasors_change(made, offset):
    config, raw, begin, end = made
    got = moved(config, raw, offset)
    assert got[:6] == raw[:6] and got[end:-2] == raw[end:-2]
    assert got[10] & 0xF0 == raw[10] & 0xF0 and got[10] & 15 in (4, 5, 6, 7, 8, 9, 10, 11, 15)
    before, after = raw[14] << 8 | raw[15], got[14] << 8 | got[15]
    assert after & ~0x1C0 == (before & ~0x1C0) | 0x2200
    assert struct.unpack(">H", got[-2:])[0] == crc_bitwise(got[:-2])
    absent, kept = (decode(frame_, decode(config)).pmus[0] for frame_ in (raw, got))
    pmu = decode(config).pmus[0]
    for i in range(len(pmu.phasors)):
        assert (absent.phasor(pmu, i) is None) == (kept.phasor(pmu, i) is None)


@examples(100)
@given(one_pmu(), OFFSETS)
def test_moving_by_nothing_keeps_every_phasor(made, offset):
    config, raw, _, _ = made
    raw = raw[:11] + bytes(3) + raw[14:]  # FRACSEC within TIME_BASE
    got = moved(config, raw, (0, 0, *offset[2:]))
    assert got[:10] == raw[:10] and got[11:14] == raw[11:14] and got[16:-2] == raw[16:-2]


@examples(150)
@given(
    st.sampled_from([0, 1, 2, 3, 8, 11]),
    st.sampled_from([50, 60]),
    st.integers(0, 49),
    st.lists(st.tuples(st.integers(0, 1 << 31), st.integers(0, 999_999)), min_size=2, max_size=2),
)
def test_moving_twice_is_moving_by_the_sum(fmt, f0_hz, n, moves):
    config = stream(fmt, f0_hz)
    own_s = OWN_S + Fraction(n, 50)
    raw = as_measured(config, own_s + Fraction(1, 3), own_s)
    twice = raw
    for sec, us in moves:
        twice = moved(config.encode(), twice, (sec, us, 0, 0, 0))
    us = sum(us for _, us in moves)
    at_once = moved(
        config.encode(), raw, (sum(sec for sec, _ in moves) + us // 1_000_000, us % 1_000_000, 0, 0, 0)
    )
    twice, at_once = decode(twice, config), decode(at_once, config)
    assert (twice.soc, twice.fracsec) == (at_once.soc, at_once.fracsec)
    same_phasors(config, twice, at_once, 2 * LIMIT[bool(fmt & 2)])


@examples(100)
@given(st.binary(max_size=120), OFFSETS, one_pmu())
def test_garbage_is_refused(raw, offset, made):
    config, _, _, _ = made
    restamp = Restamp(config)
    assert not restamp.move(bytearray(raw), 0, offset)
    for junk in (raw, config[: len(config) // 2]):
        with pytest.raises(ValueError):
            Restamp(junk)
    with contextlib.suppress(ValueError):
        assert Restamp(config[:46] + raw).size >= 22
