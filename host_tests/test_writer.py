"""Frames of the hot-path writer as others see them: the general codec, and tshark."""

import array
import binascii
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c37118.config import Config, PmuConfig
from c37118.data import Data, PmuData
from c37118.writer import DataWriter, write_words

WORD = st.integers(0, 0xFFFF)


@given(st.lists(WORD, min_size=1, max_size=40), st.integers(0, 9))
def test_words_and_their_crc(words, off):
    buf = bytearray(100)
    write_words(buf, off, array.array("H", words), len(words))
    frame = struct.pack(f">{len(words)}H", *words)
    assert buf == bytes(off) + frame + struct.pack(">H", binascii.crc_hqx(frame, 0xFFFF)) + bytes(
        98 - off - len(frame)
    )


def configuration(fmt):
    phasors = [("VA", 0, 30000), ("IA", 1, 2000)]
    digitals = [([f"bit {i}" for i in range(16)], 0, 0xFFFF)]
    pmu = PmuConfig("WRITER", 71, fmt, phasors, [("LOAD", 1, 100)], digitals, 1, 3)
    return Config(71, [pmu], 50, soc=1_800_000_000), pmu


@pytest.mark.parametrize("fmt", range(16))
def test_tshark_and_the_codec_read_what_was_measured(check_frames, fmt):
    config, pmu = configuration(fmt)
    writer = DataWriter(pmu, 71, [0.3, 0.02])
    volts, amperes, angle = 231.25, 14.5, 0.75  # exact in counts * 2^14
    if pmu.polar:
        first = [round(volts / 0.3 * 2**14), round(angle / 6.283185307179586 * 2**30)]
        second = [round(amperes / 0.02 * 2**14), -round(angle / 6.283185307179586 * 2**30)]
    else:
        first, second = [round(volts / 0.3 * 2**14), 0], [0, -round(amperes / 0.02 * 2**14)]
    values = [*first, -1_250_000, 2_500, *second, 0, 0, 4321, 0xA55A]
    for i, value in enumerate(values):
        writer.values[i] = value
    frame = bytearray(writer.size)
    writer.write(frame, 0, 1_800_000_001 - 2**31, 980_000, 0x2B, 0x2000)
    decoded = Data.decode(bytes(frame), config)
    assert (decoded.soc, decoded.fracsec, decoded.tq) == (1_800_000_001, 980_000, 0x2B)
    block = decoded.pmus[0]
    assert block.frequency_hz(pmu) == pytest.approx(48.75, abs=1e-5)
    assert block.rocof_hz_s(pmu) == pytest.approx(2.5, abs=1e-5)
    assert abs(block.phasor(pmu, 0)) == pytest.approx(volts, abs=0.16)
    assert abs(block.phasor(pmu, 1)) == pytest.approx(amperes, abs=0.011)
    reference = PmuData(0x2000, block.phasors, block.freq, block.dfreq, block.analogs, [0xA55A])
    assert Data(71, 1_800_000_001, 0x2B, 980_000, [reference]).encode(config) == bytes(frame)
    verdict = check_frames([config.encode(), bytes(frame)])
    assert [v["ok"] for v in verdict] == [True, True], verdict
    seen = verdict[1]["tshark"]["blocks"][0]
    assert seen["freq_hz"] == pytest.approx(48.75, abs=1e-3)
    assert seen["rocof_hz_s"] == pytest.approx(2.5, abs=1e-5)
    assert seen["phasors"][0]["mag"] == pytest.approx(volts, abs=0.16)
    assert seen["digitals"] == [0xA55A]
