"""Datagrams in a TCP stream, for peers that UDP does not reach: two bytes of length before each."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_LEAST = const(33)  # wire.py: head and seal
_MOST = const(1232)


class Splitter:
    """Read at most `wanted` bytes into buf[n:], then say `took(how many)`: the size of a datagram in buf[:size],
    which stays until more is read; 0: more is needed; -1: this is no such stream, close it. Never raises."""

    def __init__(self):
        self.buf = bytearray(_MOST)
        self.begin()

    def begin(self):
        """Another stream."""
        self.n = 0
        self.wanted = 2
        self._size = 0  # of the datagram that is read, 0: its length is

    def took(self, count):
        self.n += count
        self.wanted -= count
        if self.wanted:
            return 0
        size, self.n, self._size, self.wanted = self._size, 0, 0, 2
        if not size:
            self._size = self.wanted = self.buf[0] << 8 | self.buf[1]
            if not _LEAST <= self.wanted <= _MOST:
                self._size, self.wanted = 0, 2
                return -1
        return size
