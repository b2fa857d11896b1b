"""Frames of a node that did not know the time, moved to the time that it learned later."""

import math
import struct

from c37118.crc import crc_ccitt
from timebase.quality import quality

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_POLAR = const(1)  # FORMAT bits (Table 9)
_FLOAT = const(2)
_ABSENT = const(-0x8000)  # clause 6.3.1
_FAR = 2e38  # NaN, infinite, or turned no longer a float32
_MODIFIED = const(0x0200)  # STAT bit 9
_PMU_TQ = const(0x01C0)  # STAT bits 8-6
_DATA = const(0x00)  # SYNC bits 6-4, in place
_CFG2 = const(0x30)


class Restamp:
    """Moves the data frames of one configuration, and the configuration frame itself.

    config: bytes that begin with the CFG-2 frame of one PMU; ValueError if they do not.
    size: of its data frames, in bytes.

    offset, as the moves take it: (sec, us, at_sec, error_us, drift_ppm). The frames are stamped on a second
    scale of the node's own; true time is that plus `sec` seconds and `us` (0..999999) microseconds, which was
    learned at second `at_sec` of the own scale to within `error_us` (None: not known), and that scale runs off
    by `drift_ppm` at most, before and after. Time quality and PMU_TQ then state the sum, for seconds rounded up.

    True on success. False if what lies at buf[off] is not such a frame, which then stays as it is. CHK is
    written anew and not checked: whoever keeps frames has a checksum of his own over them.
    """

    def __init__(self, config):
        if len(config) < 46 or not _is(config, 0, _CFG2) or config[18] << 8 | config[19] != 1:
            raise ValueError("no CFG-2 frame of one PMU")
        self._config_size, self._idcode = struct.unpack_from(">HH", config, 2)
        self._time_base = struct.unpack_from(">I", config, 14)[0] & 0xFFFFFF
        fmt, phasors, analogs, digitals = struct.unpack_from(">4H", config, 38)
        size = 54 + 20 * (phasors + analogs) + 260 * digitals
        if self._config_size != size or len(config) < size or not self._time_base:
            raise ValueError("damaged CFG-2 frame")
        self._f0 = 50 if config[size - 7] & 1 else 60  # FNOM
        self._polar = fmt & _POLAR
        self._code = ">ff" if fmt & _FLOAT else ">Hh" if self._polar else ">hh"
        self._step = struct.calcsize(self._code)
        self._phasors_size = phasors * self._step
        freq_size, analog_size = 8 if fmt & 8 else 4, 4 if fmt & 4 else 2
        self.size = 18 + self._phasors_size + freq_size + analogs * analog_size + 2 * digitals

    def move(self, buf, off, offset):
        """Move the data frame at buf[off]: its stamp, qualities and, as their reference is UTC, its angles."""
        if not self._fits(buf, off, _DATA, self.size):
            return False
        stat = self._stamp(buf, off, offset) | _MODIFIED
        stat |= struct.unpack_from(">H", buf, off + 14)[0] & ~_PMU_TQ
        struct.pack_into(">H", buf, off + 14, stat)
        turn = self._f0 * offset[1] % 1000000  # in 10^-6
        if turn:
            self._rotate(buf, off + 16, -2 * math.pi * turn / 1000000)
        self._check(buf, off, self.size)
        return True

    def move_config(self, buf, off, offset):
        """Move the CFG-2 frame at buf[off]."""
        if not self._fits(buf, off, _CFG2, self._config_size):
            return False
        self._stamp(buf, off, offset)
        self._check(buf, off, self._config_size)
        return True

    def _fits(self, buf, off, kind, size):
        if len(buf) < off + size or not _is(buf, off, kind):
            return False
        return struct.unpack_from(">HH", buf, off + 2) == (size, self._idcode)

    def _stamp(self, buf, off, offset):
        """Write SOC, FRACSEC and MSG_TQ, keep the leap second bits; the STAT bits of that quality."""
        sec, us, at_sec, error_us, drift_ppm = offset
        base = self._time_base
        soc, stamp = struct.unpack_from(">II", buf, off + 6)
        fraction = stamp & 0xFFFFFF
        if error_us is not None:
            away_s = soc - at_sec
            error_us += (-away_s if away_s < 0 else away_s + (fraction > 0)) * drift_ppm
        tq, stat = quality(error_us)
        fraction += (us * base + 500000) // 1000000
        soc = soc + sec + fraction // base & 0xFFFFFFFF
        struct.pack_into(">II", buf, off + 6, soc, (stamp >> 24 & 0xF0 | tq) << 24 | fraction % base)
        return stat

    def _rotate(self, buf, at, angle):
        """Turn every phasor by `angle` radians, -2 pi to 0; those that are marked absent stay so."""
        end = at + self._phasors_size
        if self._code == ">Hh":
            _turn(buf, at + 2, end, round(angle * 10000), round((angle + 2 * math.pi) * 10000))
            return
        cosine, sine = math.cos(angle), math.sin(angle)
        for place in range(at, end, self._step):
            a, b = struct.unpack_from(self._code, buf, place)
            if self._code == ">hh":
                if a != _ABSENT or b != _ABSENT:
                    real = _count(a * cosine - b * sine)
                    struct.pack_into(">hh", buf, place, real, _count(a * sine + b * cosine))
            elif abs(a) + abs(b) < _FAR:
                if self._polar:
                    b += angle
                    b -= 2 * math.pi * round(b / (2 * math.pi))
                else:
                    a, b = a * cosine - b * sine, a * sine + b * cosine
                struct.pack_into(">ff", buf, place, a, b)

    def _check(self, buf, off, size):
        end = off + size - 2
        struct.pack_into(">H", buf, end, crc_ccitt(buf, off, end))


def _is(buf, off, kind):
    return buf[off] == 0xAA and buf[off + 1] & 0x70 == kind


def _turn(buf, at, end, down, up):
    """Add to the int16 angles `down`, or what is a turn more if that leaves less than -pi. The usual format, and
    by `struct` a phasor takes three times as long."""
    for place in range(at, end, 4):
        raw = buf[place] << 8 | buf[place + 1]
        if raw != 0x8000:
            raw = (raw ^ 0x8000) - 0x8000
            raw += down if raw + down >= -31416 else up
            buf[place] = raw >> 8 & 0xFF
            buf[place + 1] = raw & 0xFF


def _count(value):
    return max(-0x7FFF, min(0x7FFF, round(value)))
