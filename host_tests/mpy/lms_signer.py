"""Signs as a utility does and, for attackers, as it must not: LMS keys of SHA-256/192, w = 8, on both Pythons."""

from hashlib import sha256
from struct import pack

_P = 26


class Key:
    """Only the first `real` leaves can sign, which makes it quick; sign() takes one as often as it is told to."""

    def __init__(self, epoch, h=5, real=4, secret=b"secret"):
        self._secret = secret
        self._i = bytes([epoch]) + sha256(secret + b"I%d" % epoch).digest()[:15]
        self._type = pack(">I", 10 if h == 5 else 11)
        self._h = h
        leaves = [self._leaf(q) if q < real else sha256(b"%d" % q).digest()[:24] for q in range(1 << h)]
        self._nodes = {(1 << h) + q: leaf for q, leaf in enumerate(leaves)}
        for r in range((1 << h) - 1, 0, -1):
            self._nodes[r] = self._hash(r, b"\x83\x83", self._nodes[2 * r] + self._nodes[2 * r + 1])
        self.epoch = epoch
        self.public = self._type + pack(">I", 8) + self._i + self._nodes[1]

    def _hash(self, number, kind, data):
        return sha256(self._i + pack(">I", number) + kind + data).digest()[:24]

    def _chain(self, q, i, count):
        value = self._hash(q, pack(">H", i) + b"\xff", self._secret)
        for j in range(count):
            value = self._hash(q, pack(">HB", i, j), value)
        return value

    def _leaf(self, q):
        ends = b"".join([self._chain(q, i, 255) for i in range(_P)])
        return self._hash((1 << self._h) + q, b"\x82\x82", self._hash(q, b"\x80\x80", ends))

    def sign(self, q, message, randomizer=bytes(24)):
        digest = self._hash(q, b"\x81\x81", randomizer + message)
        digest += pack(">H", sum([255 - byte for byte in digest]))
        values = b"".join([self._chain(q, i, byte) for i, byte in enumerate(digest)])
        path, r = b"", (1 << self._h) + q
        while r > 1:
            path += self._nodes[r ^ 1]
            r >>= 1
        return pack(">II", q, 8) + randomizer + values + self._type + path

    def message(self, q, seq, kind=1, body=b"a table", since=1000, until=5000, origin=1, reach=7, lifetime_s=60):
        """The payload of a signed DATA; begin() takes it with (reach, origin, seq, lifetime_s)."""
        payload = pack(">BBIIH", kind, self.epoch, since, until, len(body)) + body
        head = b"gridmote1" + pack(">BIIH", reach, origin, seq, lifetime_s)
        return payload + self.sign(q, head + payload, sha256(body + b"%d" % seq).digest()[:24])
