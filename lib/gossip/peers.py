"""The peers that a node knows: sixteen bytes each, in one array (docs/gossip-wire.md, peers)."""

from struct import pack, pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import link_scope

_ENTRY = const(16)  # number u32, IPv4 4, port u16, boot u16, role | services << 4, age (periods), tokens, flags
_BOOT = const(10)
_ROLE = const(12)
_AGE = const(13)
_TOKENS = const(14)
_FLAGS = const(15)
_TCP = const(1)  # flags; bits 4 to 6 count the probes since it was heard
_FAR = const(2)  # a long link: displaced by another such only
_GUEST = const(4)
_HEARD = const(8)
_MISS = const(16)
_STATE = const(12)  # _HEARD alone: in the view; with _GUEST: beside it; neither: hearsay
_VIEW = const(8)
_STALE = const(10)  # wire.REASONS
_RATE = const(11)
_STRANGER = const(12)
_NUMBER_MOST = const(0x3FFFFFFF)
_BESIDE = const(12)  # places beside the view
_GUESTS = const(8)  # more of them do not take the place of hearsay
_TOKENS_MOST = const(60)  # datagrams that a peer may send at once
_GUEST_TOKENS = const(240)  # all guests together
_SILENT = const(48)  # periods in silence
_MISSES = const(5)  # probes without an answer
_MOVED = const(2)  # probes without an answer until another address is believed
_DOUBT = const(24)  # periods in silence that one is treated like whose number another address uses
_SHARE = const(2)  # size >> _SHARE members of a role are not displaced by other roles
_FARS = const(2)  # long links to each role
_TURN = const(16)  # one in so many of those met at second hand takes the place of a long link


class Peers:
    """number, role: this node's. size: most peers in its view; 12 more places are for guests (they send to us, we
    do not choose them) and for hearsay (second-hand, not yet heard). randrange(n): 0..n-1.

    A peer is meant by its place 0..count-1, which holds until the next `learn`. `swaps`: who may still come into a
    full view this period in another's place.
    """

    def __init__(self, number, role, size, randrange):
        self.number = number
        self.role = role
        self.size = size
        self.count = 0
        self.swaps = 1
        self._guest_tokens = _GUEST_TOKENS
        self._random = randrange
        self._array = bytearray(_ENTRY * (size + _BESIDE))

    def index(self, number):
        """Place of a peer, -1: not known."""
        key, at, end = pack(">I", number), -1, _ENTRY * self.count
        while True:
            at = self._array.find(key, at + 1, end)
            if at < 0 or not at % _ENTRY:
                return at // _ENTRY  # -1 // 16 is -1

    def meet(self, message, address):
        """Who sent this message, made for our boot, from `address`: its place, or -reason."""
        i = self.index(message.sender)
        a, at = self._array, _ENTRY * i
        if i < 0 or not a[at + _FLAGS] & _HEARD:
            if not self._guest_tokens:
                return -_RATE
            i = self.learn(message.sender, address, message.boot, message.role)
            if i < 0:
                return -_STRANGER
            self._guest_tokens -= 1
            at = _ENTRY * i
        else:
            if message.boot - self.boot(i) & 0x8000:
                return -_STALE
            same, flags, age = a[at + 4 : at + _BOOT] == address, a[at + _FLAGS], a[at + _AGE]
            if a[at + _ROLE] & 15 != message.role:
                return -_STRANGER
            if not (same or flags >> 4 >= _MOVED or message.tcp and flags & _TCP):
                a[at + _AGE] = max(age, _DOUBT)  # somebody else under its number, or did it move? It is probed soon
                return -_STRANGER
            pack_into(">6sH", a, at + 4, address, message.boot)
            a[at + _AGE] = 0
            a[at + _FLAGS] = flags & (15 if same else 15 - _TCP)
        if message.tcp:
            a[at + _FLAGS] |= _TCP
        if a[at + _FLAGS] & _GUEST:
            if not self._guest_tokens:
                return -_RATE
            self._guest_tokens -= 1
        else:
            if not a[at + _TOKENS]:
                return -_RATE
            a[at + _TOKENS] -= 1
        return i

    def learn(self, number, address, boot, role):
        """Place of a peer that is there: made known, or its address, boot and role are brought up to date.
        -1 if there is no link between these roles, or no place. It comes into the view where there is room."""
        if not link_scope(self.role, role) or number == self.number:
            return -1
        a, i = self._array, self.index(number)
        told = i >= 0
        if not told:
            i = self._place(True)
            if i < 0:
                return -1
        at = _ENTRY * i
        flags = a[at + _FLAGS]
        if not flags & _HEARD:
            a[at + _TOKENS] = _TOKENS_MOST
            longs = self.some(role, _VIEW | _FAR, _STATE | _FAR)
            if told and (len(longs) < _FARS or not self._random(_TURN)) and self._room(role, True):
                if len(longs) >= _FARS:
                    a[_ENTRY * longs[0] + _FLAGS] -= _FAR
                flags |= _VIEW | _FAR
            else:
                flags |= _VIEW if self._room(role, False) else _STATE
        pack_into(">I6sHBB", a, at, number, address, boot, role | a[at + _ROLE] & 0xF0, 0)
        a[at + _FLAGS] = flags & 15
        return i

    def hear_of(self, buf, at, i):
        """An entry that peer i told: kept as hearsay, if it can be a peer in the scope that i is in."""
        number, ip, port = unpack_from(">IIH", buf, at)
        role = buf[at + _ROLE] & 15
        if (
            0 < number <= _NUMBER_MOST
            and 0 < ip >> 24 < 224
            and port
            and role in (1, 2, 4, 8)
            and link_scope(self.role, role) == self.scope(i)
            and number != self.number
            and self.index(number) < 0
        ):
            i = self._place(False)
            if i >= 0:
                self._array[_ENTRY * i : _ENTRY * i + _AGE] = buf[at : at + _AGE]

    def _place(self, heard):
        """An empty place for somebody new, -1: none. Nobody of the view goes for that."""
        i, a = self.count, self._array
        if _ENTRY * i < len(a):
            self.count += 1
        else:
            found, guests = self.some(15, 0, _HEARD), self.some(15, _STATE)
            if found and not (heard and len(guests) >= _GUESTS):
                i = self._any(found)
            else:
                i = self._silent(guests)
                if i < 0 or not (heard or a[_ENTRY * i + _AGE] > 1):
                    return -1
        a[_ENTRY * i : _ENTRY * i + _ENTRY] = bytes(_ENTRY)
        return i

    def some(self, roles=15, state=_VIEW, mask=_STATE):
        """Places of the peers of these roles whose flags are `state` under `mask`: those of the view."""
        a = self._array
        return [
            at // _ENTRY
            for at in range(0, _ENTRY * self.count, _ENTRY)
            if a[at + _FLAGS] & mask == state and a[at + _ROLE] & roles
        ]

    def _any(self, found):
        """Take a random one out of these."""
        return found.pop(self._random(len(found)))

    def _room(self, role, swap):
        """Whether one more of that role finds room in the view, if need be in the place of one whose role has more
        than its share; with `swap` in that of any of its own role."""
        share = self.size >> _SHARE
        if len(self.some()) < self.size:
            return True
        if len(self.some(role)) < share:
            found = [
                i for i in self.some(15 - role, _VIEW, _STATE | _FAR) if len(self.some(self.role_at(i))) > share
            ]
        elif swap and self.swaps:
            found = self.some(role, _VIEW, _STATE | _FAR)
            self.swaps -= 1
        else:
            return False
        if not found:
            return False
        self._array[_ENTRY * self._any(found) + _FLAGS] |= _GUEST
        return True

    def link(self, i, wanted, swap):
        """Peer i has this node in its view, or wants to (wanted), or not. Whether it is in ours, now."""
        at, role = _ENTRY * i + _FLAGS, self.role_at(i)
        flags = self._array[at]
        if flags & _GUEST:
            if wanted and self._room(role, swap):
                self._array[at] -= _GUEST
                return True
            return False
        if not wanted and not flags & _FAR and len(self.some(role)) > self.size >> _SHARE:
            self._array[at] |= _GUEST
            return False
        return True

    def age(self):
        """A period has passed. Who was silent for too long is hearsay again, and never chosen."""
        a, self.swaps = self._array, 1
        for at in range(0, _ENTRY * self.count, _ENTRY):
            if a[at + _AGE] < 255:
                a[at + _AGE] += 1
            if a[at + _AGE] >= _SILENT or a[at + _FLAGS] >= _MISSES * _MISS:
                a[at + _FLAGS] &= 255 - _FAR - _STATE

    def _silent(self, found):
        """Of these the one not heard for longest, -1: of none. Each probe that it did not answer puts it back by 4
        periods, and that it is a guest by 24."""
        best, most = -1, -256
        for i in found:
            flags = self._array[_ENTRY * i + _FLAGS]
            rank = self._array[_ENTRY * i + _AGE] - (flags >> 4) * 4 - (flags & _GUEST) * 6
            if rank > most:
                best, most = i, rank
        return best

    def oldest(self):
        """Whom to probe, -1: nobody."""
        return self._silent(self.some(15, _HEARD, _HEARD))

    def other(self):
        """Whom to contact beyond the view: hearsay, less often the more it was in vain, and guests while the view
        has room; -1: nobody now."""
        found = self.some(15, 0, _HEARD)
        if len(self.some()) < self.size:
            found += self.some(15, _STATE)
        if found:
            i = self._any(found)
            if not self._random(1 + (self._array[_ENTRY * i + _FLAGS] >> 4)):
                return i
        return -1

    def probed(self, i):
        """A probe went to peer i."""
        if self._array[_ENTRY * i + _FLAGS] < 7 * _MISS:
            self._array[_ENTRY * i + _FLAGS] += _MISS

    def sample_into(self, buf, at, i, roles, most):
        """Write entries of up to `most` peers for peer i, only of the scope that it is in; where they end."""
        found = self.some(roles & 15, _HEARD, _HEARD | _TCP)
        while found and most:
            k = self._any(found)
            if k != i and self.scope(i) == self.scope(k) == link_scope(self.role_at(i), self.role_at(k)):
                buf[at : at + _TOKENS] = self._array[_ENTRY * k : _ENTRY * k + _TOKENS]
                buf[at + _TOKENS] = buf[at + _FLAGS] = 0
                at += _ENTRY
                most -= 1
        return at

    def refill(self, tokens):
        """Give every peer its tokens of a while, and guests together twice as many."""
        self._guest_tokens = min(_GUEST_TOKENS, self._guest_tokens + 2 * tokens)
        for at in range(_TOKENS, _ENTRY * self.count, _ENTRY):
            self._array[at] = min(_TOKENS_MOST, self._array[at] + tokens)

    def pay(self, i, tokens):
        """Take tokens of peer i beyond that of its datagram; False: it has not so many."""
        at = _ENTRY * i + _TOKENS
        paid = self._array[at] >= tokens
        if paid:
            self._array[at] -= tokens
        return paid

    def number_at(self, i):
        return unpack_from(">I", self._array, _ENTRY * i)[0]

    def address(self, i):
        """Six bytes: IPv4 and port."""
        return bytes(self._array[_ENTRY * i + 4 : _ENTRY * i + 10])

    def boot(self, i):
        return unpack_from(">H", self._array, _ENTRY * i + _BOOT)[0]

    def role_at(self, i):
        return self._array[_ENTRY * i + _ROLE] & 15

    def services(self, i):
        """What it offers: 1 gossip, 2 plain requests, at the same address; 0: not told yet."""
        return self._array[_ENTRY * i + _ROLE] >> 4

    def serves(self, i, services):
        self._array[_ENTRY * i + _ROLE] = self.role_at(i) | services << 4

    def tcp(self, i):
        """Whether UDP does not reach it."""
        return bool(self._array[_ENTRY * i + _FLAGS] & _TCP)

    def in_view(self, i):
        return self._array[_ENTRY * i + _FLAGS] & _STATE == _VIEW

    def scope(self, i):
        return link_scope(self.role, self.role_at(i))

    def pick(self, scope, count, skip=(), roles=15):
        """Places of up to `count` peers of the view on links of that scope, at random, none whose number is in
        `skip`."""
        found, picked = self.some(roles), []
        while found and len(picked) < count:
            i = self._any(found)
            if self.scope(i) == scope and self.number_at(i) not in skip:
                picked.append(i)
        return picked
