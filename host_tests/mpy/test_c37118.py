"""The C37.118 codec as a node runs it; the same script passes on CPython.

Arguments: nothing, or a hex file of frames that must decode and encode to the same bytes.
"""

import sys

from c37118.command import Command, HeaderText
from c37118.config import Config, PmuConfig
from c37118.crc import crc_ccitt, crc_kernel
from c37118.data import Data, PmuData
from c37118.decode import decode
from c37118.frame import CFG1, CFG2, DATA, FrameError
from c37118.splitter import Splitter


def unhex(text):
    return bytes([int(text[i : i + 2], 16) for i in range(0, len(text), 2)])


def again(frame, config):
    return frame.encode(config) if frame.kind == DATA else frame.encode()


def refused(call, *args):
    try:
        call(*args)
    except FrameError as error:
        return str(error)
    raise AssertionError("not refused")


# From the public trace of one real PMU: a command and a data frame; the others were made by hand.
COMMAND = unhex("aa41001200f100000000000000000005d7d0")
REAL_DATA = unhex(
    "aa01003600f14893344a001eb852080042f68f24c7c36623430188cbc7c36332"
    "c7a956764742fe4b47a91cdd4743d1440000000047ef"
)


def test_crc():
    for text, value in ((b"ABCD", 0xBFFA), (b"123456", 0x2EF4), (b"abc", 0x514A)):
        assert crc_ccitt(text, 0, len(text)) == crc_kernel(text, 0, len(text)) == value
        assert crc_ccitt(b"x" + text, 1, len(text) + 1) == value


def test_command_and_header():
    frame = decode(COMMAND)
    assert (frame.idcode, frame.cmd, frame.ext, frame.soc) == (241, 5, b"", 0)
    assert frame.encode() == Command(241, 5).encode() == COMMAND
    for raw in (Command(65535, 8, b"\x00\xff", 0xFFFFFFFF, 0xFF, 0xFFFFFF).encode(),
                HeaderText(1, "station \xe9\x00", 1_700_000_000).encode()):
        assert decode(raw).encode() == decode(memoryview(raw)).encode() == raw
    assert decode(raw).text == "station \xe9\x00"


def test_real_data_frame():
    pmu = PmuConfig("Blue PMU", 241, 6, [("V", 0, 1)] * 4)
    config = Config(241, [pmu], 50, time_base=16777215)
    frame = decode(REAL_DATA, config)
    assert (frame.soc, frame.fracsec, frame.pmus[0].stat) == (1217606730, 2013266, 0x0800)
    assert abs(abs(frame.pmus[0].phasor(pmu, 0)) - 100044.349) < 0.01
    assert frame.pmus[0].frequency_hz(pmu) == 50
    assert frame.encode(config) == REAL_DATA


def every_format():
    """Configurations of two PMUs with names of every padding, one for each FORMAT."""
    labels = ["bit %d" % i for i in range(16)]
    for fmt in range(16):
        digitals = [(labels, 0x1234, 0xFFFF)]
        pmu = PmuConfig("P\0 \xff", 7, fmt, [("VA", 0, 915527), ("IA", 1, 45776)], [("P", 65, -2)], digitals)
        yield Config(7, [pmu, PmuConfig("", 8, 15 - fmt, fnom=0)], -10, CFG1 if fmt & 1 else CFG2, 0x810F4240)


def test_every_format():
    for config in every_format():
        raw = config.encode()
        assert len(raw) == 24 + 2 * 30 + 20 * 2 + 20 + 260
        config = decode(raw)
        assert config.encode() == raw
        assert config.pmus[0].stn == "P\0 \xff" and config.pmus[0].analogs == [("P", 65, -2)]
        pmu = config.pmus[0]
        volts, amps = complex(-114_000, 66_000), None
        blocks = [PmuData.measured(pmu, 0xA1C0, [volts, amps], 50.0126, -1.237, [-8], [0xBEEF]),
                  PmuData.measured(config.pmus[1], 0, [], 59.9, 0.5)]
        raw = Data(7, 0xFFFFFFFF, 0x8B, 0xFFFFFF, blocks).encode(config)
        assert len(raw) == config.data_size
        frame = decode(raw, config)
        assert frame.encode(config) == raw
        assert (frame.soc, frame.tq, frame.fracsec) == (0xFFFFFFFF, 0x8B, 0xFFFFFF)
        got = frame.pmus[0]
        assert abs(got.phasor(pmu, 0) - volts) < 20 and got.phasor(pmu, 1) is None
        assert abs(got.frequency_hz(pmu) - 50.0126) < 0.0006 and abs(got.rocof_hz_s(pmu) + 1.237) < 0.006
        assert (got.analog(pmu, 0), got.digitals) == (-8, [0xBEEF])


def test_nan_payloads():
    config = Config(7, [PmuConfig("", 7, 15, [("V", 0, 1)])], 50)
    for words in ("7f800001" "ffa12345" "7fc00000" "ffffffff", "7f812345" "7fc12345" "7f800000" "ff800000"):
        raw = bytearray(Data(7, 0, 0, 0, [PmuData(0, [(0.0, 0.0)], 0.0, 0.0)]).encode(config))
        raw[16:-2] = unhex(words)
        crc = crc_ccitt(raw, 0, len(raw) - 2)
        raw[-2], raw[-1] = crc >> 8, crc & 255
        assert decode(raw, config).encode(config) == raw


def test_refusals():
    assert "IDCODE 65536 is outside 0..65535" in refused(Command(65536, 1).encode)
    assert "SOC -1 is outside" in refused(Command(1, 1, b"", -1).encode)
    assert "outside 0..255" in refused(Config(1, [PmuConfig("", 1, 0, [("V", 256, 1)])], 50).encode)
    config = Config(7, [PmuConfig("", 7, 0, [("V", 0, 1)])], 50)
    for phasor in ((32768, 0), (0, -32769), (1.5, 0)):
        assert "PMU 0: PHASOR 0" in refused(Data(7, 0, 0, 0, [PmuData(0, [phasor], 0, 0)]).encode, config)
    for i in range(len(REAL_DATA)):
        bad = bytearray(REAL_DATA)
        bad[i] ^= 0x40
        refused(decode, bad, config)
        refused(decode, bytes(bad[:i]), config)


def test_splitter():
    good = [COMMAND, REAL_DATA, HeaderText(9, "a header").encode()]
    stream = b"\xaa\x01\xff\xff" + good[0] + b"\xaa\xaa" + good[1] + good[2] + b"garbage" + good[0]
    for step in (1, 2, 5, 17, 1000):
        splitter, out = Splitter(), []
        for i in range(0, len(stream), step):
            out.extend(splitter.feed(memoryview(stream)[i : i + step]))
        assert out == good + good[:1]
        assert (splitter.frames, splitter.skipped_bytes, splitter.bad_checksums) == (4, 13, 2)


def replay(path):
    """Decodes and encodes the frames of a hex file, one by one and as a stream; returns their number."""
    frames, configs, splitter = [], {}, Splitter()
    with open(path) as lines:
        for line in lines:
            line = line.split("#")[0].strip()
            if line:
                frames.append(unhex(line.split(":")[-1].strip()))
    for raw in frames:
        config = configs.get(raw[4] << 8 | raw[5])
        frame = decode(raw, config)
        if frame.kind in (CFG1, CFG2):
            configs[frame.idcode] = frame
        assert again(frame, config) == raw
    count = 0
    for i, raw in enumerate(frames):
        cut = i % len(raw)
        for frame in splitter.feed(raw[:cut]) + splitter.feed(raw[cut:]):
            assert frame == frames[count]
            count += 1
    assert count == len(frames) and splitter.skipped_bytes == 0
    return count


test_crc()
test_command_and_header()
test_real_data_frame()
test_every_format()
test_nan_payloads()
test_refusals()
test_splitter()
if len(sys.argv) == 2 and sys.argv[1].endswith(".hex"):
    print(replay(sys.argv[1]), "frames replayed")
