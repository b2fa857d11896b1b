"""What waits for its signature to be verified, and whose turn it is: forgeries must not use up the processor."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import diff

_HEAD = const(25)  # wire.py
_FREE = const(0)  # store.py
_WAITS = const(1)
_OK = const(0)
_CHECKING = const(1)
_DUPLICATE = const(13)
_EXPIRED = const(14)
_BUSY = const(18)
_BUDGET = const(19)
_SIGNATURE = const(20)
_REUSE = const(21)
_WAIT_MOST = const(2)  # so that two that were verified stay in the store
_KNOWN = const(16)  # neighbours whose signatures failed
_PAUSE_MS = const(1000)  # after the first failure, twice that after the next
_DOUBLED = const(10)  # times at most
_PAUSED = const(16)  # a rank
_FORGIVEN_MS = const(3600000)
_CREDIT_MS = const(4000)  # what failures may take at once,
_RESERVE_MS = const(3000)  # so much of it not those of who failed before or is a guest;
_SHARE = const(10)  # and in the long run the tenth part of the time


class Checks:
    """end: Endpoint. trust: Trust. store, seen: of the relay.

    `take(message, ...)`: a signed message into a place of the store. `pending(now)`: the one to verify, None: there
    is none, or the time for failures is used up. `settled` and `drop`: what came of it.
    """

    def __init__(self, end, trust, store, seen, now):
        self._end, self._trust, self._store, self._seen = end, trust, store, seen
        self._bad = {}  # neighbour: [failures - 1, ticks until when nothing of it is verified]
        self.verifying = None
        self._aged = now
        self._since = now  # ticks when the verification began, or when there was a credit
        self._credit_ms = _CREDIT_MS

    def take(self, message, now):
        """CHECKING: it has a place; or why not."""
        m, items = message, self._store.items
        payload = memoryview(m.buf)[_HEAD : _HEAD + m.size]
        reason = self._trust.check(payload, m.reach, m.origin, m.seq, m.lifetime_s)
        if reason:
            return reason
        rank = self._rank(m.sender, now)
        for item in items:
            same = item.state == _WAITS and item.seq == m.seq and item.origin == m.origin and item.size == m.size
            same = same and item.lifetime_s == m.lifetime_s and item.flags & 7 == m.reach
            if same and item.buf[: m.size] == payload:
                if m.ack:
                    item.need = m.sender
                if rank < self._rank(item.sender, now):
                    item.sender = m.sender  # nobody holds up what another one says, too
                return _DUPLICATE
        if rank >= _PAUSED:
            return _BUDGET
        item = self._store.place(payload[0], m.size, _WAIT_MOST)
        if not item:
            waiting = [other for other in items if other.state == _WAITS]
            senders = {other.sender for other in waiting}
            least = rank + (len(senders) > 1 or m.sender in senders)  # one has both places: it loses one
            for other in waiting:  # one of a neighbour of higher rank goes
                if other is not self.verifying and self._rank(other.sender, now) >= least:
                    item = other
            if not (item and item.room(m.size)):
                return _BUSY
            self._end.settled(_BUSY)
        flags, r = m.buf[2] & 0x3F, m.r - 1
        item.fill(_WAITS, flags, r, m.f, m.origin, m.seq, m.lifetime_s, m.sender, payload, now)
        if m.ack:
            item.need = m.sender
        return _CHECKING

    def _rank(self, sender, now):
        """How often its signatures failed, less one; PAUSED more while nothing of it is verified. Numbers cost an
        insider nothing: who is not in the view counts as one that failed."""
        bad = self._bad.get(sender)
        if bad:
            return bad[0] + (_PAUSED if diff(bad[1], now) > 0 else 0)
        peers = self._end.peers
        i = peers.index(sender)
        return -1 if i >= 0 and peers.in_view(i) else 0

    def pending(self, now):
        """The message to verify next: of who failed least."""
        if self.verifying:
            return self.verifying
        passed_ms = diff(now, self._since)
        if passed_ms >= _SHARE:
            self._since = now
            self._credit_ms = min(_CREDIT_MS, self._credit_ms + passed_ms // _SHARE)
        least = _PAUSED
        for item in self._store.items:
            if item.state == _WAITS:
                reason = self._seen.state(item.key, item.number)
                if reason and self._suspect(memoryview(item.buf)[: item.size], item.flags & 7, item):
                    reason = _OK
                reason = reason or (_OK if item.left(now) else _EXPIRED)
                rank = self._rank(item.sender, now)
                if reason:
                    self.drop(item, reason)
                elif rank < least and self._credit_ms > (_RESERVE_MS if rank >= 0 else 0):
                    least, self.verifying, self._since = rank, item, now
        return self.verifying

    def twin(self, message):
        """Whether a signed message whose number came already is another one by the same one-time key, which is an
        alarm if it is signed well, or by the recovery key."""
        return self._suspect(memoryview(message.buf)[_HEAD : _HEAD + message.size], message.reach, message)

    def _suspect(self, payload, reach, head):
        return not self._trust.check(payload, reach, head.origin, head.seq, head.lifetime_s) and self._trust.suspect

    def drop(self, item, reason):
        """Nothing comes of it."""
        item.state = _FREE
        self.verifying = None
        self._end.settled(reason)
        if reason == _REUSE:  # it was good, and yet no better than a bad one
            if self._was:
                self._bad[item.sender] = self._was
            self._blame(item.sender, self._ended)

    def settled(self, item, good, now):
        """The verification came to an end. Who made it fail has to wait, twice as long as the last time."""
        self.verifying = None
        self._ended = now
        if good:
            self._was = self._bad.pop(item.sender, None)
            return
        self.drop(item, _SIGNATURE)
        self._blame(item.sender, now)

    def _blame(self, sender, now):
        self._credit_ms -= diff(now, self._since)
        failures = 0
        if sender in self._bad:
            failures = min(self._bad[sender][0] + 1, _DOUBLED)
        elif self._rank(sender, now) >= 0:
            return  # a guest: there are others where it came from
        elif len(self._bad) == _KNOWN:
            del self._bad[min(self._bad, key=lambda one: self._bad[one][0])]
        self._bad[sender] = [failures, now + (_PAUSE_MS << failures) & 0x3FFFFFFF]

    def age(self, now):
        """Once in a while: forget who failed long ago, and of whom nothing came that is not signed."""
        if diff(now, self._aged) > _FORGIVEN_MS:
            self._aged = now
            self._seen.age()
        for neighbour in list(self._bad):
            if diff(now, self._bad[neighbour][1]) > _FORGIVEN_MS:
                del self._bad[neighbour]

    def asked(self, neighbour, now):
        """What this neighbour answers may be verified: anybody may have sent forgeries in its name."""
        if neighbour in self._bad:
            self._bad[neighbour][1] = now
