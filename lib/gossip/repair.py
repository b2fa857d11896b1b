"""What lacks is asked for: by who was told of it, by who finds a gap, by who knows that it is late."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import diff, pairs, put_pairs

_HEAD = const(25)  # wire.py
_WAITS = const(1)  # store.py
_HELD = const(2)
_IHAVE = const(2)
_IWANT = const(3)
_DIGEST = const(4)
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
_PATIENCE_MS = const(500)  # for an answer, before another one that has it is asked
_GIVES = const(2)  # for an IWANT
_GUESTS = const(4)  # a period, for all guests
_GIVE_TOKENS = const(4)
_ASKS = const(2)  # a period
_EAGER_PERIODS = const(16)  # that ask; later at 32, 64, ... periods
_ASK_MOST = const(1024)
_GIVE = const(1)  # flags of a DIGEST: send me what I lack
_TAKE = const(2)  # I give you what you lack
_HOT = const(6)  # periods in which a push-pull message is offered


class Repair:
    """relay: Relay. period_ms; pull: periods between two questions without a reason, 0: never.

    `late()`: this node has cause to think that something is missing; 2 random peers a period are asked until a
    signed message has come, less and less often. `offers` and `offered`: what PROBE and MATCH carry.
    """

    def __init__(self, relay, randrange, period_ms, pull, now):
        self._relay, self._end, self._peers = relay, relay.end, relay.peers
        self._period_ms, self._pull = period_ms, pull
        self._next = now + randrange(period_ms) & 0x3FFFFFFF
        self._wants = []  # [key, seq, rounds, ticks when it was asked for]
        self._late = False
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

    def want(self, key, seq, r):
        """Ask for this one. Its entry, which is new if nobody was asked yet; None if it is there."""
        relay = self._relay
        if relay.seen.state(key, seq):
            return None
        for item in relay.store.items:
            if item.state == _WAITS and item.key == key and item.seq == seq:
                return None
        for want in self._wants:
            if want[0] == key and want[1] == seq:
                return want
        if len(self._wants) == _WANTS_MOST:
            self._wants.pop(0)
        self._wants.append([key, seq, r, -1])
        self._tries = 0
        return self._wants[-1]

    def came(self, item):
        self._wants = [want for want in self._wants if want[0] != item.key or want[1] != item.seq]
        if item.key == item.origin and item.buf[0] < 8:
            self._late = False
        if item.flags >> 3 & 3 == _PUSH_PULL:
            self._hot = _HOT

    def _ask(self, i, kind, r, size):
        self._relay.checks.asked(self._peers.number_at(i), self._now)
        self._end.post(i, kind, 7, r, 0, 0, 0, 0, size)

    def _told(self, found, i, r, now):
        """Peer i has these: ask it for those that are missing and that nobody was just asked for."""
        asked = []
        for key, seq in found:
            want = self.want(key, seq, r)
            if want and (want[3] < 0 or diff(now, want[3]) > _PATIENCE_MS) and len(asked) < _WANTS_MOST:
                want[3] = now
                asked.append((key, seq))
        if asked:
            self._ask(i, _IWANT, r, put_pairs(self._end.out, _HEAD, asked) - _HEAD)
        return bool(asked)

    def _ihave(self, message, i, now):
        found = pairs(message.buf, _HEAD, min(message.size >> 3, _WANTS_MOST))
        return _OK if self._told(found, i, message.r, now) else _DUPLICATE

    def _iwant(self, message, i, now):
        found = []
        for key, seq in pairs(message.buf, _HEAD, min(message.size >> 3, _WANTS_MOST)):
            item = self._relay.store.find(key, seq)
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
        flags = message.buf[_HEAD]
        found = pairs(message.buf, _HEAD + 1, message.size >> 3)
        reason = _OK
        if flags & _GIVE:
            reason = self._lacks(dict(found), i, now)
        if flags & _TAKE:
            self._told(found, i, 0, now)
        return reason

    def _lacks(self, highest, i, now):
        """Give peer i the newest that it lacks, of what is signed if there is any; of the rest it is told."""
        found = [
            item
            for item in self._relay.store.items
            if item.state == _HELD and item.seq > highest.get(item.key, 0) and item.buf[0] != _QUERY
        ]
        found.sort(key=lambda item: (item.buf[0] > _REVOKE, -item.seq))
        reason = self._give(found[:1], i, 0, now)
        if len(found) > 1 and not reason:
            size = put_pairs(self._end.out, _HEAD, [(item.key, item.seq) for item in found[1:5]]) - _HEAD
            self._end.post(i, _IHAVE, 7, 0, 0, 0, 0, 0, size)
        return reason

    def offered(self, key, seq, i):
        """Peer i's PROBE or MATCH says that it has this."""
        self._told(((key, seq),), i, 0, self._now)

    def offers(self):
        """[(key, highest sequence)] of what this node can give, 6 at most."""
        highest = {}
        for item in self._relay.store.items:
            if item.ripe(self._now) and item.seq > highest.get(item.key, 0) and item.buf[0] != _QUERY:
                highest[item.key] = item.seq
        return list(highest.items())

    def tick(self, now):
        """As often as is wanted."""
        self._now = now
        if diff(now, self._next) < 0:
            return
        self._next = now + self._period_ms & 0x3FFFFFFF
        self._guests = _GUESTS
        relay = self._relay
        relay.store.expire(now)
        relay.insist(now)
        relay.checks.age(now)
        self._periods += 1
        missing = self._late or self._wants
        if missing:
            self._tries += 1
            if self._tries > _ASK_MOST:
                self._late, self._wants = False, []
        if self._hot:
            self._hot -= 1
            if self._hot < _HOT - 1:  # not before it had the time to come everywhere
                self._inquire(1, _GIVE | _TAKE)
        elif missing and (self._tries <= _EAGER_PERIODS or not self._tries & self._tries - 1):
            self._beg(now)
        elif self._pull and not self._periods % self._pull:
            self._inquire(1, _GIVE)

    def _upward(self, count):
        """Random peers of whom one may expect that they have more."""
        role = self._peers.role
        scope = _HAN if role == _IED else _FAN if role == _METER or role == _SSC and self._periods & 1 else _WAN
        return self._peers.pick(scope, count) or self._peers.pick(_FAN + _WAN - scope, count)

    def _beg(self, now):
        if self._late:
            self._inquire(_ASKS, _GIVE)
        wants = [want for want in self._wants if want[3] < 0 or diff(now, want[3]) > _PATIENCE_MS]
        if wants:
            for i in self._upward(_ASKS):
                size = put_pairs(self._end.out, _HEAD, [want[:2] for want in wants]) - _HEAD
                self._ask(i, _IWANT, 0, size)
            for want in wants:
                want[3] = now

    def _inquire(self, count, flags):
        """Ask so many what this node lacks."""
        out = self._end.out
        for i in self._upward(count):
            out[_HEAD] = flags
            if flags & _TAKE:
                size = put_pairs(out, _HEAD + 1, self.offers()) - _HEAD
            else:
                size = 1 + 8 * self._relay.seen.digest(out, _HEAD + 1)
            self._ask(i, _DIGEST, 0, size)
