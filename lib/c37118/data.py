"""Data frames (Table 5), and their values in engineering units.

This is the readable way, for hosts and tests; a node writes its frames with `writer.DataWriter`.
"""

import math
import struct

from c37118.frame import DATA, HEAD_SIZE, Frame, FrameError, finish, mismatch, require, verify

ABSENT = -0x8000  # clause 6.3.1: marks a phasor that is not there, in int16 formats

_NAN = float("nan")
_INF = float("inf")
_FLOAT32_LIMIT = 2.0**128 - 2.0**103  # from here on float32 rounds to infinity


def _float32(field, value):
    if not isinstance(value, (int, float)):
        raise FrameError("%s %r is not a number" % (field, value))
    if abs(value) >= _FLOAT32_LIMIT and abs(value) != _INF:
        raise FrameError("%s %r is outside the range of float32" % (field, value))
    return value


def _count(field, value, low, high):
    """The nearest integer, FrameError outside low..high."""
    if value != value or abs(value) == _INF:
        raise FrameError("%s %r is no number of counts: %d..%d" % (field, value, low, high))
    return require(field, round(value), low, high)


class PmuData:
    """One PMU's block. Raw values as on the wire: integers, or floats where FORMAT says float32.

    stat u16; phasors [(magnitude or real, angle or imaginary)]; freq, dfreq; analogs; digitals [u16].
    `config` below is always the PmuConfig that the block belongs to.
    """

    nan_bits = None  # {offset in the block: 4 bytes} of NaNs whose bits Python's float does not keep

    def __init__(self, stat, phasors, freq, dfreq, analogs=(), digitals=()):
        self.stat = stat
        self.phasors = phasors
        self.freq = freq
        self.dfreq = dfreq
        self.analogs = analogs
        self.digitals = digitals

    @classmethod
    def measured(cls, config, stat, phasors, frequency_hz, rocof_hz_s, analogs=(), digitals=()):
        """A block from engineering units, rounded to counts; phasors: complex V or A, None when absent."""
        raw = [_phasor_raw(config, i, value) for i, value in enumerate(phasors)]
        freq, dfreq = frequency_hz, rocof_hz_s
        if not config.freq_float:
            freq = _count("FREQ", (frequency_hz - config.f0_hz) * 1000, -0x8000, 0x7FFF)
            dfreq = _count("DFREQ", rocof_hz_s * 100, -0x8000, 0x7FFF)
        if not config.analogs_float:
            analogs = [_count("ANALOG %d" % i, value / (config.analogs[i][2] or 1), -0x8000, 0x7FFF)
                       for i, value in enumerate(analogs)]
        return cls(stat, raw, freq, dfreq, analogs, digitals)

    def phasor(self, config, i):
        """Phasor i as a complex number of V or A (RMS), None when it is marked absent."""
        a, b = self.phasors[i]
        if config.phasors_float:
            if a != a or b != b:
                return None
            scale = 1.0
        else:
            if b == ABSENT and (config.polar or a == ABSENT):
                return None
            scale = config.phasors[i][2] * 1e-5
            if config.polar:
                b *= 1e-4
        if config.polar:
            # float32 may carry an infinite angle, of which there is no sine
            return complex(a * scale * math.cos(b), a * scale * math.sin(b)) if abs(b) != _INF else None
        return complex(a * scale, b * scale)

    def frequency_hz(self, config):
        """int16 is the deviation from nominal in mHz, float32 the actual frequency (Table 5)."""
        return self.freq if config.freq_float else config.f0_hz + self.freq / 1000

    def rocof_hz_s(self, config):
        """int16 is Hz/s times 100; float32 is unscaled, as all implementations send it."""
        return self.dfreq if config.freq_float else self.dfreq / 100

    def analog(self, config, i):
        """An int16 count times the factor of ANUNIT (0 stands for 1); float32 as it is."""
        return self.analogs[i] if config.analogs_float else self.analogs[i] * (config.analogs[i][2] or 1)

    @classmethod
    def decode_from(cls, buf, offset, config):
        """The block at buf[offset:], whose length the caller has checked."""
        codes, float_offsets = config.layout
        values = struct.unpack_from(codes, buf, offset)
        n = 1 + 2 * len(config.phasors)
        end = n + 2 + len(config.analogs)
        phasors = [(values[i], values[i + 1]) for i in range(1, n, 2)]
        analogs, digitals = list(values[n + 2 : end]), list(values[end:])
        block = cls(values[0], phasors, values[n], values[n + 1], analogs, digitals)
        if float_offsets:
            again = struct.pack(codes, *values)
            if again != bytes(buf[offset : offset + len(again)]):
                block._keep_nans(buf, offset, again, float_offsets)
        return block

    def _keep_nans(self, buf, offset, again, float_offsets):
        self.nan_bits = {}
        for i in float_offsets:
            word = bytes(buf[offset + i : offset + i + 4])
            if word != again[i : i + 4]:
                self.nan_bits[i] = word

    def encode(self, config, which=""):
        """The block's bytes; FrameError naming `which`, the field and its range."""
        values = [require(which + "STAT", self.stat, 0, 0xFFFF)]

        def add(field, value, is_float, low=-0x8000, high=0x7FFF):
            field = which + field
            values.append(_float32(field, value) if is_float else require(field, value, low, high))

        for field, have, want in (
            ("PHASORS", self.phasors, config.phasors),
            ("ANALOG", self.analogs, config.analogs),
            ("DIGITAL", self.digitals, config.digitals),
        ):
            if len(have) != len(want):
                raise FrameError("%s%s: %d given, %d configured" % (which, field, len(have), len(want)))
        parts = ("magnitude", 0, 0xFFFF, "angle") if config.polar else ("real", -0x8000, 0x7FFF, "imaginary")
        for i, (a, b) in enumerate(self.phasors):
            add("PHASOR %d %s" % (i, parts[0]), a, config.phasors_float, parts[1], parts[2])
            add("PHASOR %d %s" % (i, parts[3]), b, config.phasors_float)
        add("FREQ", self.freq, config.freq_float)
        add("DFREQ", self.dfreq, config.freq_float)
        for i, value in enumerate(self.analogs):
            add("ANALOG %d" % i, value, config.analogs_float)
        for i, value in enumerate(self.digitals):
            add("DIGITAL %d" % i, value, False, 0, 0xFFFF)
        out = struct.pack(config.layout[0], *values)
        return self._with_nans(out) if self.nan_bits else out

    def _with_nans(self, out):
        out = bytearray(out)
        for i, word in self.nan_bits.items():
            value = struct.unpack_from(">f", out, i)[0]
            if value != value:  # still the NaN that was decoded
                out[i : i + 4] = word
        return out


def _phasor_raw(config, i, value):
    field = "PHASOR %d" % i
    if config.phasors_float:
        if value is None:
            return (_NAN, _NAN)
        return (abs(value), _angle(value)) if config.polar else (value.real, value.imag)
    if value is None:
        return (0 if config.polar else ABSENT, ABSENT)
    scale = config.phasors[i][2] * 1e-5
    if not scale:
        raise FrameError(field + ": PHUNIT factor 0 cannot express any value, 1..16777215 can")
    if config.polar:
        return (_count(field + " magnitude", abs(value) / scale, 0, 0xFFFF), round(_angle(value) * 1e4))
    # 8000 means absent
    return (_count(field + " real", value.real / scale, -0x7FFF, 0x7FFF),
            _count(field + " imaginary", value.imag / scale, -0x7FFF, 0x7FFF))


def _angle(value):
    return math.atan2(value.imag, value.real)


class Data(Frame):
    """A data frame; pmus: list of PmuData in the order of the configuration."""

    kind = DATA

    def __init__(self, idcode, soc, tq, fracsec, pmus, version=1):
        Frame.__init__(self, idcode, soc, tq, fracsec, version)
        self.pmus = pmus

    def encode(self, config):
        """config: the Config of the stream; FrameError when the frame does not fit it."""
        if len(self.pmus) != len(config.pmus):
            raise FrameError("PMU blocks: %d given, %d configured" % (len(self.pmus), len(config.pmus)))
        buf = self.begin()
        for i, block in enumerate(self.pmus):
            buf.extend(block.encode(config.pmus[i], "PMU %d: " % i))
        return finish(buf)

    @classmethod
    def decode(cls, buf, config):
        verify(buf, (DATA,))
        frame = cls(0, 0, 0, 0, None).with_head(buf)
        if frame.idcode != config.idcode:
            raise mismatch("IDCODE", 4, "%d (the configuration's)" % config.idcode, frame.idcode)
        size = config.data_size
        if size != len(buf):
            raise mismatch("FRAMESIZE", 2, "%d (by the configuration)" % size, len(buf))
        frame.pmus, offset = [], HEAD_SIZE
        for pmu in config.pmus:
            frame.pmus.append(PmuData.decode_from(buf, offset, pmu))
            offset += pmu.data_size
        return frame
