"""On MicroPython: the 52-byte frame and the estimation of 6 channels. Prints one JSON object."""

import gc
import json
import struct
from array import array
from time import ticks_diff, ticks_us

from c37118.config import PmuConfig
from c37118.crc import TABLE
from c37118.writer import DataWriter, write_words
from phasor.estimator import Estimator

ROUNDS = 15
SOC = 1800000000


def plain_crc(buf, n):
    crc = 0xFFFF
    for i in range(n):
        crc = ((crc << 8) & 0xFFFF) ^ TABLE[(crc >> 8) ^ buf[i]]
    return crc


def plain_pack(buf, fields):
    """The same bytes with struct.pack_into and a table CRC, from integers that are ready for the wire."""
    struct.pack_into(">HHHIIH" + "Hh" * 6 + "hhhhH", buf, 0, *fields)
    struct.pack_into(">H", buf, 50, plain_crc(buf, 50))


def plain_write(buf, values, scale, sec, fracsec, tq, stat):
    """The same bytes from measured values, as one would write it without integers in mind."""
    fields = [0xAA01, 52, 7, sec + 2147483648, tq << 24 | fracsec, stat]
    for i in range(0, 24, 4):
        fields.append(round(values[i] * scale))
        fields.append(round(values[i + 1] * 5.8516723e-05))
    fields.append(round(values[2] * 1e-3))
    fields.append(round(values[3] * 0.1))
    fields.extend(values[24:27])
    plain_pack(buf, fields)


def timed(n, function, *args):
    begin = ticks_us()
    for _ in range(n):
        function(*args)
    return ticks_diff(ticks_us(), begin) / n


def median(values):
    return sorted(values)[len(values) // 2]


def codec():
    phasors = [("P%d" % i, 0, 25000) for i in range(6)]
    pmu = PmuConfig("BENCH", 7, 1, phasors, [("a", 0, 1), ("b", 0, 1)], [(["d"] * 16, 0, 0xFFFF)])
    writer = DataWriter(pmu, 7, [0.3] * 6)
    for i in range(24):
        writer.values[i] = (300000000 + 123457 * i, 200000000 - 54321 * i, 1234567, 2512)[i % 4]
    for i in range(24, 27):
        writer.values[i] = 100 + i
    ours, theirs, third = bytearray(52), bytearray(52), bytearray(52)
    args = (SOC - (1 << 31), 20000, 0, 0)
    writer.write(ours, 0, *args)
    fields = struct.unpack(">HHHIIH" + "Hh" * 6 + "hhhhH", ours[:50])
    plain_pack(theirs, fields)
    scale = 0.3 / 16384 / 0.25
    plain_write(third, writer.values, scale, *args)
    assert ours == theirs == third, "the three do not write the same frame"
    times = {"encode_us": [], "plain": [], "encode_measured_us": [], "plain_measured": []}
    words = writer.words
    for _ in range(ROUNDS):
        times["encode_us"].append(timed(2000, write_words, ours, 0, words, 25))
        times["plain"].append(timed(300, plain_pack, theirs, fields))
        times["encode_measured_us"].append(timed(1000, writer.write, ours, 0, *args))
        times["plain_measured"].append(timed(200, plain_write, third, writer.values, scale, *args))
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(1000):
        writer.write(ours, 0, *args)
    heap = gc.mem_alloc() - before
    gc.enable()
    ratio = median([b / a for a, b in zip(times["encode_us"], times["plain"])])
    measured = median([b / a for a, b in zip(times["encode_measured_us"], times["plain_measured"])])
    return {
        "encode_us": median(times["encode_us"]),
        "encode_ratio_plain": ratio,
        "encode_measured_us": median(times["encode_measured_us"]),
        "encode_measured_ratio_plain": measured,
        "heap_bytes_per_frame": heap / 1000,
    }


def estimation(fs_hz):
    block_samples = fs_hz // 50
    out = array("i", bytes(4 * 24))
    estimator = Estimator(fs_hz, 50, 50, 6, block_samples, out)
    block = array("h", [(i * 7919) % 40000 - 20000 for i in range(6 * block_samples)])
    step_ns = 1000000000 // fs_hz
    at = frames = 0
    sec = -300000000
    begin = ticks_us()
    while frames < 1000:
        estimator.push(block, block_samples, sec, at * step_ns)
        at += block_samples
        if at >= fs_hz:
            at -= fs_hz
            sec += 1
        while estimator.next():
            frames += 1
    return ticks_diff(ticks_us(), begin) / frames


figures = codec()
for fs_hz in (1600, 5750):
    figures["estimate_6ch_%d_us" % fs_hz] = median([estimation(fs_hz) for _ in range(5)])
print(json.dumps(figures))
