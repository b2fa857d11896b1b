"""What lacks is asked for: by who was told of it, by who finds a gap, by who knows that it is late."""

from struct import pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import diff, pairs, put_pairs
from gossip.seen import Seen

_HEAD = const(25)  # wire.py
_WAITS = const(1)  # store.py
_HELD = const(2)
_IHAVE = const(2)
_IWANT = const(3)
_DIGEST = const(4)
_DIGESTS = const(8)
_ENTRY = const(12)  # seen.py
_IED = const(1)
_METER = const(2)
_SSC = const(4)
_HAN = const(1)
_FAN = const(2)
_WAN = const(4)
_PUSH_PULL = const(3)
_REVOKE = const(4)
_QUERY = const(11)
_OK = const(0)
_RATE = const(11)
_DUPLICATE = const(13)
_WANTS_MOST = const(4)  # messages that are asked for, and answered, at once
_LACKS_MOST = const(8)  # messages that this node knows to lack
_PATIENCE_MS = const(500)  # for an answer, before another one that has it is asked; after so many
_QUICK = const(4)  # questions twice that, after one more four times, and so on, but
_DOUBLED = const(18)  # not beyond what so many give
_BEGS = const(8)  # questions for a message, until it is offered again
_CATCH_UP = const(4)  # periods of questions after the start, and where numbers are missing
_GIVES = const(2)  # for an IWANT
_GUESTS = const(4)  # a period, for all guests
_GIVE_TOKENS = const(4)
_ASKS = const(2)  # a period
_EAGER_PERIODS = const(16)  # that ask; later at 32, 64, ... periods
_ASK_MOST = const(1024)  # periods until who is late gives up
_GIVE = const(1)  # flags of a DIGEST: send me what I lack
_TAKE = const(2)  # I give you what you lack
_HOT = const(6)  # periods in which a push-pull message is offered


class Repair:
    """relay: Relay. period_ms; pull: periods between two questions without a reason, 0: never.

    `late()`: this node has cause to think that something is missing; 2 random peers a period are asked until a
    signed message has come, less and less often. `gap()`: numbers are missing, as may be after the start and after
    having been alone; for a few periods. `offers` and `offered`: what PROBE and MATCH carry.

    A question (DIGEST) says what came, so the answer gives and names all that the other one has beyond that. For a
    single message (IWANT) those alone are asked who said that they have it.
    """

    def __init__(self, relay, randrange, period_ms, pull, now):
        self._relay, self._end, self._peers = relay, relay.end, relay.peers
        self._period_ms, self._pull = period_ms, pull
        self._next = now + randrange(period_ms) & 0x3FFFFFFF
        self._wants = []  # [(key, number), number of who has it, questions, ticks of the last]
        self._theirs = Seen(_DIGESTS)  # of who asks
        self._late = False
        self._gap = _CATCH_UP
        self._now = now
        self._guests = _GUESTS
        self._tries = self._periods = self._hot = 0
        relay.repair = self
        self._end.on[_IHAVE] = self._ihave
        self._end.on[_IWANT] = self._iwant
        self._end.on[_DIGEST] = self._digest

    def late(self):
        if not self._late:
            self._late = True
            self._tries = 0

    def gap(self):
        self._gap = _CATCH_UP

    def _want(self, pair):
        """The entry of a message that lacks, None if it is here."""
        relay = self._relay
        if relay.seen.state(*pair):
            return None
        for item in relay.store.items:
            if item.state == _WAITS and (item.key, item.number) == pair:
                return None
        for want in self._wants:
            if want[0] == pair:
                return want
        self._wants = self._wants[1 - _LACKS_MOST :] + [[pair, 0, 0, 0]]
        return self._wants[-1]

    def _due(self, want, now):
        """Whether it may be asked for now: less and less often."""
        return not want[2] or diff(now, want[3]) > _PATIENCE_MS << max(min(want[2], _DOUBLED) - _QUICK, 0)

    def came(self, item):
        self._wants = [want for want in self._wants if want[0] != (item.key, item.number)]
        if item.buf[0] < 8:
            self._late = False
        if item.flags >> 3 & 3 == _PUSH_PULL:
            self._hot = _HOT

    def _ask(self, i, kind, r, size):
        self._relay.checks.asked(self._peers.number_at(i), self._now)
        self._end.post(i, kind, 7, r, 0, 0, 0, 0, size)

    def _told(self, found, i, r, now):
        """Peer i has these: ask it for those that are missing and that nobody was just asked for."""
        wants = []
        for pair in found:
            want = self._want(pair)
            if want:
                want[1] = self._peers.number_at(i)
                if self._due(want, now):
                    wants.append(want)
        return self._fetch(wants, i, r, now)

    def _fetch(self, wants, i, r, now):
        """Ask peer i for these."""
        del wants[_WANTS_MOST:]
        for want in wants:
            want[2] += 1
            want[3] = now
        if wants:
            self._ask(i, _IWANT, r, put_pairs(self._end.out, _HEAD, [want[0] for want in wants]) - _HEAD)
        return wants

    def _ihave(self, message, i, now):
        found = pairs(message.buf, _HEAD, min(message.size >> 3, _WANTS_MOST))
        return _OK if self._told(found, i, message.r, now) else _DUPLICATE

    def _iwant(self, message, i, now):
        found = []
        for pair in pairs(message.buf, _HEAD, min(message.size >> 3, _WANTS_MOST)):
            item = self._relay.store.find(*pair)
            if item:
                found.append(item)
        return self._give(found[:_GIVES], i, message.r, now)

    def _give(self, found, i, r, now):
        """Small questions make large answers: they cost the peer tokens, and all guests together, who may have a
        false address, get few."""
        if found and not self._peers.in_view(i):
            if not self._guests:
                return _RATE
            self._guests -= 1
            del found[1:]
        for item in found:
            if not self._peers.pay(i, _GIVE_TOKENS):
                return _RATE
            self._relay.give(item, i, r, now)
        return _OK

    def _digest(self, message, i, now):
        buf, size = message.buf, message.size - 1
        flags, at = buf[_HEAD], _HEAD + 1
        reason = _OK
        if flags & _GIVE:
            self._theirs.take(buf, at, size)
            reason = self._lacks(i, now)
        if flags & _TAKE:
            self._told([unpack_from(">II", buf, k) for k in range(at, at + size, _ENTRY)], i, 0, now)
        return reason

    def _lacks(self, i, now):
        """Give peer i the newest that it lacks, of what is signed if there is any; of the rest it is told, of keys
        and revocations first, for the others may hang on them. Where the newest would make the oldest one OLD to
        it, that comes first."""
        scope, theirs = self._peers.scope(i), self._theirs
        found = [
            item
            for item in self._relay.store.items
            if item.state == _HELD
            and item.flags & scope
            and item.buf[0] != _QUERY
            and not theirs.state(item.key, item.number)
        ]
        numbers = [item.number for item in found if item.buf[0] <= _REVOKE] or (0,)
        order = 1 if max(numbers) - min(numbers) > 31 else -1
        found.sort(key=lambda item: (item.buf[0] > _REVOKE, order * item.number))
        reason = self._give(found[:1], i, 0, now)
        if len(found) > 1 and not reason:
            del found[0]
            found.sort(key=lambda item: (item.buf[0] > _REVOKE, item.buf[0] & 1, order * item.number))
            found = [(item.key, item.number) for item in found[:_WANTS_MOST]]
            self._end.post(i, _IHAVE, 7, 0, 0, 0, 0, 0, put_pairs(self._end.out, _HEAD, found) - _HEAD)
        return reason

    def offered(self, key, number, i):
        """Peer i's PROBE or MATCH says that it has this."""
        self._told(((key, number),), i, 0, self._now)

    def offers(self):
        """[(key, highest number)] of what this node can give, 6 at most."""
        highest = {}
        for item in self._relay.store.items:
            if item.ripe(self._now) and item.number > highest.get(item.key, 0) and item.buf[0] != _QUERY:
                highest[item.key] = item.number
        return list(highest.items())

    def tick(self, now):
        """As often as is wanted."""
        self._now = now
        if diff(now, self._next) < 0:
            return
        self._next = now + self._period_ms & 0x3FFFFFFF
        self._guests = _GUESTS
        relay = self._relay
        relay.store.expire(now, relay.trust)
        relay.insist(now)
        relay.checks.age(now)
        self._periods += 1
        asks = 0
        if self._late:
            self._tries += 1
            if self._tries > _ASK_MOST:
                self._late = False
            elif self._tries <= _EAGER_PERIODS or not self._tries & self._tries - 1:
                asks = _ASKS
        if self._gap:
            asks = _ASKS
        if self._hot:
            self._hot -= 1
            if self._hot < _HOT - 1:  # not before it had the time to come everywhere
                self._inquire(1, _GIVE | _TAKE)
        elif asks:
            if not self._inquire(asks, _GIVE):
                self._gap = _CATCH_UP  # alone
            elif self._gap:
                self._gap -= 1
        elif self._pull and not self._periods % self._pull:
            self._inquire(1, _GIVE)
        self._beg(now)

    def _upward(self, count):
        """Random peers of whom one may expect that they have more."""
        role = self._peers.role
        scope = _HAN if role == _IED else _FAN if role == _METER or role == _SSC and self._periods & 1 else _WAN
        return self._peers.pick(scope, count) or self._peers.pick(_FAN + _WAN - scope, count)

    def _beg(self, now):
        """Ask again for what did not come."""
        for want in self._wants:
            i = self._peers.index(want[1])
            if i >= 0 and want[2] < _BEGS and self._due(want, now):
                who = want[1]
                self._fetch([want for want in self._wants if want[1] == who and self._due(want, now)], i, 0, now)

    def _inquire(self, count, flags):
        """Ask so many what this node lacks; how many there were."""
        out, at = self._end.out, _HEAD + 1
        asked = self._upward(count)
        for i in asked:
            out[_HEAD] = flags
            size = 0
            if flags & _TAKE:
                for key, number in self.offers():
                    pack_into(">IIi", out, at + size, key, number, -1)
                    size += _ENTRY
            else:
                size = self._relay.seen.digest(out, at)
            self._ask(i, _DIGEST, 0, 1 + size)
        return len(asked)
