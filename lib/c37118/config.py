"""Configuration frames 1 and 2 (Tables 8 and 9). CFG-3 will be a neighbour of this file."""

import struct

from c37118.frame import (
    CFG1,
    CFG2,
    HEAD_SIZE,
    MIN_SIZE,
    Frame,
    finish,
    from_latin1,
    mismatch,
    require,
    to_latin1,
    verify,
)

POLAR, PHASORS_FLOAT, ANALOGS_FLOAT, FREQ_FLOAT = 1, 2, 4, 8  # FORMAT bits (Table 9)
VOLTAGE, CURRENT = 0, 1  # first byte of PHUNIT
FNOM_50_HZ = 1  # FNOM bit 0

_NAME_SIZE = 16


class PmuConfig:
    """One PMU of a configuration. Values as on the wire, so that encoding gives back every byte.

    stn: str; idcode, fmt (FORMAT), fnom, cfgcnt: u16; phasors: [(name, kind u8, factor u24)], the factor
    in 10^-5 V or A a count; analogs: [(name, type u8, factor s24)]; digitals: [(16 names, least
    significant bit first, normal u16, valid u16)]. Names: at most 16 characters U+0000..U+00FF,
    trailing blanks stripped.
    """

    def __init__(self, stn, idcode, fmt, phasors=(), analogs=(), digitals=(), fnom=FNOM_50_HZ, cfgcnt=0):
        self.stn = stn
        self.idcode = idcode
        self.fmt = fmt
        self.phasors = phasors
        self.analogs = analogs
        self.digitals = digitals
        self.fnom = fnom
        self.cfgcnt = cfgcnt
        self._shape = self._layout = None

    @property
    def polar(self):
        return bool(self.fmt & POLAR)

    @property
    def phasors_float(self):
        return bool(self.fmt & PHASORS_FLOAT)

    @property
    def analogs_float(self):
        return bool(self.fmt & ANALOGS_FLOAT)

    @property
    def freq_float(self):
        return bool(self.fmt & FREQ_FLOAT)

    @property
    def f0_hz(self):
        return 50 if self.fnom & FNOM_50_HZ else 60

    @property
    def data_size(self):
        """Bytes of this PMU in a data frame."""
        return struct.calcsize(self.layout[0])

    @property
    def layout(self):
        """(struct format, byte offsets of the float32 values) of this PMU's block in a data frame."""
        shape = (self.fmt, len(self.phasors), len(self.analogs), len(self.digitals))
        if shape != self._shape:
            self._shape, self._layout = shape, self._lay_out()
        return self._layout

    def _lay_out(self):
        codes, floats, offset = ">H", [], 2
        runs = (
            ("ff" if self.phasors_float else "Hh" if self.polar else "hh", len(self.phasors)),
            ("ff" if self.freq_float else "hh", 1),
            ("f" if self.analogs_float else "h", len(self.analogs)),
            ("H", len(self.digitals)),
        )
        for code, count in runs:
            size = struct.calcsize(">" + code) * count
            if code[0] == "f":
                floats.extend(range(offset, offset + size, 4))
            codes += code * count
            offset += size
        return codes, floats

    def encode_into(self, buf, which):
        """Appends this PMU to a bytearray; `which` names it in a FrameError."""

        def name(field, text):
            raw = to_latin1(which + field, text, _NAME_SIZE)
            buf.extend(raw + b" " * (_NAME_SIZE - len(raw)))

        def word(field, value):
            buf.extend(struct.pack(">H", require(which + field, value, 0, 0xFFFF)))

        def unit(field, kind, factor, low, high):
            require(which + field + " type", kind, 0, 0xFF)
            require(which + field + " factor", factor, low, high)
            buf.extend(struct.pack(">I", kind << 24 | factor & 0xFFFFFF))

        name("STN", self.stn)
        word("IDCODE", self.idcode)
        word("FORMAT", self.fmt)
        word("PHNMR", len(self.phasors))
        word("ANNMR", len(self.analogs))
        word("DGNMR", len(self.digitals))
        for channel in list(self.phasors) + list(self.analogs):
            name("CHNAM", channel[0])
        for labels, _, _ in self.digitals:
            require(which + "number of CHNAM in a digital word", len(labels), 16, 16)
            for label in labels:
                name("CHNAM", label)
        for _, kind, factor in self.phasors:
            unit("PHUNIT", kind, factor, 0, 0xFFFFFF)
        for _, kind, factor in self.analogs:
            unit("ANUNIT", kind, factor, -0x800000, 0x7FFFFF)
        for _, normal, valid in self.digitals:
            word("DIGUNIT normal state", normal)
            word("DIGUNIT valid bits", valid)
        word("FNOM", self.fnom)
        word("CFGCNT", self.cfgcnt)

    @classmethod
    def decode_from(cls, buf, offset, end, which):
        """(PmuConfig, offset after it) from buf[offset:end]; FrameError when it does not fit in there."""

        def fits(size, what):
            if offset + size > end:
                raise mismatch(which + what, offset, "%d bytes" % size, "%d left" % (end - offset))

        def names(at, count):
            return [from_latin1(buf[i : i + _NAME_SIZE]).rstrip(" ")
                    for i in range(at, at + count * _NAME_SIZE, _NAME_SIZE)]

        fits(26, "STN to DGNMR")
        stn = names(offset, 1)[0]
        idcode, fmt, phnmr, annmr, dgnmr = struct.unpack_from(">5H", buf, offset + _NAME_SIZE)
        offset += 26
        fits(20 * (phnmr + annmr) + 260 * dgnmr + 4, "CHNAM to CFGCNT")
        chnam = names(offset, phnmr + annmr + 16 * dgnmr)
        offset += _NAME_SIZE * len(chnam)
        units = []
        for i in range(phnmr + annmr):
            unit = struct.unpack_from(">I", buf, offset)[0]
            units.append((chnam[i], unit >> 24, unit & 0xFFFFFF))
            offset += 4
        analogs = [(name, kind, (factor ^ 0x800000) - 0x800000) for name, kind, factor in units[phnmr:]]
        digitals = []
        for i in range(phnmr + annmr, len(chnam), 16):
            digitals.append((chnam[i : i + 16],) + struct.unpack_from(">HH", buf, offset))
            offset += 4
        fnom, cfgcnt = struct.unpack_from(">HH", buf, offset)
        return cls(stn, idcode, fmt, units[:phnmr], analogs, digitals, fnom, cfgcnt), offset + 4


class Config(Frame):
    """A CFG-1 or CFG-2 frame.

    pmus: list of PmuConfig; rate: DATA_RATE s16 (> 0 frames a second, < 0 seconds a frame);
    kind: CFG1 or CFG2; time_base: u32, the low 24 bits count, the flags above are kept.
    """

    def __init__(self, idcode, pmus, rate, kind=CFG2, time_base=1_000_000, soc=0, tq=0, fracsec=0, version=1):
        Frame.__init__(self, idcode, soc, tq, fracsec, version)
        self.pmus = pmus
        self.rate = rate
        self.kind = kind
        self.time_base = time_base

    @property
    def data_size(self):
        """Bytes of a data frame of this configuration (Table 5)."""
        return MIN_SIZE + sum([pmu.data_size for pmu in self.pmus])

    def encode(self):
        require("frame type of a configuration", self.kind, CFG1, CFG2)
        buf = self.begin()
        time_base = require("TIME_BASE", self.time_base, 0, 0xFFFFFFFF)
        buf.extend(struct.pack(">IH", time_base, require("NUM_PMU", len(self.pmus), 0, 0xFFFF)))
        for i, pmu in enumerate(self.pmus):
            pmu.encode_into(buf, "PMU %d: " % i)
        buf.extend(struct.pack(">h", require("DATA_RATE", self.rate, -0x8000, 0x7FFF)))
        return finish(buf)

    @classmethod
    def decode(cls, buf):
        verify(buf, (CFG1, CFG2))
        if len(buf) < 24:
            raise mismatch("FRAMESIZE", 2, "at least 24 for a configuration", len(buf))
        time_base, count = struct.unpack_from(">IH", buf, HEAD_SIZE)
        offset, end = 20, len(buf) - 4
        pmus = []
        for i in range(count):
            pmu, offset = PmuConfig.decode_from(buf, offset, end, "PMU %d of %d: " % (i, count))
            pmus.append(pmu)
        if offset != end:
            raise mismatch("FRAMESIZE", 2, "%d for the %d PMUs described" % (offset + 4, count), len(buf))
        rate = struct.unpack_from(">h", buf, end)[0]
        return cls(0, pmus, rate, buf[1] >> 4 & 7, time_base).with_head(buf)
