"""Announced needs on their way up: appliances tell their meter, meters their SSC, SSCs the utility one sum.

One message a tier and day (NEED, docs/gossip-wire.md), acknowledged and tried again; a later one replaces the
earlier one of the same child. What is not renewed is forgotten after a day.
"""

from struct import pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import diff

_HEAD = const(25)  # wire.py
_IS = const(8)
_NUMBER_MOST = const(0x3FFFFFFF)
_NEED = const(10)
_OK = const(0)
_FIELD = const(6)
_DUPLICATE = const(13)
_BUSY = const(18)
_UNASKED = const(23)
_TAKEN = const(0)
_HAD = const(1)
_U16 = const(0xFFFF)
_U32 = const(0xFFFFFFFF)
_MINUTE_MS = const(60000)
_DAY_MIN = const(1440)
_RENEW_MIN = const(30)
_QUIET_MIN = const(65)  # two renewals
_BLOCK = const(0x4000)  # sequences of a boot, before those of the next one begin
_HOLD_MS = const(2000)  # before a change goes up, and up to so much more: others may follow
_AGAIN_MS = const(400)
_TRIES = const(7)  # soon after one another, then once a minute
_NEVER = const(99)  # tries of what needs no more


class _Sum:
    """What is told upward of a day: values as of `sum`, seq of the message that says so, ticks when it goes, times
    it went."""

    values = None
    seq = at = 0
    tries = _NEVER


class Needs:
    """relay: Relay. own(day) -> (jobs, Wh, Wh, Wh) of this node itself, None: it is no appliance. randrange(n).
    children: that are counted at most. most_wh: of one contributor in one period.

    `changed()`: what own() says is another now. days: since 1970, UTC. up: number of who is told, 0: nobody.
    """

    def __init__(self, relay, own, randrange, children=32, most_wh=_U32):
        self._relay, self._end, self._peers = relay, relay.end, relay.peers
        self._own, self._random, self._most_wh = own, randrange, most_wh
        self._most = 2 * children
        self._told = {}  # by (number, day): [seq, minute, jobs, contributors, Wh, Wh, Wh]
        self._sums = {}  # by day; of day 0: what is said to `_former`
        self._minute = 0
        self._since = None
        self._dirty = True
        self.up = self._boot = self._former = self._today = 0
        self._next, relay.on_ack = relay.on_ack, self._acked
        self._end.on[_NEED] = self._came

    def changed(self):
        self._dirty = True

    def sum(self, day):
        """[jobs, contributors, Wh, Wh, Wh] of that day, of this node and all below it."""
        sums = [0, 0, 0, 0, 0]
        found = self._own(day)
        if found:
            _add(sums, (found[0], 1) + tuple(found[1:]))
        for key, told in self._told.items():
            if key[1] == day:
                _add(sums, told[2:])
        return sums

    def _came(self, message, i, now):
        """A child's sum of a day; of day 0: it tells another one now."""
        if message.role << 1 != self._peers.role:
            return _FIELD
        jobs, contributors, day, *energies_wh = unpack_from(">HHHIII", message.buf, _HEAD)
        if self._today and day and not 0 <= day - self._today <= 2:
            return _FIELD
        number, seq, told, minute = message.sender, message.seq, self._told, self._minute
        contributors = min(contributors, (self._most + 1) ** (message.role >> 1))  # an appliance speaks for itself
        days = sorted([key[1] for key in told if key[0] == number])
        if day and day not in days:
            if len(days) == 2:
                del told[number, days.pop(0)]
            if not self._room(i):
                return _BUSY
            told[number, day] = [0] * 7
            days.append(day)
        again = True
        for of in days:
            entry = told[number, of]
            quiet = minute - entry[1] > _QUIET_MIN  # then a forged sequence may be what makes it so
            if (of == day or not day) and (seq > entry[0] or quiet):
                again = False
                last = max(message.boot * _BLOCK, 0 if quiet else entry[0])
                entry[0] = seq if seq - last < _BLOCK else last
                entry[1:4] = minute, jobs if day else 0, contributors if day else 0
                entry[4:] = [min(energy_wh, entry[3] * self._most_wh) for energy_wh in energies_wh]
                self._dirty = True
        self._relay.acknowledge(i, message.origin, seq, _HAD if again else _TAKEN)
        return _DUPLICATE if again else _OK

    def _room(self, i):
        """Whether there is a place for what i tells: half of them are for those that this node has in its view, for
        anybody with the segment's key can invent others. Who is not known any more makes room."""
        told, peers = self._told, self._peers
        for _ in range(2):
            others = []
            for key in told:
                k = peers.index(key[0])
                if k < 0 or not peers.in_view(k):
                    others.append((k, key))
            if len(told) < self._most and (peers.in_view(i) or len(others) < self._most // 2):
                return True
            for k, key in others:
                if k < 0:
                    del told[key]
                    self._dirty = True
        return False

    def _acked(self, message, i, now):
        if message.origin == self._end.number:
            for day, sums in self._sums.items():
                if sums.seq == message.seq and message.sender == (self.up if day else self._former):
                    sums.tries = _NEVER
                    if not day:
                        self._former = 0
                        del self._sums[0]
                    return _OK
        return self._next(message, i, now) if self._next else _UNASKED

    def tick(self, now, today):
        """today: 0 as long as nobody knows; then nothing is told."""
        if self._since is None:
            self._since = now
        self._today = today
        if diff(now, self._since) >= _MINUTE_MS:
            self._since = self._since + _MINUTE_MS & 0x3FFFFFFF
            self._pass()
        if not today or self._peers.role == _IS:
            return
        self._choose(now)
        if self._dirty:
            self._dirty = False
            self._sums = {day: sums for day, sums in self._sums.items() if not day or day >= today}
            for day in (today, today + 1):
                sums = self._sums.setdefault(day, _Sum())
                values = self.sum(day)
                if values != sums.values:
                    sums.values = values
                    self._say(sums, now, _HOLD_MS)
        for day, sums in self._sums.items():
            if sums.tries < _NEVER and diff(now, sums.at) >= 0:
                self._send(day, sums, now)

    def _pass(self):
        """A minute."""
        self._minute += 1
        for key in list(self._told):
            if self._minute - self._told[key][1] > _DAY_MIN or key[1] < self._today:
                del self._told[key]
                self._dirty = True
        if not self._minute % _RENEW_MIN:
            self._boot = 0

    def _choose(self, now):
        """Somebody above; who has started again is told everything again, and so is everybody once in a while."""
        peers = self._peers
        i = peers.index(self.up) if self.up else -1
        if i < 0 or not peers.in_view(i):
            found = peers.some(peers.role << 1)
            if not found:
                return
            i = found[self._random(len(found))]
            self._former, self.up, self._boot = self.up, peers.number_at(i), 0
        if self._boot != peers.boot(i):
            self._boot = peers.boot(i)
            if self._former:
                self._sums[0] = _Sum()
                self._sums[0].values = [0, 0, 0, 0, 0]
            for sums in self._sums.values():
                self._say(sums, now, _AGAIN_MS)

    def _say(self, sums, now, ms):
        """A new message: it goes in ms, or up to so much later."""
        relay = self._relay
        sums.seq, sums.tries = relay.seq, 0
        relay.seq = min(relay.seq + 1, _NUMBER_MOST)
        sums.at = now + ms + self._random(ms) & 0x3FFFFFFF

    def _send(self, day, sums, now):
        i = self._peers.index(self.up if day else self._former)
        if i < 0:
            sums.tries = _NEVER
            return
        sums.tries = min(sums.tries + 1, _TRIES)
        wait_ms = sums.tries * _AGAIN_MS if sums.tries < _TRIES else _MINUTE_MS
        sums.at = now + wait_ms + self._random(_AGAIN_MS) & 0x3FFFFFFF
        end = self._end
        pack_into(">HHHIII", end.out, _HEAD, sums.values[0], sums.values[1], day, *sums.values[2:])
        end.post(i, _NEED, self._peers.scope(i), 0, 0, end.number, sums.seq, 0, 18)


def _add(sums, values):
    for k in range(5):
        sums[k] = min(sums[k] + values[k], _U16 if k < 2 else _U32)
