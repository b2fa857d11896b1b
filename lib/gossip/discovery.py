"""How nodes find each other: PROBE and MATCH, samples of their views, seeds (docs/gossip-wire.md, peers)."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.datagram import pairs, put_pairs

_ENTRY = const(16)  # peers.py
_HEAD = const(25)  # wire.py
_PROBE = const(6)
_MATCH = const(7)
_OK = const(0)
_RATE = const(11)
_LINK = const(1)  # flags of a PROBE or MATCH: you are in my view, or I want you there
_AGAIN = const(2)  # I do not know you: now that you know my boot, ask again
_NEEDY = const(4)  # even in the place of another
_FIXED = const(5)  # flags, services, wanted roles, wanted scopes, count of digests; then digests, entries
_DIGESTS = const(8)
_SAMPLE = const(8)  # entries told at once
_ANSWERS = const(64)  # at once; the last quarter is kept for peers
_ANSWERS_A_SECOND = const(16)  # in the long run
_BELIEVED = const(4)  # entries taken out of the answer to a probe; and of all else in a period, one of each
_EVERY = const(17)  # members of the view for each probe a period
_LEAST = const(2)  # peers: with fewer, others are asked every period
_PATIENCE = const(32)  # periods between probes of a seed, at most


class Discovery:
    """end: Endpoint. seeds: list of (address of six bytes, over TCP?), a multicast address may be one of them.
    services: GOSSIP | PLAIN. randrange(n). period_ms. remote: 0, or the node asks others for peers only when it has
    fewer than two, or every `remote` periods; its own view it does not tell.

    digests() -> [(origin, highest sequence)]; on_digest(origin, seq, i): what peer i has.
    """

    def __init__(self, end, seeds, services, randrange, period_ms=10000, remote=0):
        self.seeds = seeds
        self.services = services
        self.remote = remote
        self.roles = 15  # wanted
        self.scopes = 7
        self.digests = self.on_digest = None
        self._end = end
        self._peers = end.peers
        self._random = randrange
        self._period_ms = self._passed_ms = period_ms
        self._answers = _ANSWERS * 1000
        self._believed = self._since = self._patience = 0
        self._wait = 1
        self._alone = True
        self._asked = []  # numbers of those who may answer with a sample
        end.on[_PROBE] = self._probe
        end.on[_MATCH] = self._match
        end.on_stale = self._unknown

    def tick(self, passed_ms):
        """So much time has passed since the last call."""
        self._answers = min(_ANSWERS * 1000, self._answers + _ANSWERS_A_SECOND * passed_ms)
        self._passed_ms += passed_ms
        if self._passed_ms >= self._period_ms >> (2 if self._alone else 0):
            self._passed_ms = 0
            self._period()

    def _period(self):
        peers = self._peers
        peers.age()
        self._believed = _BELIEVED
        self._asked = []
        self._since += 1
        have = len(peers.some())
        self._alone = not have
        if have and (have < _LEAST or self._since >= self.remote):
            self._since = 0
            for _ in range(1 + have // _EVERY):
                self.probe(peers.oldest())
        for _ in range(4 if self._few() else 1 if have < peers.size or not self._random(2) else 0):
            i = peers.other()
            if i >= 0:
                self.probe(i)
        if not have and self._wait > 4:
            self._wait = 4
        self._patience += 1
        if self._patience >= self._wait:
            self._patience = 0
            self._wait = min(2 * self._wait, _PATIENCE)
            known = [peers.address(i) for i in peers.some(15, 8, 8)]  # heard
            seeds = [seed for seed in self.seeds if seed[0] not in known]
            if have and seeds:
                seeds = [seeds[self._random(len(seeds))]]
            self._fixed(0, 0)
            for address, tcp in seeds:
                self._end.post_to(address, 0, _PROBE, 0x27 if tcp else 7, 0, 0, 0, 0, 0, _FIXED, 0)

    def _few(self):
        return len(self._peers.some()) < self._peers.size >> 2

    def probe(self, i):
        """Ask peer i whether it is there, and for peers; tell it some of ours."""
        peers = self._peers
        peers.probed(i)
        self._asked = self._asked[-7:] + [peers.number_at(i)]
        have, flags = len(peers.some()), 0
        if 4 * have < 3 * peers.size or not self._random(16):
            flags = _LINK | _NEEDY
        elif have < peers.size or peers.in_view(i):
            flags = _LINK
        self._post(i, _PROBE, flags, 0 if self.remote else 15)

    def _post(self, i, kind, flags, roles):
        peers, end = self._peers, self._end
        known = self.digests()[:_DIGESTS] if self.digests else ()
        self._fixed(flags, len(known))
        at = put_pairs(end.out, _HEAD + _FIXED, known)
        at = peers.sample_into(end.out, at, i, roles, _SAMPLE)
        end.post(i, kind, peers.scope(i), 0, 0, 0, 0, 0, at - _HEAD)

    def _fixed(self, flags, digests):
        fixed = flags, self.services, self.roles, self.scopes, digests
        self._end.out[_HEAD : _HEAD + _FIXED] = bytes(fixed)

    def _may(self, kept):
        """Whether there is an answer left beyond those that are kept."""
        if self._answers < kept:
            return False
        self._answers -= 1000
        return True

    def _unknown(self, message, address, now):
        """Made for another boot of ours, or for none: the sender is told the right one, in no more bytes than it
        sent and not too often."""
        if not self._may(_ANSWERS * 250):
            return _RATE
        self._fixed(_AGAIN, 0)
        flags = 0x27 if message.tcp else 7
        self._end.post_to(address, message.boot, _MATCH, flags, 0, 0, 0, 0, 0, _FIXED, message.sender)
        return _OK

    def _probe(self, message, i, now):
        if i < 0:
            return self._unknown(message, self._end.address, now)
        self._read(message, i)
        flags = message.buf[_HEAD]
        linked = self._peers.link(i, flags & _LINK, flags & _NEEDY)
        if not self._may(1000):
            return _RATE
        roles = 0
        if message.buf[_HEAD + 3] & self._peers.scope(i) and not self.remote:
            roles = message.buf[_HEAD + 2]
        self._post(i, _MATCH, _LINK if linked else 0, roles)
        return _OK

    def _match(self, message, i, now):
        flags = message.buf[_HEAD]
        if not flags & _AGAIN:
            self._read(message, i)
            self._peers.link(i, flags & _LINK, True)
            if not self._few():
                return _OK
            i = self._peers.other()
        if i >= 0 and self._may(1000):
            self.probe(i)
        return _OK

    def _read(self, message, i):
        """What PROBE and MATCH have in common: services, digests, entries."""
        buf, peers = message.buf, self._peers
        peers.serves(i, buf[_HEAD + 1] & 3)
        at = _HEAD + _FIXED + 8 * buf[_HEAD + 4]
        if self.on_digest:
            for origin, seq in pairs(buf, _HEAD + _FIXED, buf[_HEAD + 4]):
                self.on_digest(origin, seq, i)
        count = (_HEAD + message.size - at) // _ENTRY
        believed = _BELIEVED
        if message.sender in self._asked:
            self._asked.remove(message.sender)
        else:
            believed = min(1, self._believed, count)
            self._believed -= believed
        for _ in range(min(count, believed)):
            peers.hear_of(buf, at + _ENTRY * self._random(count), i)
