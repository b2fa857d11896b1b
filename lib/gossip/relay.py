"""The relay: what comes is delivered and passed on once; what was started here is insisted on."""

from struct import pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.checks import Checks
from gossip.datagram import put_pairs
from gossip.seen import Seen
from gossip.store import Store, pair_of

_HEAD = const(25)  # wire.py
_HELD = const(2)  # store.py
_F_MAX = const(8)
_R_MAX = const(31)
_NUMBER_MOST = const(0x3FFFFFFF)
_SIGNERS = const(15)
_DATA = const(1)
_IHAVE = const(2)
_ACK = const(5)
_EAGER = const(0)
_LAZY = const(1)
_PULL = const(2)
_PUSH_PULL = const(3)
_REVOKE = const(4)
_ORDER = const(8)
_NOTICE = const(9)
_QUERY = const(11)
_TAKEN = const(0)
_HAD = const(1)
_OK = const(0)
_FIELD = const(6)
_LENGTH = const(7)
_EXPIRED = const(14)
_ORIGIN = const(15)
_OLD = const(16)
_BUSY = const(18)
_UNASKED = const(23)
_TYPE = const(24)
_ORIGINS = const(8)
_INSIST_MOST = const(8)  # periods
_BLOCK = const(14)  # seen.py
_AHEAD_MOST = const(0x100000)  # so far forgeries drive our own sequence: else they could use it up
_ACK_WANTED = const(0x40)
_REQUEST = const(2)  # exchanges of a QUERY
_SOLICIT = const(3)  # authorised origins alone have a right to it


class Relay:
    """end: Endpoint. trust: Trust, None: nothing that is signed is believed. repair: Repair, set by itself.

    f, r, variant, reach, lifetime_s: of messages that are started without saying. authorised: origins whose
    NOTICE, and QUERY of the exchange solicit-response, is taken.

    on_deliver(item): a Kept that has come (type in buf[0]), once each, and only if it is for this node; what it
    raises is counted in `faults`, the last one is `fault`. `tell(call, what)` calls others like that.
    on_query(message, i, now, fresh): for each QUERY that comes, from peer i; it says (ACK) whether it was new. May
    change the payload of a fresh one before it is passed on, and refuse it with a reason.
    on_sent(item, numbers): to whom a QUERY went out. on_ack(message, i, now) -> reason: an ACK of something else.
    """

    f, r, variant, reach, lifetime_s = 4, 16, _EAGER, 7, 600
    authorised = ()
    on_deliver = on_query = on_sent = on_ack = fault = repair = None
    faults = 0

    def __init__(self, end, trust, seq, now):
        """seq: of the first message that is started here; higher than all of earlier boots."""
        self.end, self.peers, self.trust = end, end.peers, trust
        self.seen = seen = Seen(_ORIGINS)
        for origin in range(_SIGNERS + 1) if trust else ():  # what came before this boot
            high, bits = trust.heard(origin)
            for back in range(31, -1, -1):
                if high > back and bits >> back & 1:
                    seen.mark(origin, high - back)
        self.store = Store()
        self.checks = Checks(end, trust, self.store, seen, now)
        self.seq = self._first = seq
        end.on[_DATA] = self._data
        end.on[_ACK] = self._ack

    # -- what comes -----------------------------------------------------------------------------------------

    def _data(self, message, i, now):
        buf, origin, seq = message.buf, message.origin, message.seq
        kind = buf[_HEAD]
        if not 1 <= kind <= _REVOKE and not _ORDER <= kind <= _QUERY:
            return _TYPE
        if not self.peers.scope(i) & message.reach:
            return _FIELD
        if not message.lifetime_s:
            return _EXPIRED
        state = self.seen.state(*pair_of(buf, _HEAD, message.size, origin, seq))
        if origin == self.end.number and kind > _REVOKE and not state:
            state = _OLD
            if seq >> _BLOCK == self.seq >> _BLOCK and seq - self._first < _AHEAD_MOST:
                self.seq = max(self.seq, min(seq + 1, _NUMBER_MOST))  # of an earlier boot, or forged: beyond it
        if state and (kind > _REVOKE or not self.trust or not self.checks.twin(message)):
            self._answer(message, i, now, _HAD)
            return state
        if kind <= _REVOKE:
            return self.checks.take(message, now) if self.trust else _TYPE
        reason = self._allowed(message, i, now, kind)
        if reason:
            return reason
        payload = memoryview(buf)[_HEAD : _HEAD + message.size]
        mine = kind == _ORDER and unpack_from(">I", payload, 1)[0] == self.end.number
        if mine:
            reason = self.trust.order(payload, origin, seq) if self.trust else _TYPE
            if reason:
                return reason
        item = self._keep(
            payload, buf[2] & 0x3F, message.r - 1, message.f, origin, seq, message.lifetime_s, message.sender, now
        )
        if not item:
            return _BUSY
        if kind != _QUERY:
            self._answer(message, i, now, _TAKEN)
            if kind != _ORDER or mine:
                self._deliver(item)
        if not mine:
            self._came(item, now)
        return _OK

    def _keep(self, payload, flags, r, f, origin, seq, lifetime_s, sender, now):
        """A message that is not in doubt gets its place in the store; None: it came before, or there is no room."""
        item, pair = self.store.place(payload[0], len(payload)), pair_of(payload, 0, len(payload), origin, seq)
        if not item or self.seen.state(*pair):
            return None
        self.seen.mark(*pair)
        item.fill(_HELD, flags, r, f, origin, seq, lifetime_s, sender, payload, now)
        return item

    def _allowed(self, message, i, now, kind):
        """Why an unsigned message is not taken, before anything is known of it."""
        if kind == _QUERY:
            if message.size != 10:
                return _LENGTH
            return self.asks(message) or (self.on_query(message, i, now, True) if self.on_query else _TYPE)
        if kind == _NOTICE and message.origin not in self.authorised:
            return _ORIGIN
        return _LENGTH if kind == _ORDER and message.size < 29 else _OK

    def asks(self, message):
        """Why that origin may not ask so: QUERY and ASK."""
        exchange = message.buf[_HEAD + 1]
        if exchange == _SOLICIT:
            return _OK if message.origin in self.authorised else _ORIGIN
        return _OK if exchange == _REQUEST else _FIELD

    def _answer(self, message, i, now, what):
        if message.buf[_HEAD] == _QUERY:
            if what == _HAD and self.on_query:
                self.on_query(message, i, now, False)
        elif message.ack:
            self.acknowledge(i, message.origin, message.seq, what)

    def acknowledge(self, i, origin, seq, what, part=0):
        """Send an ACK to peer i."""
        pack_into(">IIBB", self.end.out, _HEAD, origin, seq, part, what)
        self.end.post(i, _ACK, 7, 0, 0, origin, seq, 0, 10)

    def _came(self, item, now):
        """A message is there that was not."""
        if self.repair:
            self.repair.came(item)
        self.push(item, item.f, (item.sender, item.origin), now)

    def _deliver(self, item):
        self.tell(self.on_deliver, item)

    def tell(self, call, what):
        if call:
            try:
                call(what)
            except Exception as e:  # a display that fails does not stop the relay
                self.faults += 1
                self.fault = e

    def settled(self, item, good, now):
        """The verification of checks.pending() came to an end."""
        checks = self.checks
        checks.settled(item, good, now)
        if not good:
            return
        reason = self.trust.accept() or self.seen.state(item.key, item.number)
        if reason:
            checks.drop(item, reason)
            return
        self.end.settled(_OK)
        wanted, item.need = item.need, 0
        item.state = _HELD
        high = self.seen.mark(item.key, item.number)
        if item.number > high + 1 and self.repair:
            self.repair.gap()
        self._deliver(item)
        i = self.peers.index(wanted) if wanted else -1
        if i >= 0:
            self.acknowledge(i, item.origin, item.seq, _TAKEN)
        self._came(item, now)

    # -- what goes ------------------------------------------------------------------------------------------

    def push(self, item, f, skip, now):
        """Pass it on to f peers on each kind of link that it may travel and this node has; none of `skip`."""
        end, variant, left = self.end, item.flags >> 3 & 3, item.left(now)
        if item.r < 0 or not left or variant == _PULL:
            return
        kind, query = _DATA, item.buf[0] == _QUERY
        if variant == _PUSH_PULL:
            f = f + 1 >> 1
        if variant == _LAZY and item.tries < 2 and not query:
            kind = _IHAVE
            put_pairs(end.out, _HEAD, ((item.key, item.number),))
        else:
            self._load(item)
        numbers = []
        for scope in (1, 2, 4):
            if item.flags & scope:
                for i in self.peers.pick(scope, f, skip, 7 if query else 15):  # the utility only asks
                    self._post(item, kind, i, item.r, left)
                    numbers.append(self.peers.number_at(i))
        if query and self.on_sent:
            self.on_sent(item, numbers)

    def _load(self, item):
        self.end.out[_HEAD : _HEAD + item.size] = memoryview(item.buf)[: item.size]

    def _post(self, item, kind, i, r, left):
        flags, size = item.flags, item.size
        if kind == _IHAVE:
            size = 8
        elif item.need or item.buf[0] == _QUERY:
            flags |= _ACK_WANTED
        self.end.post(i, kind, flags, r, item.f, item.origin, item.seq, left, size)

    def give(self, item, i, r, now):
        """Send it to peer i, who asked for it, or did not say that it has it (QUERY)."""
        left = item.left(now)
        if left and self.peers.scope(i) & item.flags:
            self._load(item)
            self._post(item, _DATA, i, min(r, max(item.r, 0)), left)

    # -- what starts here -----------------------------------------------------------------------------------

    def start(self, now, payload, f=-1, r=-1, variant=-1, reach=0, lifetime_s=0, origin=0, seq=0):
        """Start a message, and deliver it here. What is not given is as configured, what is too much is cut. Signed
        ones say their origin and sequence. Its sequence number; 0: there is no room."""
        kind = payload[0]
        if kind == _QUERY or variant < 0:
            variant = _EAGER if kind == _QUERY else self.variant
        if not origin:
            origin, seq = self.end.number, self.seq
        item = self._keep(
            payload,
            (reach & 7 or self.reach) | (variant & 3) << 3,
            min(self.r if r < 0 else r, _R_MAX),
            min(self.f if f < 0 else f, _F_MAX),
            origin,
            seq,
            min(lifetime_s or self.lifetime_s, 0xFFFF),
            0,
            now,
        )
        if not item:
            return 0
        if origin == self.end.number and seq == self.seq:
            self.seq = min(seq + 1, _NUMBER_MOST)
        if kind != _QUERY and variant != _PULL:
            item.need, item.tries = min(2, len(self.peers.some())), 1
        if kind < _ORDER or kind in (_NOTICE, _NOTICE + 1):
            self._deliver(item)
        self._came(item, now)
        return seq

    def adopt(self, reach, origin, seq, lifetime_s, payload, now):
        """A signed message that came before this boot, to give it to those who lack it."""
        item = self.store.place(payload[0], len(payload))
        if item:
            item.fill(_HELD, reach, -1, self.f, origin, seq, lifetime_s, 0, payload, now)

    def _ack(self, message, i, now):
        origin, seq, part, what = unpack_from(">IIBB", message.buf, _HEAD)
        for item in self.store.items:
            if item.state == _HELD and item.seq == seq and item.origin == origin and not item.sender and item.tries:
                if item.need and what <= _HAD and message.sender not in item.by:
                    item.by.append(message.sender)
                    item.need -= 1
                return _OK
        return self.on_ack(message, i, now) if self.on_ack else _UNASKED

    def insist(self, now):
        """Once a period: to two others what too few have acknowledged."""
        for item in self.store.items:
            if item.need and item.ripe(now):
                item.tries += 1
                if item.tries > _INSIST_MOST + 1:
                    item.need = 0
                else:
                    self.push(item, 2, item.by, now)
