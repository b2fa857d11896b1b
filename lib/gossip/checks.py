"""What waits for its signature to be verified, and whose turn it is: forgeries must not use up the processor."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import diff
from gossip.store import FREE, WAITS

_HEAD = const(25)  # wire.py
_OK = const(0)
_CHECKING = const(1)
_DUPLICATE = const(13)
_EXPIRED = const(14)
_BUSY = const(18)
_BUDGET = const(19)
_SIGNATURE = const(20)
_KNOWN = const(8)  # neighbours whose signatures failed
_PAUSE_MS = const(1000)  # after the first failure, twice that after the next
_DOUBLED = const(10)  # times at most
_FORGIVEN_MS = const(3600000)
_CREDIT_MS = const(4000)  # what failures may take at once, half of it those of who failed before;
_SHARE = const(10)  # and in the long run the tenth part of the time


class Checks:
    """end: Endpoint. trust: Trust. store, seen: of the relay.

    `take(message, ...)`: a signed message into a place of the store. `pending(now)`: the one to verify, None: there
    is none, or the time for failures is used up. `failed`, `good`, `drop`: what came of it.
    """

    def __init__(self, end, trust, store, seen, now):
        self._end, self._trust, self._store, self._seen = end, trust, store, seen
        self._bad = []  # [neighbour, failures, ticks until when nothing of it is verified]
        self.verifying = None
        self._since = now  # ticks when the verification began, or when there was a credit
        self._credit_ms = _CREDIT_MS
        self.count = 0  # verifications that came to an end

    def _of(self, neighbour):
        for bad in self._bad:
            if bad[0] == neighbour:
                return bad

    def _failures(self, neighbour):
        bad = self._of(neighbour)
        return bad[1] if bad else -1

    def take(self, message, now):
        """CHECKING: it has a place; or why not."""
        payload = memoryview(message.buf)[_HEAD : _HEAD + message.size]
        reason = self._trust.check(payload, message.reach, message.origin, message.seq, message.lifetime_s)
        if reason:
            return reason
        for item in self._store.items:
            same = item.state == WAITS and item.seq == message.seq and item.origin == message.origin
            same = same and item.lifetime_s == message.lifetime_s and item.flags & 7 == message.reach
            if same and item.size == message.size and item.buf[: item.size] == payload:
                if message.ack:
                    item.need = message.sender
                return _DUPLICATE
        bad = self._of(message.sender)
        if bad and diff(bad[2], now) > 0:
            return _BUDGET
        item = self._store.place(payload[0]) or self._worse(self._failures(message.sender))
        if not item:
            return _BUSY
        item.fill(
            WAITS,
            message.buf[2] & 0x3F,
            message.r - 1,
            message.f,
            message.origin,
            message.seq,
            message.lifetime_s,
            message.sender,
            payload,
            now,
        )
        if message.ack:
            item.need = message.sender
        return _CHECKING

    def _worse(self, failures):
        """The place of one that waits, from a neighbour that failed more often; None."""
        for item in self._store.items:
            if item.state == WAITS and item is not self.verifying and self._failures(item.sender) > failures:
                self._end.settled(_BUSY)
                return item

    def pending(self, now):
        """The message to verify next: of who failed least."""
        if self.verifying:
            return self.verifying
        passed_ms = diff(now, self._since)
        if passed_ms >= _SHARE:
            self._since = now
            self._credit_ms = min(_CREDIT_MS, self._credit_ms + passed_ms // _SHARE)
        least = 99
        for item in self._store.items:
            if item.state == WAITS:
                reason = self._seen.state(item.key, item.seq) or (_OK if item.left(now) else _EXPIRED)
                failures = self._failures(item.sender)
                if reason:
                    self.drop(item, reason)
                elif failures < least and self._credit_ms > (_CREDIT_MS // 2 if failures >= 0 else 0):
                    least, self.verifying, self._since = failures, item, now
        return self.verifying

    def drop(self, item, reason):
        """Nothing comes of it."""
        item.state = FREE
        self._end.settled(reason)

    def failed(self, item, now):
        """The signature is bad: its neighbour has to wait."""
        self.drop(item, _SIGNATURE)
        bad = self._of(item.sender)
        if not bad:
            if len(self._bad) == _KNOWN:
                self._bad.remove(min(self._bad, key=lambda one: one[1]))
            bad = [item.sender, -1, 0]
            self._bad.append(bad)
        bad[1] = min(bad[1] + 1, _DOUBLED)
        bad[2] = now + (_PAUSE_MS << bad[1]) & 0x3FFFFFFF
        self._credit_ms -= diff(now, self._since)

    def good(self, neighbour):
        bad = self._of(neighbour)
        if bad:
            bad[1] -= 1
            if bad[1] < 0:
                self._bad.remove(bad)

    def forgive(self, now):
        """Once in a while: who failed long ago has failed once less."""
        for bad in self._bad:
            if diff(now, bad[2]) > _FORGIVEN_MS:
                bad[2] = now
                self.good(bad[0])
                break

    def asked(self, neighbour, now):
        """What this neighbour answers may be verified: anybody may have sent forgeries in its name."""
        bad = self._of(neighbour)
        if bad:
            bad[2] = now
