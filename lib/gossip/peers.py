"""The peers that a node knows: sixteen bytes each, in one array."""

from struct import pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.wire import link_scope

ENTRY = const(16)  # number u32, IPv4 4, port u16, boot u16, role u8, age u8 (periods); own use: tokens u8, flags u8
_BOOT, _ROLE, _AGE, _TOKENS, _FLAGS = const(10), const(12), const(13), const(14), const(15)
_TOKENS_MOST = const(60)  # datagrams that a neighbour may send at once
_TCP = const(1)


class Peers:
    """number, role: this node's. size: most peers. randrange(n): 0..n-1.

    A peer is meant by its place 0..count-1, which holds until the next `learn` or `age`.
    """

    def __init__(self, number, role, size, randrange):
        self.number = number
        self.role = role
        self.count = 0
        self._size = size
        self._random = randrange
        self._array = bytearray(ENTRY * size)

    def index(self, number):
        """Place of a peer, -1: not known."""
        for i in range(self.count):
            if unpack_from(">I", self._array, ENTRY * i)[0] == number:
                return i
        return -1

    def learn(self, number, address, boot, role):
        """Place of a peer that is there: made known, or its address, boot and role are brought up to date.
        -1 if there is no link between these roles. Where there is no room, the one not heard for longest goes."""
        if not link_scope(self.role, role) or number == self.number:
            return -1
        i = self.index(number)
        if i < 0:
            i = self.count
            if i == self._size:
                i = self._oldest()
            else:
                self.count += 1
            self._array[ENTRY * i + _TOKENS] = _TOKENS_MOST
            self._array[ENTRY * i + _FLAGS] = 0
        pack_into(">I6sHBB", self._array, ENTRY * i, number, address, boot, role, 0)
        return i

    def _oldest(self):
        start, best = self._random(self._size), 0
        for k in range(self._size):
            i = (start + k) % self._size
            if not k or self._array[ENTRY * i + _AGE] > self._array[ENTRY * best + _AGE]:
                best = i
        return best

    def fresh(self, i, boot):
        """A datagram of this peer's boot came: False if that is older than what is known."""
        at = ENTRY * i
        ahead = boot - unpack_from(">H", self._array, at + _BOOT)[0] & 0xFFFF
        if ahead & 0x8000:
            return False
        if ahead:
            pack_into(">H", self._array, at + _BOOT, boot)
        self._array[at + _AGE] = 0
        return True

    def spend(self, i):
        """Whether this peer may send one more just now."""
        at = ENTRY * i + _TOKENS
        if not self._array[at]:
            return False
        self._array[at] -= 1
        return True

    def refill(self, tokens):
        """Give every peer its tokens of a while."""
        for i in range(self.count):
            at = ENTRY * i + _TOKENS
            self._array[at] = min(_TOKENS_MOST, self._array[at] + tokens)

    def number_at(self, i):
        return unpack_from(">I", self._array, ENTRY * i)[0]

    def address(self, i):
        """Six bytes: IPv4 and port."""
        return bytes(self._array[ENTRY * i + 4 : ENTRY * i + 10])

    def boot(self, i):
        return unpack_from(">H", self._array, ENTRY * i + _BOOT)[0]

    def role_at(self, i):
        return self._array[ENTRY * i + _ROLE]

    def tcp(self, i):
        """Whether UDP does not reach it."""
        return bool(self._array[ENTRY * i + _FLAGS] & _TCP)

    def scope(self, i):
        return link_scope(self.role, self._array[ENTRY * i + _ROLE])

    def pick(self, scope, count, skip=()):
        """Places of up to `count` peers on links of that scope, at random, none whose number is in `skip`."""
        found = [i for i in range(self.count) if self.scope(i) == scope and self.number_at(i) not in skip]
        for k in range(min(count, len(found))):
            j = k + self._random(len(found) - k)
            found[k], found[j] = found[j], found[k]
        return found[:count]
