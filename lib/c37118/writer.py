"""Data frames of one PMU, written in place from measured integers: the hot path of a node."""

import array
import math

from c37118.crc import TABLE

try:
    import micropython
    from micropython import const
except ImportError:  # CPython: the same source as plain Python
    from plainviper import const, micropython, ptr8, ptr16, ptr32

# CRC of two bytes at a time: the table for the lower byte of a word, then the one for the upper.
_PAIRS = array.array("H", list(TABLE) + [((t << 8) & 0xFFFF) ^ TABLE[t >> 8] for t in TABLE])
del TABLE

# What becomes of a value, in rows of `fields`: (its place in `values`, kind, multiplier, shift or exponent, base).
# v is value + base:
_S16 = const(0)  # round(v * multiplier / 2^(30 + shift)), kept within -32767..32767; absent: 8000
_U16 = const(1)  # the same within 0..65535; absent: 0, since the angle beside it says so
_F32 = const(2)  # v * multiplier * 2^(exponent - 1000) as an IEEE 754 single: two words; absent: NaN
_RAW = const(3)  # the low 16 bits as they are

ABSENT = -0x3FFFFFFF  # a value that could not be measured
_ONE = const(1 << 30)


@micropython.viper
def write_words(buf: ptr8, off: int, words: ptr16, count: int):
    """Write `count` 16-bit words big-endian at buf[off], then their CHK."""
    pairs = ptr16(_PAIRS)
    crc = 0xFFFF
    for i in range(count):
        v = int(words[i])
        buf[off] = v >> 8
        buf[off + 1] = v
        off += 2
        v ^= crc
        crc = int(pairs[256 + (v >> 8)]) ^ int(pairs[v & 255])
    buf[off] = crc >> 8
    buf[off + 1] = crc


@micropython.viper
def _stamp(words: ptr16, sec: int, fracsec: int, tq_stat: int):
    """Put SOC, time quality, FRACSEC and STAT into the frame's words; tq_stat = time quality << 16 | STAT."""
    words[3] = (sec >> 16) ^ 0x8000
    words[4] = sec
    words[5] = (tq_stat >> 16 << 8) | (fracsec >> 16)
    words[6] = fracsec
    words[7] = tq_stat


@micropython.viper
def _convert(values: ptr16, fields: ptr32, words: ptr16, count: int):
    """Turn measured values into the words of the frame's body, as `count` rows of `fields` say."""
    w = 8
    f = 0
    for _ in range(count):
        i = int(fields[f]) * 2
        kind = int(fields[f + 1])
        m = int(fields[f + 2])
        shift = int(fields[f + 3])
        low = int(values[i])
        v = (((int(values[i + 1]) ^ 0x8000) - 0x8000) << 16) | low
        absent = v == -0x3FFFFFFF
        v += int(fields[f + 4])
        f += 5
        if kind == 3:
            words[w] = low
        elif absent:
            if kind == 2:
                words[w] = 0x7FC0
                w += 1
                words[w] = 0
            elif kind == 1:
                words[w] = 0
            else:
                words[w] = 0x8000
        elif kind == 2:
            sign = 0
            if v < 0:
                v = 0 - v
                sign = 0x8000
            if v == 0:
                words[w] = 0
            else:
                # Both factors in 2^29..2^30, so that their product's upper half has 28 to 30 bits.
                exponent = shift - 1000 + 30 + 150
                while v < 0x20000000:
                    v <<= 1
                    exponent -= 1
                v = (
                    (v >> 15) * (m >> 15)
                    + (((v >> 15) * (m & 32767)) >> 15)
                    + (((v & 32767) * (m >> 15)) >> 15)
                )
                while v >= 0x1000000:
                    low = v & 1
                    v >>= 1
                    exponent += 1
                v += low
                if v == 0x1000000:
                    v >>= 1
                    exponent += 1
                words[w] = sign | (exponent << 7) | ((v >> 16) & 0x7F)
            w += 1
            words[w] = v
        else:
            # The exact v * m >> 30, carries included: the shift behind it may be as short as 1 bit.
            a = (v >> 15) * (m & 32767)
            b = (v & 32767) * (m >> 15)
            carry = ((a & 32767) + (b & 32767) + (((v & 32767) * (m & 32767)) >> 15)) >> 15
            v = (v >> 15) * (m >> 15) + (a >> 15) + (b >> 15) + carry
            v = (v + (1 << (shift - 1))) >> shift
            if kind == 1:
                if v > 65535:
                    v = 65535
                if v < 0:
                    v = 0
            else:
                if v > 32767:
                    v = 32767
                if v < -32767:
                    v = -32767
            words[w] = v
        w += 1


class DataWriter:
    """Writes one PMU's data frames (clause 6.3) from integers, in every FORMAT, without allocating.

    pmu: the PmuConfig of its CFG-2. idcode: of the stream. scales: volts or amperes per rms ADC count, one a
    phasor. frequency_from: the phasor whose frequency and ROCOF the frame states.

    values: array('i') that the caller fills before each `write`; the first four of each phasor as
    phasor.Estimator gives them (in a rectangular FORMAT the first two are real and imaginary part, rms counts
    * 2^14), then the analogs (as on the wire; float FORMAT: in 10^-3 of their unit), then the digital words.
    A value may be ABSENT.
    """

    def __init__(self, pmu, idcode, scales, frequency_from=0):
        phasors = len(pmu.phasors)
        count = 4 * phasors + len(pmu.analogs) + len(pmu.digitals)
        self.values = array.array("i", bytes(4 * count))
        self.analogs = 4 * phasors  # place of the first analog in `values`
        self.digitals = self.analogs + len(pmu.analogs)
        fields = []

        def single(place, factor, base=0):
            fields.extend((place, _F32) + _single(factor) + (base,))

        def fixed(place, kind, factor):
            fields.extend((place, kind) + _fixed(factor) + (0,))

        for i, (phasor, scale) in enumerate(zip(pmu.phasors, scales)):
            unit = scale / (1 << 14)
            if pmu.phasors_float:
                single(4 * i, unit)
                single(4 * i + 1, 2 * math.pi / _ONE if pmu.polar else unit)
            else:
                unit /= phasor[2] * 1e-5
                fixed(4 * i, _U16 if pmu.polar else _S16, unit)
                fixed(4 * i + 1, _S16, 2e4 * math.pi / _ONE if pmu.polar else unit)
        deviation = 4 * frequency_from + 2
        if pmu.freq_float:
            single(deviation, 1e-6, pmu.f0_hz * 1000000)
            single(deviation + 1, 1e-3)
        else:
            fixed(deviation, _S16, 1e-3)
            fixed(deviation + 1, _S16, 0.1)
        for place in range(self.analogs, count):
            if place < self.digitals and pmu.analogs_float:
                single(place, 1e-3)
            else:
                fields.extend((place, _RAW, 0, 0, 0))
        self._fields = array.array("i", fields)
        self._rows = len(fields) // 5
        self.size = 16 + pmu.data_size  # of every frame, in bytes
        self.words = array.array("H", bytes(self.size - 2))  # the frame without its CHK
        self.words[0] = 0xAA01
        self.words[1] = self.size
        self.words[2] = idcode

    def write(self, buf, off, sec, fracsec, tq, stat):
        """Write the frame of `values` at buf[off]; returns its size. sec: SOC - 2^31; tq: the time quality byte."""
        words = self.words
        _stamp(words, sec, fracsec, tq << 16 | stat)
        _convert(self.values, self._fields, words, self._rows)
        write_words(buf, off, words, len(words))
        return self.size


def _fixed(factor):
    """(multiplier, shift) of a fixed-point factor below 1/2: v * factor = v * multiplier / 2^(30 + shift)."""
    shift = 1
    while factor * (1 << (shift + 1)) < 0.999 and shift < 24:
        shift += 1
    multiplier = round(factor * (1 << shift) * _ONE)
    if not 0 < multiplier < _ONE:
        raise ValueError("conversion factor %g is out of range: a larger PHUNIT is needed" % factor)
    return multiplier, shift


def _single(factor):
    """(multiplier, exponent + 1000) of a floating-point factor: multiplier * 2^exponent = factor."""
    mantissa, exponent = math.frexp(factor)
    return min(round(mantissa * _ONE), _ONE - 1), exponent - 30 + 1000
