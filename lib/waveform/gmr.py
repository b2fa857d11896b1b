"""The recording format that a node replays (.gmr): its head.

Little-endian: "GMR1", u32 length of the head, u32 CRC-32 of the head, the head (JSON: fs_hz, f0_hz, samples,
loop = [start, length] or null, channels of name, kind, phase, scale), then int16 counts, sample by sample.
"""

import json
import struct
from binascii import crc32

_MAX_BYTES = 1 << 30  # seek positions stay small integers


class RecordingError(ValueError):
    """A recording cannot be used: says what and where."""


def read_head(path, file):
    """The head of an open .gmr file as (dict, offset of the first sample), checked against its size."""
    fixed = file.read(12)
    if len(fixed) < 12 or fixed[:4] != b"GMR1":
        raise RecordingError("%s: no recording (GMR1 expected at byte 0)" % path)
    length, crc = struct.unpack("<II", fixed[4:])
    size = file.seek(0, 2)
    if length > size - 12:
        raise RecordingError("%s: cut off in its head (%d of %d bytes)" % (path, size, 12 + length))
    file.seek(12)
    raw = file.read(length)
    if crc32(raw) != crc:
        raise RecordingError("%s: damaged head (checksum of bytes 12 to %d)" % (path, 12 + length))
    try:
        head = json.loads(raw)
        want = 12 + length + 2 * len(head["channels"]) * head["samples"]
    except (ValueError, KeyError, TypeError) as e:
        raise RecordingError("%s: head not understood: %r" % (path, e))
    if size != want:
        raise RecordingError("%s: %d bytes where the head says %d" % (path, size, want))
    if size >= _MAX_BYTES:
        raise RecordingError("%s: larger than 1 GiB" % path)
    return head, 12 + length


def head_bytes(head):
    """All that comes before the first sample."""
    raw = json.dumps(head).encode()
    raw += b" " * (-(12 + len(raw)) % 8)
    return b"GMR1" + struct.pack("<II", len(raw), crc32(raw)) + raw
