"""The newest messages, whole: those that are being verified, and those from which others are served."""

from struct import unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import diff

_SIGNERS = const(15)  # wire.py
_KEY = const(2)
_REVOKE = const(4)
_FREE = const(0)  # states of a place: it
_WAITS = const(1)  # waits for its verification, nothing may come of it yet,
_HELD = const(2)  # is held
_SIGNED = const(7)  # places for signed messages (four tables, one of each other type), and then for the others
_ALL = const(9)
_NUMBER_MOST = const(0x3FFFFFFF)
_VALID = const(0xFFFF)  # lifetime_s of a signed message: as long as it is valid
_RIPE_MS = const(500)


def pair_of(buf, at, size, origin, seq):
    """(origin, sequence) by which the message with the payload buf[at:at + size] is known where numbers are kept.

    What the utility's numbers did not sign is counted apart from what they signed, for anybody with the segment's
    key can make it. What the recovery key signed counts by its leaf, as of origin 0: a thief can use up all others.
    """
    kind = buf[at]
    if kind > _REVOKE:
        return origin + 0x3FFFFFF0 if origin <= _SIGNERS else origin, seq
    if kind in (_KEY, _REVOKE) and not buf[at + 1] and size > 16:
        end = 12 + unpack_from(">H", buf, at + 10)[0]
        if end + 4 <= size:
            leaf = unpack_from(">I", buf, at + end)[0]
            if leaf < _NUMBER_MOST:
                return 0, leaf + 1
    return origin, seq


class Kept:
    """A message: payload in buf[:size], the first byte is its type; flags: bits 0 to 5 of the head's.

    r: rounds for who gets it next, -1: nobody. sender: from whom it came, 0: started here. tries: periods in which
    it was insisted on, 0: nobody does; need: acknowledgements that lack then; by: who gave one. While it waits,
    need is the neighbour that wants an ACK. key, number: pair_of.
    """

    def __init__(self):
        self.buf = b""  # grows to what was the largest in this place
        self.state = _FREE
        self.need = self.until = self.number = 0

    def fill(self, state, flags, r, f, origin, seq, lifetime_s, sender, payload, now):
        self.state, self.flags, self.r, self.f, self.origin, self.seq = state, flags, r, f, origin, seq
        self.lifetime_s, self.sender, self.size = lifetime_s, sender, len(payload)
        self.buf[: self.size] = payload
        self.key, self.number = pair_of(payload, 0, len(payload), origin, seq)
        self.until = now + lifetime_s * 1000 & 0x3FFFFFFF
        self.need = self.tries = 0
        self.by = []

    def room(self, size):
        """Whether there is memory for a payload of that size; what was here is gone then."""
        if len(self.buf) < size:
            try:
                self.buf = bytearray(size)
                self.state = _FREE
            except MemoryError:
                return False
        return True

    def left(self, now):
        """Seconds of life for the next one; 0: it is over. A signature covers the whole lifetime, which then stays
        as it is."""
        left_ms = diff(self.until, now)
        if self.buf[0] <= _REVOKE and (left_ms > 0 or self.lifetime_s == _VALID):
            return self.lifetime_s
        return max(left_ms, 0) // 1000

    def ripe(self, now):
        """It is here for so long that it should be everywhere, and acknowledged."""
        return self.state == _HELD and self.lifetime_s * 1000 - diff(self.until, now) > _RIPE_MS


class Store:
    """Nine messages of any size: never more memory than nine of the largest take."""

    def __init__(self):
        self.items = [Kept() for _ in range(_ALL)]
        self._turn = 0

    def find(self, key, number):
        """A message that may be given away, or None; as pair_of has them."""
        for item in self.items:
            if item.state == _HELD and item.key == key and item.number == number:
                return item

    def expire(self, now, trust):
        """What nobody takes any more goes."""
        for item in self.items:
            if item.state == _HELD:
                if not item.left(now) or trust and item.buf[0] <= _REVOKE and trust.over(item.buf):
                    item.state = _FREE
                elif diff(item.until, now) < 0:
                    item.until = now  # which a difference of ticks can tell

    def place(self, kind, size, waiting_most=9):
        """Where to put a message of that type and size, or None. One goes for it: of the signed ones, of which only
        so many wait, one for which there is a newer of its type if there is any, the one that is over first."""
        if kind > _REVOKE:
            self._turn ^= 1
            best = self.items[_SIGNED + self._turn]
        else:
            best = self._signed(size, waiting_most)
        return best if best and best.room(size) else None

    def _signed(self, size, waiting_most):
        best, value, waiting = None, None, 0
        for item in self.items[:_SIGNED]:
            if item.state == _WAITS:
                waiting += 1
            else:
                small = item.state == _FREE and len(item.buf) < size
                until = unpack_from(">I", item.buf, 6)[0] if item.state else 0
                new = (item.state and (1 if self._passed(item) else 2), small, until, item.number)
                if not best or new < value:
                    best, value = item, new
        return best if waiting < waiting_most else None

    def _passed(self, item):
        for other in self.items[:_SIGNED]:
            same = other.state == _HELD and other.buf[0] == item.buf[0] and other.key == item.key
            if same and other.number > item.number:
                return True
        return False
