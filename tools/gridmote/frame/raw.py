"""Whole C37.118 frames as bytes: what the adapter needs of them without decoding their body.

Layout of the common part: C37.118.2-2011 Table 2.
"""

from c37118.crc import crc_ccitt
from c37118.frame import CFG1, MIN_SIZE, SYNC, FrameError

# Bits 4 (pending) and 5 (occurred) of the time quality byte. An inserted leap second repeats a SOC and only
# these two tell its frames apart; bit 6 (direction) says what kind of second, not which one, and is left out.
LEAP_BITS = 0x30
_LEAP_DELETE = 0x40
_TQ_NO_TIME = 0x0F  # MSG_TQ F: clock fault, time not reliable


def whole_frames(payload):
    """-> list of bytes: the frames of which `payload` (bytes) wholly consists, in their order.

    Raises FrameError naming the offset when anything in it is not a whole frame with SYNC, size and CHK good.
    """
    frames = []
    start = 0
    while start < len(payload):
        end = _frame_end(payload, start)
        frames.append(bytes(payload[start:end]))
        start = end
    return frames


def untimed_frames(payload):
    """A PMU-UNTIMED payload -> (boot u32, [(number u48, ticks u32 in ms, frame bytes)]).

    Big-endian: boot, then before each frame its number and ticks. FrameError as in whole_frames().
    """
    if len(payload) < 4:
        raise FrameError("%d bytes are less than a boot number" % len(payload))
    records = []
    start = 4
    while start < len(payload):
        if len(payload) - start < 10:
            raise FrameError("%d bytes at offset %d are less than number and ticks" % (len(payload) - start, start))
        number = int.from_bytes(payload[start:start + 6], "big")
        ticks = int.from_bytes(payload[start + 6:start + 10], "big")
        end = _frame_end(payload, start + 10)
        records.append((number, ticks, bytes(payload[start + 10:end])))
        start = end
    return int.from_bytes(payload[:4], "big"), records


def _frame_end(payload, start):
    """-> offset after the frame that begins at `start`; FrameError when it is none, or not whole."""
    left = len(payload) - start
    if not left or payload[start] != SYNC:
        raise FrameError("no SYNC at offset %d" % start)
    if left < MIN_SIZE:
        raise FrameError("%d bytes at offset %d are less than a frame" % (left, start))
    size = payload[start + 2] << 8 | payload[start + 3]
    if size < MIN_SIZE or size > left:
        raise FrameError("FRAMESIZE %d at offset %d, %d bytes there" % (size, start, left))
    end = start + size
    chk = payload[end - 2] << 8 | payload[end - 1]
    if crc_ccitt(payload, start, end - 2) != chk:
        raise FrameError("bad CHK at offset %d" % start)
    return end


def idcode_of(frame):
    return frame[4] << 8 | frame[5]


def identity(frame):
    """-> (idcode, soc, leap, fracsec): with its topic, what makes a frame the same frame.

    In this order tuples of one topic and IDCODE sort by time, an inserted leap second included
    (its frames are "pending", those of the second after it, of the same SOC, "occurred").
    """
    return (
        idcode_of(frame),
        int.from_bytes(frame[6:10], "big"),
        frame[10] & LEAP_BITS,
        int.from_bytes(frame[11:14], "big"),
    )


def leap_step(frame):
    """-> seconds that the SOC fails to count where this frame is the first after a leap second: 1 or -1."""
    return -1 if frame[10] & _LEAP_DELETE else 1


def stamp_us(frame, time_base):
    """-> microseconds since 1970 by SOC and FRACSEC; time_base: that of its configuration."""
    soc, fracsec = int.from_bytes(frame[6:10], "big"), int.from_bytes(frame[11:14], "big")
    return soc * 1_000_000 + fracsec * 1_000_000 // time_base


def has_time(frame):
    """-> bool, whether the frame's sender knew the time."""
    return frame[10] & 0x0F != _TQ_NO_TIME and frame[6:10] != b"\0\0\0\0"


def grid_of(config):
    """CFG-1 or CFG-2 (bytes) -> (TIME_BASE 1..2^24-1, DATA_RATE frames/s or, negative, -seconds/frame).

    Raises FrameError when either is 0.
    """
    time_base = int.from_bytes(config[15:18], "big")
    rate = int.from_bytes(config[-4:-2], "big", signed=True)
    if not time_base or not rate:
        raise FrameError("TIME_BASE %d and DATA_RATE %d: neither may be 0" % (time_base, rate))
    return time_base, rate


def same_config(one, other):
    """-> bool, whether two configuration frames say the same, their stamps (and so CHK) apart."""
    return one[:6] == other[:6] and one[14:-2] == other[14:-2]


def as_cfg1(cfg2):
    """Bytes of a CFG-2 frame -> bytes of the CFG-1 frame with the same content and stamp."""
    frame = bytearray(cfg2)
    frame[1] = frame[1] & 0x8F | CFG1 << 4
    frame[-2:] = crc_ccitt(frame, 0, len(frame) - 2).to_bytes(2, "big")
    return bytes(frame)
