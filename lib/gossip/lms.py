"""LMS signatures verified in slices (RFC 8554; the sets with SHA-256/192 are those of NIST SP 800-208)."""

from hashlib import sha256

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_CHAINS = (265, 133, 67, 34, 200, 101, 51, 26)  # p of the LM-OTS types 1 to 8: RFC 8554 table 1, SP 800-208 table 3
_PBLC = const(0x80)  # what a hash is of, each twice: RFC 8554, 7.1
_MESG = const(0x81)
_LEAF = const(0x82)
_INTR = const(0x83)


def _shape(public):
    """(n, w, p, h) of a public key (RFC 8554, 5.3: types, I, root), None if it is not one."""
    n = len(public) - 24
    if n not in (24, 32) or any(public[:3]) or any(public[4:7]):
        return None
    h, ots = public[3] - 4, public[7] - 1
    if n == 24:
        h -= 5
    if not 1 <= h <= 5 or ots >> 2 != (n == 24):
        return None
    return n, 1 << (ots & 3), _CHAINS[ots], 5 * h


def length(public):
    """Bytes of a signature under a public key; 0: the key is damaged, or of a type that is not known here."""
    shape = _shape(public)
    return 12 + shape[0] * (1 + shape[2] + shape[3]) if shape else 0


class Verifier:
    """Checks one signature at a time: begin(), then step() until it does not return None. Nothing raises."""

    def __init__(self):
        # The key and the signature at work; p chains, of which _i comes next, at its place _j (-1: not begun); when
        # all are done _i goes on up the tree, by _node.
        self._b = bytearray(55)  # I 16, q or node 4, chain 2, place in it 1, value n: RFC 8554, 4.4
        self._view = memoryview(self._b)
        self._head = self._view[:22]
        self._q = bytearray(34)  # the message's digest and its checksum
        self._i = self._p = 0
        self._public = None

    def begin(self, public, signature, *parts):
        """The signature (buffer) of a message in parts (buffers, in turn). False: it is refused at once.

        `signature` stays as it is until the end. Hashes the message; the rest is up to step().
        """
        shape = _shape(public)
        self._public = None
        if not shape or len(signature) != length(public):
            return False
        n, w, p, h = shape
        at = 8 + n * (1 + p)
        q = signature[0] << 24 | signature[1] << 16 | signature[2] << 8 | signature[3]
        if q >> h or bytes(signature[4:8]) != public[4:8] or bytes(signature[at : at + 4]) != public[:4]:
            return False
        self._public, self._signature, self._n, self._w, self._p = public, signature, n, w, p
        self._node, self._path = 1 << h | q, at + 4
        b = self._b
        b[:16] = public[8:24]
        b[16:20] = signature[:4]
        mesg = self._start(_MESG)
        mesg.update(signature[8 : 8 + n])
        for part in parts:
            mesg.update(part)
        digest = self._q
        digest[:32] = mesg.digest()
        digest[n] = digest[n + 1] = 0
        top = (1 << w) - 1
        total = 0
        for i in range(8 * n // w):  # algorithm 2
            total += top - self._coef(i)
        total <<= 16 - w * (p - 8 * n // w)
        digest[n], digest[n + 1] = total >> 8, total & 255
        self._keys = self._start(_PBLC)
        self._i, self._j = 0, -1
        self._value = self._view[: 23 + n]
        return True

    def _start(self, kind):
        """A hash that begins with I, q or node, and what it is of."""
        self._b[20] = self._b[21] = kind
        return sha256(self._head)

    def _coef(self, i):
        """Algorithm 1."""
        w = self._w
        i *= w
        return self._q[i >> 3] >> (8 - w - (i & 7)) & ((1 << w) - 1)

    def step(self, hashes):
        """Go on for at most so many hashes. None: there is more to do; else whether the signature is good."""
        if not self._public:
            return False
        n, i, j, b, value = self._n, self._i, self._j, self._b, self._value
        top = (1 << self._w) - 1
        while i < self._p:  # algorithm 4b
            if j < 0:
                at = 8 + n * (1 + i)
                b[23 : 23 + n] = self._signature[at : at + n]
                b[20], b[21] = i >> 8, i & 255
                j = self._coef(i)
            stop = min(top, j + hashes)
            hashes -= stop - j + 1
            while j < stop:
                b[22] = j
                b[23:] = sha256(value).digest()
                j += 1
            if j < top:
                break
            self._keys.update(value[23:])
            i, j = i + 1, -1
            if hashes <= 0:
                break
        self._i, self._j = i, j
        while hashes > 0:  # algorithm 6a
            self._put_node()
            if i == self._p:
                up = self._start(_LEAF)
                up.update(self._keys.digest()[:n])
            else:
                at = self._path + n * (i - self._p - 1)
                other = self._signature[at : at + n]
                up = self._start(_INTR)
                up.update(other if self._odd else self._tmp)
                up.update(self._tmp if self._odd else other)
            i += 1
            self._i = i
            hashes -= 1
            self._tmp = up.digest()[:n]
            self._odd = self._node & 1
            self._node >>= 1
            if not self._node:
                good = self._tmp == self._public[24:]
                self._public = None
                return good
        return None

    def _put_node(self):
        node = self._node
        for k in (19, 18, 17, 16):
            self._b[k] = node & 255
            node >>= 8
