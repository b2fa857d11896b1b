"""The bytes of a log: records, one after the other, none across the end of a block.

A record: kind << 12 | length (u16), number (u24), ticks (u24), CRC-32 (u32), payload; all big-endian.
number: the low 20 bits of the full one. ticks: the low 24 bits of milliseconds since boot. The CRC covers the
context that holds here, the 8 bytes in front of it and the payload: under another boot's context it is wrong.

The first record of a block is a HEAD, which sets the context; another one follows wherever that changes. Its
number is the count of stream records in the block (0: not known), its ticks are b"GM" and the version, its
payload: boot u32, chunk u32, ticks >> 24 u32 (these three are the context), SOC of the next record u32 or 0.
Zeros up to the end of a block are no records.
"""

from array import array
from struct import pack_into

try:
    import micropython
except ImportError:  # CPython: the same source as plain Python
    from plainviper import micropython, ptr8, ptr32

FRAME, UNTIMED, CONFIG, METER, EVENT = range(1, 6)
HEAD = 15

RECORD = 12  # bytes in front of a payload
CONTEXT = 12
BLOCK_HEAD = 28  # bytes of a HEAD

NUMBERS = 0xFFFFF  # of a chunk
SEQS = 0x1FFFFFFF  # sequence numbers in RAM: 29 bits that wrap, so that they never allocate
TICKS = 0x3FFFFFFF  # milliseconds since boot: 30 bits that wrap


def _table():
    table = array("I", bytes(64))
    for i in range(16):
        crc = i
        for _ in range(4):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
        table[i] = crc
    return table


_TABLE = _table()
del _table


@micropython.viper
def crc(buf: ptr8, at: int, context: ptr8, write: int) -> int:
    """Write the CRC-32 of the record at buf[at], or (write 0) return whether it is right: 1 or 0.

    The caller vouches for the record lying in buf, its length included: viper does not check.
    """
    table = ptr32(_TABLE)
    size = (buf[at] & 15) << 8 | buf[at + 1]
    value = -1
    part = 0
    src = context
    i = 0
    end = 12
    while part < 3:
        while i < end:
            value ^= src[i]
            value = (value >> 4 & 0x0FFFFFFF) ^ table[value & 15]
            value = (value >> 4 & 0x0FFFFFFF) ^ table[value & 15]
            i += 1
        src = buf
        i = at + 12 * part
        end = i + (8 if part == 0 else size)
        part += 1
    good = 1
    for i in range(4):
        byte = (value >> 24 - 8 * i & 255) ^ 255
        if write:
            buf[at + 8 + i] = byte
        elif buf[at + 8 + i] != byte:
            good = 0
    return good


@micropython.viper
def fill(dst: ptr8, at: int, src: ptr8, off: int):
    """Copy the payload of the record at dst[at], whose length is there already, from src[off]."""
    size = (dst[at] & 15) << 8 | dst[at + 1]
    at += 12
    for i in range(size):
        dst[at + i] = src[off + i]


@micropython.viper
def shift(buf: ptr8, to: int, at: int, size: int):
    """Copy buf[at:at + size] to buf[to], which is not behind `at`."""
    for i in range(size):
        buf[to + i] = buf[at + i]


@micropython.viper
def find(buf: ptr8, at: int, end: int) -> int:
    """The first place from `at` where a record may begin; at most where no more than 11 bytes are left."""
    end -= 11
    while at < end:
        kind = buf[at] >> 4
        if kind and kind < 6 or kind == 15 and buf[at] == 0xF0 and buf[at + 1] == 16:
            return at
        at += 1
    return at


def start(buf, at, kind, size, number, ticks):
    """The first 8 bytes of a record."""
    pack_into(
        ">HBHBH", buf, at, kind << 12 | size, number >> 16 & 15, number & 0xFFFF, ticks >> 16 & 255, ticks & 0xFFFF
    )


def get_u32(buf, at):
    return buf[at] << 24 | buf[at + 1] << 16 | buf[at + 2] << 8 | buf[at + 3]


def set_context(context, boot, chunk, ticks):
    """Fill the 12 bytes of a context; nothing is allocated while boot and chunk are below 2^30."""
    pack_into(">III", context, 0, boot, chunk, ticks >> 24)


def put_head(buf, at, context, soc=None, off=0):
    """A HEAD of this context at buf[at]; SOC is copied from soc[off:off + 4] when that is given."""
    start(buf, at, HEAD, 16, 0, 0x474D01)
    at += RECORD
    for i in range(CONTEXT):
        buf[at + i] = context[i]
    for i in range(4):
        buf[at + CONTEXT + i] = soc[off + i] if soc else 0
    crc(buf, at - RECORD, context, 1)


def is_head(buf, at, context):
    """Whether buf[at] is a good HEAD; `context` is then its context, and is overwritten in any case."""
    if buf[at] != 0xF0 or buf[at + 1] != 16 or buf[at + 7] != 1:
        return False
    for i in range(CONTEXT):
        context[i] = buf[at + RECORD + i]
    return crc(buf, at, context, 0) == 1
