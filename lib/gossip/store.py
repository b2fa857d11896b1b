"""The newest messages, whole: those that are being verified, and those from which others are served."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import diff

_PAYLOAD_MOST = const(1199)  # wire.py
_SIGNERS = const(15)
_REVOKE = const(4)
FREE, WAITS, HELD = range(3)  # WAITS: for its verification, nothing may come of it yet
_SIGNED = const(4)  # places for signed messages, and then for the others
_ALL = const(6)
_RIPE_MS = const(500)


def key_of(kind, origin):
    """What stands for an origin where sequence numbers are kept: what the utility's numbers did not sign is counted
    apart from what they signed, for anybody with the segment's key can make it."""
    return origin + 0x3FFFFFF0 if kind > _REVOKE and origin <= _SIGNERS else origin


class Kept:
    """A message: payload in buf[:size], the first byte is its type; flags: bits 0 to 5 of the head's.

    r: rounds for who gets it next, -1: nobody. sender: from whom it came, 0: started here. tries: periods in which
    it was insisted on, 0: nobody does; need: acknowledgements that lack then; by: who gave one. While it waits,
    need is the neighbour that wants an ACK.
    """

    def __init__(self):
        self.buf = bytearray(_PAYLOAD_MOST)
        self.state = FREE
        self.need = self.until = self.seq = 0

    def fill(self, state, flags, r, f, origin, seq, lifetime_s, sender, payload, now):
        self.state, self.flags, self.r, self.f, self.origin, self.seq = state, flags, r, f, origin, seq
        self.lifetime_s, self.sender, self.size = lifetime_s, sender, len(payload)
        self.buf[: self.size] = payload
        self.key = key_of(payload[0], origin)
        self.until = now + lifetime_s * 1000 & 0x3FFFFFFF
        self.need = self.tries = 0
        self.by = []

    def left(self, now):
        """Seconds of life for the next one; 0: it is over. A signature covers the whole lifetime, which then stays
        as it is."""
        left_ms = diff(self.until, now)
        if left_ms <= 0:
            return 0
        return self.lifetime_s if self.buf[0] <= _REVOKE else left_ms // 1000

    def ripe(self, now):
        """It is here for so long that it should be everywhere, and acknowledged."""
        return self.state == HELD and self.lifetime_s * 1000 - diff(self.until, now) > _RIPE_MS


class Store:
    """Six messages of any size, for ever the same memory."""

    def __init__(self):
        self.items = [Kept() for _ in range(_ALL)]
        self._turn = 0

    def find(self, key, seq):
        """A message that may be given away, or None."""
        for item in self.items:
            if item.state == HELD and item.key == key and item.seq == seq:
                return item

    def expire(self, now):
        for item in self.items:
            if item.state == HELD and not item.left(now):
                item.state = FREE

    def place(self, kind, waiting_most=9):
        """Where to put a message of that type, or None. One goes for it: of the signed ones, of which only so
        many wait, the oldest for which there is a newer of its type, else the oldest."""
        if kind > _REVOKE:
            self._turn ^= 1
            return self.items[_SIGNED + self._turn]
        best, value, waiting = None, None, 0
        for item in self.items[:_SIGNED]:
            if item.state == WAITS:
                waiting += 1
            else:
                new = (item.state and (1 if self._passed(item) else 2), item.seq)
                if not best or new < value:
                    best, value = item, new
        return best if waiting < waiting_most else None

    def _passed(self, item):
        for other in self.items[:_SIGNED]:
            same = other.state == HELD and other.buf[0] == item.buf[0] and other.key == item.key
            if same and other.seq > item.seq:
                return True
        return False
