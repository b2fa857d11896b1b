"""What every C37.118.2 frame has: SYNC, FRAMESIZE, IDCODE, SOC, FRACSEC, CHK (Table 2)."""

import struct

from c37118.crc import crc_ccitt

DATA, HEADER, CFG1, CFG2, COMMAND, CFG3 = 0, 1, 2, 3, 4, 5  # SYNC bits 6-4 (Table 2)
NAMES = ("data", "header", "CFG-1", "CFG-2", "command", "CFG-3")

SYNC = 0xAA
HEAD_SIZE = 14  # bytes before the body
MIN_SIZE = 16  # head and CHK
MAX_SIZE = 0xFFFF


class FrameError(ValueError):
    """Bytes that are no such frame, or a value that a frame cannot hold; the text says what and where."""


class NoConfiguration(FrameError):
    """A good data frame that nobody has described yet."""


def mismatch(field, offset, expected, found):
    return FrameError("%s at byte %d: expected %s, found %s" % (field, offset, expected, found))


def require(field, value, low, high):
    """`value` when it is an integer in low..high, else FrameError naming the field and its range."""
    if not isinstance(value, int):
        raise FrameError("%s %r is not an integer in %d..%d" % (field, value, low, high))
    if not low <= value <= high:
        raise FrameError("%s %d is outside %d..%d" % (field, value, low, high))
    return value


def to_latin1(field, text, limit):
    """Bytes of a str of at most `limit` characters U+0000..U+00FF (MicroPython knows UTF-8 only)."""
    if not isinstance(text, str):
        raise FrameError("%s %r is not a str" % (field, text))
    codes = [ord(c) for c in text]
    if len(codes) > limit:
        raise FrameError("%s %r: %d characters, at most %d fit" % (field, text, len(codes), limit))
    if codes and max(codes) > 0xFF:
        raise FrameError("%s %r: characters beyond U+00FF" % (field, text))
    return bytes(codes)


def from_latin1(raw):
    return "".join([chr(b) for b in raw])


def kind_name(kind):
    return "%d (%s)" % (kind, NAMES[kind] if kind < len(NAMES) else "unknown")


def kind_of(buf):
    """Frame type 0..7 of bytes that begin with SYNC; FrameError when they are too few or do not."""
    if len(buf) < MIN_SIZE:
        raise FrameError("frame of %d bytes: at least %d expected" % (len(buf), MIN_SIZE))
    if buf[0] != SYNC:
        raise mismatch("SYNC", 0, "AA", "%02X" % buf[0])
    return buf[1] >> 4 & 7


def verify(buf, kinds):
    """FrameError unless `buf` is one whole frame of one of `kinds` with its FRAMESIZE and CHK right."""
    kind = kind_of(buf)
    if kind not in kinds:
        raise mismatch("frame type", 1, " or ".join([kind_name(k) for k in kinds]), kind_name(kind))
    size = buf[2] << 8 | buf[3]
    if size != len(buf):
        raise mismatch("FRAMESIZE", 2, "%d (the bytes given)" % len(buf), size)
    crc, chk = crc_ccitt(buf, 0, size - 2), buf[size - 2] << 8 | buf[size - 1]
    if crc != chk:
        raise mismatch("CHK", size - 2, "%04X" % crc, "%04X" % chk)


class Frame:
    """The common head. Everything in it survives decoding and encoding unchanged.

    kind: DATA..CFG3; version 0..15; idcode u16 (0 and 65535 are reserved, but met and kept);
    soc: u32 seconds; tq: u8 time quality; fracsec: u24 in 1/TIME_BASE s; reserved: bit 7 of SYNC.
    """

    kind = None
    reserved = 0

    def __init__(self, idcode, soc, tq, fracsec, version):
        self.idcode = idcode
        self.soc = soc
        self.tq = tq
        self.fracsec = fracsec
        self.version = version

    def begin(self):
        """A bytearray with the head, FRAMESIZE still 0; FrameError when a field is out of range."""
        sync = require("SYNC reserved bit", self.reserved, 0, 1) << 7
        sync |= self.kind << 4 | require("version", self.version, 0, 15)
        stamp = require("TQ", self.tq, 0, 0xFF) << 24 | require("FRACSEC", self.fracsec, 0, 0xFFFFFF)
        idcode = require("IDCODE", self.idcode, 0, 0xFFFF)
        soc = require("SOC", self.soc, 0, 0xFFFFFFFF)
        return bytearray(struct.pack(">BBHHII", SYNC, sync, 0, idcode, soc, stamp))

    def with_head(self, buf):
        """This frame, with the head of the verified frame `buf` in place of its own."""
        self.idcode, self.soc, stamp = struct.unpack_from(">HII", buf, 4)
        self.tq, self.fracsec = stamp >> 24, stamp & 0xFFFFFF
        self.version, self.reserved = buf[1] & 15, buf[1] >> 7
        return self

    def __repr__(self):
        return "<%s frame of %s at %s + %s>" % (NAMES[self.kind], self.idcode, self.soc, self.fracsec)


def finish(buf):
    """The frame as bytes: writes FRAMESIZE into the bytearray and appends CHK."""
    size = require("FRAMESIZE", len(buf) + 2, MIN_SIZE, MAX_SIZE)
    buf[2], buf[3] = size >> 8, size & 0xFF
    return bytes(buf) + struct.pack(">H", crc_ccitt(buf, 0, size - 2))
