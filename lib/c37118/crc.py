"""CRC-CCITT of C37.118.2 annex B: polynomial 1021, start FFFF, not reflected, no final XOR."""

from array import array

try:
    import micropython
except ImportError:  # CPython: the same source as plain Python
    from plainviper import micropython, ptr8, ptr16


def _table():
    table = array("H", bytes(512))
    for i in range(256):
        crc = i << 8
        for _ in range(8):
            crc = crc << 1 ^ (0x1021 if crc & 0x8000 else 0)
        table[i] = crc & 0xFFFF
    return table


TABLE = _table()
del _table


@micropython.viper
def crc_kernel(buf: ptr8, start: int, end: int) -> int:
    """CRC of buf[start:end]. The caller vouches for 0 <= start <= end <= len(buf): viper does not check."""
    table = ptr16(TABLE)
    crc = 0xFFFF
    for i in range(start, end):
        crc = (crc << 8 & 0xFFFF) ^ table[crc >> 8 ^ buf[i]]
    return crc


try:
    from binascii import crc_hqx  # the same polynomial, in C; CPython only
except ImportError:
    crc_ccitt = crc_kernel
else:

    def crc_ccitt(buf, start, end):
        """CRC of buf[start:end], as `crc_kernel`."""
        return crc_hqx(memoryview(buf)[start:end], 0xFFFF)
