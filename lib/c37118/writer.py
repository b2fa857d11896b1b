"""Data frames of one PMU, written in place from measured integers: the hot path of a node."""

import array
import math

from c37118.crc import TABLE

try:
    import micropython
except ImportError:  # CPython: the same source as plain Python
    from plainviper import micropython, ptr8, ptr16, ptr32

# CRC of two bytes at a time: the table for the lower byte of a word, then the one for the upper.
_PAIRS = array.array("H", list(TABLE) + [((t << 8) & 0xFFFF) ^ TABLE[t >> 8] for t in TABLE])

# What becomes of a value v, in rows of `fields`: (place of v in `values`, kind, multiplier, shift or exponent).
_S16 = 0  # round(v * multiplier / 2^(30 + shift)), kept within -32767..32767; absent: 8000
_U16 = 1  # the same within 0..65535; absent: 0, since the angle beside it says so
_F32 = 2  # v * multiplier * 2^(exponent - 1000) as an IEEE 754 single: two words; absent: NaN
_RAW = 3  # the low 16 bits as they are

_SOC, _FRACSEC, _STAT = 3, 5, 7  # places in `words`; the body begins at 8

ABSENT = -0x3FFFFFFF  # a value that could not be measured
_ONE = 1 << 30


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
def _convert(values: ptr16, fields: ptr32, words: ptr16, count: int):
    """Turn measured values into the words of the frame's body, as `count` rows of `fields` say."""
    w = 8
    f = 0
    for _ in range(count):
        i = int(fields[f]) * 2
        kind = int(fields[f + 1])
        m = int(fields[f + 2])
        shift = int(fields[f + 3])
        f += 4
        low = int(values[i])
        v = (((int(values[i + 1]) ^ 0x8000) - 0x8000) << 16) | low
        absent = v == -0x3FFFFFFF
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
        self.values = array.array("i", bytes(4 * (count + 2)))
        self.analogs = 4 * phasors  # place of the first analog in `values`
        self.digitals = self.analogs + len(pmu.analogs)
        self._freq = count
        self._from = 4 * frequency_from + 2
        self._base = pmu.f0_hz * 1000000 if pmu.freq_float else 0
        rows = []
        for i, (phasor, scale) in enumerate(zip(pmu.phasors, scales)):
            unit = scale / (1 << 14)
            if pmu.phasors_float:
                rows.append((4 * i, _F32) + _single(unit))
                rows.append((4 * i + 1, _F32) + _single(2 * math.pi / _ONE if pmu.polar else unit))
            else:
                count = _fixed(unit / (phasor[2] * 1e-5))
                rows.append((4 * i, _U16 if pmu.polar else _S16) + count)
                rows.append((4 * i + 1, _S16) + (_fixed(2e4 * math.pi / _ONE) if pmu.polar else count))
        rows.append(
            (self._freq, _F32) + _single(1e-6) if pmu.freq_float else (self._freq, _S16) + _fixed(1e-3)
        )
        rows.append(
            (self._freq + 1, _F32) + _single(1e-3) if pmu.freq_float else (self._freq + 1, _S16) + _fixed(0.1)
        )
        for i in range(len(pmu.analogs)):
            rows.append(
                (self.analogs + i, _F32) + _single(1e-3)
                if pmu.analogs_float
                else (self.analogs + i, _RAW, 0, 0)
            )
        for i in range(len(pmu.digitals)):
            rows.append((self.digitals + i, _RAW, 0, 0))
        self._fields = array.array("i", [n for row in rows for n in row])
        self._rows = len(rows)
        self.size = 18 + sum([4 if row[1] == _F32 else 2 for row in rows])  # of every frame, in bytes
        self.words = array.array("H", bytes(self.size - 2))  # the frame without its CHK
        self.words[0] = 0xAA01
        self.words[1] = self.size
        self.words[2] = idcode

    def write(self, buf, off, sec, fracsec, tq, stat):
        """Write the frame of `values` at buf[off]; returns its size. sec: SOC - 2^31; tq: the time quality byte."""
        values = self.values
        deviation = values[self._from]
        values[self._freq] = deviation if deviation == ABSENT else deviation + self._base
        values[self._freq + 1] = values[self._from + 1]
        words = self.words
        _convert(values, self._fields, words, self._rows)
        words[_SOC] = ((sec >> 16) & 0xFFFF) ^ 0x8000
        words[_SOC + 1] = sec & 0xFFFF
        words[_FRACSEC] = tq << 8 | fracsec >> 16
        words[_FRACSEC + 1] = fracsec & 0xFFFF
        words[_STAT] = stat
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
