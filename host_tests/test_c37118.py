"""C37.118 codec against frames made by hand: every kind, every FORMAT, byte for byte, and bad input."""

import runpy
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c37118.command import Command, HeaderText
from c37118.config import Config, PmuConfig
from c37118.crc import TABLE, crc_ccitt, crc_kernel
from c37118.data import Data, PmuData
from c37118.decode import decode
from c37118.frame import CFG1, CFG2, DATA, FrameError, NoConfiguration
from host_tests.c37118_samples import (
    PLAIN_FRAMES,
    block_size,
    config_body,
    configurations,
    crc_bitwise,
    frame,
    known_streams,
    pmu_block,
    streams,
)

MPY_SCRIPT = Path(__file__).parent / "mpy/test_c37118.py"


def again(decoded, config=None):
    return decoded.encode(config) if decoded.kind == DATA else decoded.encode()


@pytest.mark.parametrize("crc", [crc_ccitt, crc_kernel])
def test_crc_of_the_published_vectors(crc):
    for text, value in ((b"ABCD", 0xBFFA), (b"123456", 0x2EF4), (b"abc", 0x514A), (b"123456789", 0x29B1)):
        assert crc(text, 0, len(text)) == value
        assert crc(b"xx" + text + b"y", 2, 2 + len(text)) == value


@given(st.binary(max_size=300))
def test_crc_is_the_bitwise_one(data):
    assert crc_ccitt(data, 0, len(data)) == crc_kernel(data, 0, len(data)) == crc_bitwise(data)
    assert len(TABLE) == 256 and TABLE.itemsize == 2


@given(PLAIN_FRAMES)
def test_plain_frames_survive_byte_for_byte(raw):
    assert again(decode(raw)) == raw
    assert again(decode(memoryview(raw))) == again(decode(bytearray(raw))) == raw


@given(streams())
def test_data_frames_survive_byte_for_byte(stream):
    config_raw, raw = stream
    config = decode(config_raw)
    assert config.encode() == config_raw
    assert config.data_size == len(raw)
    assert decode(raw, config).encode(config) == raw


@pytest.mark.parametrize("name, frames", known_streams().items())
def test_streams_of_the_shapes_seen_in_the_field(name, frames):
    config = decode(frames[0])
    assert config.encode() == frames[0]
    for raw in frames[1:]:
        assert decode(raw, config).encode(config) == raw


def test_the_real_capture(shared):
    configs, count = {}, 0
    for line in (shared / "data/c37118/real-pmu-1.hex").read_text().splitlines():
        if line.startswith("#"):
            continue
        raw = bytes.fromhex(line.split(":")[1])
        decoded = decode(raw, configs.get(raw[4] << 8 | raw[5]))
        if decoded.kind in (CFG1, CFG2):
            configs[decoded.idcode] = decoded
        assert again(decoded, configs.get(decoded.idcode)) == raw
        count += 1
    assert count == 256


def test_the_real_capture_on_micropython(mpy, shared):
    done = mpy(MPY_SCRIPT, shared / "data/c37118/real-pmu-1.hex")
    assert done.returncode == 0 and "256 frames" in done.stdout, done.stdout + done.stderr


def test_the_micropython_script_on_cpython():
    runpy.run_path(str(MPY_SCRIPT))


@pytest.mark.parametrize("fmt", range(16))
def test_byte_totals(fmt):
    counts = (3, 2, 1)
    config = decode(frame(3, config_body([pmu_block(fmt, *counts)] * 2)))
    assert len(config.encode()) == 24 + 2 * (30 + 20 * 3 + 20 * 2 + 260)
    assert config.data_size == 16 + 2 * block_size(fmt, *counts)
    blocks = [PmuData(0, [(0, 0)] * 3, 0, 0, [0, 0], [0])] * 2
    assert len(Data(7, 0, 0, 0, blocks).encode(config)) == config.data_size


def test_size_of_the_other_kinds():
    assert len(Command(7, 2).encode()) == 18
    assert len(Command(7, 8, b"abc").encode()) == 21
    assert len(HeaderText(7, "hello").encode()) == 21
    six = PmuConfig("S", 7, 1, [("P", 0, 1)] * 6, [("A", 0, 1)] * 2, [([""] * 16, 0, 0xFFFF)])
    assert Config(7, [six], 50).data_size == 52


def test_fields_of_a_configuration():
    names = [b"VA", b"A\0 ", b" tail  "] + [b"bit %d" % i for i in range(16)]
    units = [0x01000ABC, 0x41FFFFFE, 0x1234FFFF]
    pmu = pmu_block(0x0005, 1, 1, 1, b"Station", 99, [names[0], names[1], *names[3:]], units, 0, 3)
    config = decode(frame(2, config_body([pmu], 0x810F4240, -10), 42, 5, 0x8A000006))
    assert (config.kind, config.idcode, config.soc, config.tq, config.fracsec) == (CFG1, 42, 5, 0x8A, 6)
    assert (config.time_base, config.rate, config.version) == (0x810F4240, -10, 1)
    (block,) = config.pmus
    assert (block.stn, block.idcode, block.fmt, block.fnom, block.cfgcnt) == ("Station", 99, 5, 0, 3)
    assert block.phasors == [("VA", 1, 0x0ABC)]
    assert block.analogs == [("A\0", 0x41, -2)]
    assert block.digitals == [(["bit %d" % i for i in range(16)], 0x1234, 0xFFFF)]
    assert block.polar and block.analogs_float and not block.phasors_float and not block.freq_float
    assert block.f0_hz == 60


def test_the_layout_follows_a_changed_configuration():
    pmu = PmuConfig("S", 7, 0, [("P", 0, 1)])
    assert pmu.data_size == 10
    pmu.fmt, pmu.digitals = 2, [([""] * 16, 0, 0)]
    assert pmu.data_size == 16


def test_values_replace_a_kept_nan():
    config = decode(frame(3, config_body([pmu_block(15)])))
    raw = frame(0, bytes.fromhex("0000 7f800001 ffa00000"))
    data = decode(raw, config)
    assert data.encode(config) == raw
    data.pmus[0].freq = 50.0
    assert data.encode(config)[16:24] == struct.pack(">f", 50.0) + bytes.fromhex("ffa00000")


CONFIG = decode(frame(3, config_body([pmu_block(0, 1, 1, 1)])))
GOOD = frame(0, bytes(block_size(0, 1, 1, 1)))
ONE_OF_TWO = struct.pack(">IH", 1, 2) + pmu_block(0) + b"\0\0"


@pytest.mark.parametrize(
    "raw, text",
    [
        (b"", "frame of 0 bytes: at least 16"),
        (b"\xab" + GOOD[1:], "SYNC at byte 0: expected AA, found AB"),
        (GOOD + b"\0", "FRAMESIZE at byte 2: expected 31 (the bytes given), found 30"),
        (GOOD[:-1] + b"\0", "CHK at byte 28: expected "),
        (frame(6, bytes(8)), "frame type at byte 1: expected 0..5, found 6 (unknown)"),
        (frame(5, bytes(40), version=2), "CFG-3 is not supported yet"),
        (frame(0, bytes(40)), "FRAMESIZE at byte 2: expected 30 (by the configuration), found 56"),
        (frame(0, bytes(12), 8), "IDCODE at byte 4: expected 7 (the configuration's), found 8"),
        (frame(4, b""), "FRAMESIZE at byte 2: expected at least 18 for a command, found 16"),
        (frame(1, b""), "FRAMESIZE at byte 2: expected at least 17 for a header, found 16"),
        (frame(3, b"1234567"), "FRAMESIZE at byte 2: expected at least 24 for a configuration, found 23"),
        (frame(3, config_body([]) + bytes(6)), "FRAMESIZE at byte 2: expected 24 for the 0 PMUs described"),
        (frame(3, ONE_OF_TWO), "PMU 1 of 2: STN to DGNMR at byte 50: expected 26"),
        (frame(3, config_body([pmu_block(0, 3)[:-20]])), "PMU 0 of 1: CHNAM to CFGCNT at byte 46: expected"),
    ],
)
def test_bad_frames_are_told_by_field_and_place(raw, text):
    with pytest.raises(FrameError) as refused:
        decode(raw, CONFIG)
    assert text in str(refused.value)


def test_a_data_frame_without_configuration():
    with pytest.raises(NoConfiguration, match="IDCODE 7"):
        decode(GOOD)
    with pytest.raises(FrameError, match="CHK"):
        decode(GOOD[:-1] + b"\0")


def with_good_chk(raw):
    """The bytes with FRAMESIZE and CHK put right, so that what is wrong inside is reached."""
    raw = bytearray(raw.ljust(16, b"\0"))
    raw[0], raw[2:4] = 0xAA, struct.pack(">H", len(raw))
    raw[-2:] = struct.pack(">H", crc_bitwise(raw[:-2]))
    return bytes(raw)


def decodes_or_refuses(raw, config):
    try:
        decoded = decode(raw, config)
    except FrameError:
        return
    assert again(decoded, config) == raw


@given(st.binary(max_size=400), configurations())
def test_random_bytes_raise_nothing_but_frame_errors(raw, made):
    config = decode(made[0])
    decodes_or_refuses(raw, config)
    decodes_or_refuses(with_good_chk(raw), config)


@given(streams(), st.data())
def test_flipped_bits_raise_nothing_but_frame_errors(stream, data):
    config = decode(stream[0])
    for raw in stream:
        bad = bytearray(raw)
        bit = data.draw(st.integers(0, 8 * len(raw) - 1))
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FrameError):
            decode(bad, config)
        decodes_or_refuses(with_good_chk(bytes(bad)), config)
