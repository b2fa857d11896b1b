"""HMAC-SHA-256 (RFC 2104) with the key's pads made once: the hop seal, and seals under a node's own key."""

from hashlib import sha256

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_BLOCK = const(64)
_SEAL = const(8)  # wire.py


class Seal:
    """key: 1 to 64 bytes. `mac(part, ...)` of parts in turn; `close` and `good`: the hop seal, cut to 8 bytes. It
    covers the receiver's number too (`to`: four bytes, 0: whoever gets it), which is not sent."""

    def __init__(self, key):
        if not 1 <= len(key) <= _BLOCK:
            raise ValueError("key: %d bytes, but 1 to 64 are needed" % len(key))
        key = key + bytes(_BLOCK - len(key))
        self._inner = bytes([byte ^ 0x36 for byte in key])
        self._outer = bytes([byte ^ 0x5C for byte in key])

    def mac(self, *parts):
        """The 32 bytes over all of them."""
        inner = sha256(self._inner)
        for part in parts:
            inner.update(part)
        outer = sha256(self._outer)
        outer.update(inner.digest())
        return outer.digest()

    def close(self, buf, n, to):
        """Write the seal of buf[:n] behind it; where it ends."""
        mac = self.mac(memoryview(buf)[:n], to)
        for i in range(_SEAL):
            buf[n + i] = mac[i]
        return n + _SEAL

    def good(self, buf, n, to):
        """Whether buf[:n] ends with its seal."""
        n -= _SEAL
        return same(self.mac(memoryview(buf)[:n], to), buf, n, _SEAL)


def same(mac, buf, at, n):
    """Whether the first n bytes of mac are buf[at:at + n], in a time that does not tell where they differ."""
    wrong = 0
    for i in range(n):
        wrong |= mac[i] ^ buf[at + i]
    return not wrong
