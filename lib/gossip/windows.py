"""Which numbers came: of each row the highest, and a bit for each of the 32 up to it, in eight bytes."""

from struct import pack_into, unpack_from


def known(windows, row, number):
    """0: it (from 1 on) did not come; 1: it came; 2: nobody knows, it is older than its row tells of."""
    high, bits = unpack_from(">II", windows, 8 * row)
    back = high - number
    if back < 0:
        return 0
    return 2 if back > 31 else bits >> back & 1


def mark(windows, row, number):
    """It came."""
    high, bits = unpack_from(">II", windows, 8 * row)
    ahead = number - high
    if ahead > 0:
        high, bits = number, (bits << min(ahead, 32) | 1) & 0xFFFFFFFF
    else:
        bits |= 1 << -ahead
    pack_into(">II", windows, 8 * row, high, bits)
