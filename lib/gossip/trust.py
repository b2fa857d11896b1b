"""Which signed messages are believed: keys, what must not come twice, and the time that they prove.

A message of a signed type (docs/gossip-wire.md) is worth a verification if check() has nothing against it; begin()
and step() verify; accept() writes down that it came, and then says OK. Nothing may be acted on or relayed before.
"""

from struct import pack, pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.lms import Verifier, length
from gossip.seal import same
from gossip.windows import known, mark

_NAMES = ("trust", "trust2")  # the same twice, written in this order
_VERSION = const(3)
_OK = const(0)  # reasons and types: wire.py
_FIELD = const(6)
_LENGTH = const(7)
_ORIGIN = const(15)
_OLD = const(16)
_WINDOW = const(17)
_SIGNATURE = const(20)
_REUSE = const(21)
_STORAGE = const(22)
_TYPE = const(24)
_KEY = const(2)
_REVOKE = const(4)
_ORIGINS = const(15)  # numbers 1 to 15 are the utility's
_LEAVES = const(16)  # windows: 0 leaves of the recovery key, 1.. sequences, 16 and 17 leaves of the live keys,
_ORDERS = const(17)  # 18.. sequences of orders
_WINDOWS = const(264)  # bytes of 33
_KEYS = const(278)  # where they begin in the state
_AFTER = const(392)
_BASE = const(396)  # tag of the key that all began with, leaf + 1 of the recovery key that brought it
_SIZE = const(404)
_NEVER = const(0xFFFFFFFF)
_DAY_S = const(86400)
_AHEAD_S = const(32 * 86400)
_MAC = const(16)


def _tag(key):
    return (bytes(4) + key)[-4:]


class Trust:
    """tariff_key, recovery_key: public LMS keys (RFC 8554, 5.3) or b"". seal: Seal of the node's own key, or None.
    shelf: get(name) -> bytes or None, put(name, data): whole or not at all, OSError. now(): SOC, 0: not known.
    alarm(origin, epoch, leaf): a one-time key signed two messages; counted in `reuses`.
    keep(payload, reach, origin, seq, lifetime_s): set by who wants it; called before the message is marked as come,
    so that a power cut in between loses nothing: it may come again then. False: it could not be kept, nor is taken.

    Keys: the first byte of a key's I is its epoch, 1 to 255; 0 stands for the recovery key. Two are live, at first
    only tariff_key. KEY, signed by the newest, brings the one of the next epoch, and the older one goes; signed by
    the recovery key it replaces all, unless one came that was signed with a later leaf. REVOKE, by the recovery key
    alone, ends all epochs below the one it names.

    Not twice: by origin a high-water mark of sequence numbers and 32 bits below it, which never expires, and the
    same of one-time keys (leaves) by key. The recovery key's messages go by its leaves alone: who stole a tariff
    key, and used up the sequence numbers, cannot keep it out. Where it or the configuration replaces all keys,
    numbers and `floor` begin anew; what came before is void. All of it is on the shelf before accept() says OK.

    Time: `floor` (SOC) is proven to have passed: the newest accepted valid_from, or the time known when it came if
    that was less. A validity that has ended, by the clock or by `floor`, is refused, and one that begins more than
    32 days after the time that is known: no price is fixed so early, and it would be kept so long.

    Lost: all of it is on the shelf twice. Where both are damaged (the shelf gives False, or no state), nobody knows
    what came: `lost`. Then nothing is taken until the time is known, and from then on only what is valid from
    the day before that moment, or later (`after`, which is kept): what is older came already, or is not missed.
    """

    def __init__(self, tariff_key, recovery_key, seal, shelf, now, alarm=None):
        self._recovery, self._seal, self._shelf, self._now, self._alarm = recovery_key, seal, shelf, now, alarm
        self._tags = _tag(tariff_key) + _tag(recovery_key)
        self._base = self._tags[:4] + bytes(4)
        self._verifier = Verifier()
        self._good = self.keep = None
        self.suspect = False  # the last check() found a one-time key that signed another one, or the recovery key
        self._last = [b""] * 8  # by leaf, of what was accepted last: epoch, leaf, randomizer; none after an alarm
        self.reuses = 0
        self.floor = self._least = self.after = 0
        self.lost = False
        self._keys = [b"", tariff_key]  # the older, the newer
        self._windows = bytearray(_WINDOWS)
        damaged = False
        for name in _NAMES:
            data = shelf.get(name)
            if data and len(data) == _SIZE and data[0] == _VERSION:
                self._load(data, tariff_key)
                break
            damaged = damaged or data is not None
        else:
            if damaged:
                self.lost, self.after = True, _NEVER
        if damaged:  # whole again from now on, or so the next time
            self._save(self._windows, self._keys, self._least, self.floor)

    def _load(self, data, tariff_key):
        """What it knew, less what belongs to keys that the configuration has replaced."""
        self._least, self.floor = unpack_from(">BI", data, 1)
        self.after = unpack_from(">I", data, _AFTER)[0]
        self._windows[:] = data[14 : 14 + _WINDOWS]
        self._base = bytes(data[_BASE:])
        keys = [bytes(data[at + 1 : at + 1 + data[at]]) for at in (_KEYS, _KEYS + 57)]
        if data[6:10] == self._tags[:4] or tariff_key and tariff_key in keys:
            self._keys = keys
        else:
            self._least = self.floor = 0
            self._windows[8 : 8 * _ORDERS + 8] = bytes(8 * _ORDERS)
            self._base = self._tags[:4] + self._base[4:]
        if data[10:14] != self._tags[4:]:
            self._windows[:8] = bytes(8)
            self._base = self._base[:4] + bytes(4)

    def check(self, payload, reach, origin, seq, lifetime_s):
        """What is against the message, as far as that is cheap to say; OK: it is worth a verification."""
        n = len(payload)
        if n < 12:
            return _LENGTH
        kind, epoch, since, until, size = unpack_from(">BBIIH", payload, 0)
        if not 1 <= kind <= _REVOKE:
            return _TYPE
        if not 1 <= origin <= _ORIGINS:
            return _ORIGIN
        key, slot = self._key(kind, epoch)
        if not key:
            return _SIGNATURE
        at = 12 + size
        if n != at + length(key):
            return _LENGTH
        tag = bytes(payload[1:2]) + bytes(payload[at : at + 12])
        leaf = unpack_from(">I", tag, 1)[0]
        came = self._came(slot, origin, seq, tag, leaf)
        if came == _OLD or not slot and kind == _KEY and leaf < unpack_from(">I", self._base, 4)[0]:
            return _OLD
        self.suspect = came == _REUSE or not slot
        self._job = (payload, at, kind, key, slot, origin, seq, since, tag, leaf)
        return _OK if self._valid(since, until, self.floor if slot else 0) else _WINDOW

    def _key(self, kind, epoch):
        """(public key, its window), or (b"", 0)."""
        if not epoch:
            return self._recovery if kind in (_KEY, _REVOKE) else b"", 0
        for i in (0, 1):
            key = self._keys[i]
            if key and key[8] == epoch and kind != _REVOKE:
                return key, _LEAVES + i
        return b"", 0

    def _came(self, slot, origin, seq, tag, leaf):
        """OK: never; OLD: it came already, or what came was later. REUSE: another one came that was signed with the
        same leaf (if this one is signed well), for the first time."""
        used = known(self._windows, slot, leaf + 1)
        last = self._last[leaf & 7]
        if used and last[:5] == tag[:5] and last != tag:
            return _REUSE if last[5:] else _OLD
        if used > 1 or (known(self._windows, origin, seq) if slot else used):
            return _OLD
        return _REUSE if used else _OK

    def _valid(self, since, until, floor):
        now = self._now()
        if now and self.after == _NEVER:
            self.after = now - _DAY_S
        return self.after <= since < until and until > max(now, floor) and not (now and since > now + _AHEAD_S)

    def heard(self, origin):
        """(highest sequence that came from one of the utility's numbers, bits of the 32 up to it)."""
        return unpack_from(">II", self._windows, 8 * origin)

    def knows(self, origin, seq):
        """Whether this came from one of the utility's numbers, or is older than what is known of it."""
        return known(self._windows, origin, seq) > 0

    def epochs(self):
        """Of the keys of tariffs that are believed, the older first; [256, 0]: of none."""
        return [key[8] for key in self._keys if key] or [256, 0]

    def signed_by(self, epoch):
        """What stands for the key of an epoch; ended(): it was replaced or revoked, and what it signed is void."""
        return self._base[:4] + bytes([epoch])

    def ended(self, by):
        return by[:4] != self._base[:4] or by[4] < self._least

    def over(self, payload):
        """Whether the validity of a message that was accepted has ended: nobody takes it any more."""
        return unpack_from(">I", payload, 6)[0] <= max(self._now(), self.floor if payload[1] else 0)

    def begin(self, payload, reach, origin, seq, lifetime_s):
        """check(), and if that is OK begin to verify: the payload (a memoryview) stays as it is until the end."""
        self._good = False
        reason = self.check(payload, reach, origin, seq, lifetime_s)
        if reason:
            return reason
        self._begun = self._job
        self._head = reach, origin, seq, lifetime_s
        head = bytearray(20)
        head[:9] = b"gridmote1"
        pack_into(">BIIH", head, 9, reach, origin, seq, lifetime_s)
        at = self._begun[1]
        return _OK if self._verifier.begin(self._begun[3], payload[at:], head, payload[:at]) else _SIGNATURE

    def step(self, hashes):
        """Go on for at most so many hashes. None: there is more to do; else whether the signature is good."""
        self._good = self._verifier.step(hashes)
        return self._good

    def accept(self):
        """Write down that the message came whose signature is good. OK: it may be acted on and relayed."""
        good, self._good = self._good, False
        try:
            return self._accept() if good else _SIGNATURE
        except MemoryError:  # it may come again
            return _STORAGE

    def _accept(self):
        payload, at, kind, key, slot, origin, seq, since, tag, leaf = self._begun
        reason = self._came(slot, origin, seq, tag, leaf)
        if reason:
            if reason == _REUSE:
                self.reuses += 1
                self._last[leaf & 7] = tag[:5]
                if self._alarm:
                    self._alarm(origin, tag[0], leaf)
            return reason
        windows, keys, least, base, now = bytearray(self._windows), self._keys, self._least, self._base, self._now()
        floor = max(self.floor, min(since, now) if now else since)
        mark(windows, slot, leaf + 1)
        if slot:
            mark(windows, origin, seq)
        body = bytes(payload[12:at])
        if kind == _REVOKE:
            if len(body) != 1:
                return _FIELD
            least = max(least, body[0])
            keys = [k if k and k[8] >= least else b"" for k in keys]
        elif kind == _KEY and (not length(body) or body not in keys):
            end = 8 * _ORDERS + 8
            if not length(body) or not body[8] or body[8] < least:
                return _FIELD
            if not slot:
                keys, floor, base = [b"", body], since, _tag(body) + pack(">I", leaf + 1)
                windows[8:end] = bytes(end - 8)
            elif slot == _LEAVES + 1 and body[8] == tag[0] + 1:
                keys = [key, body]
                windows[end - 16 : end - 8] = windows[end - 8 : end]
            else:
                return _FIELD
            windows[end - 8 : end] = bytes(8)
        if self.keep and not self.keep(payload, *self._head) or not self._save(windows, keys, least, floor, base):
            return _STORAGE
        self._last[leaf & 7] = tag
        return _OK

    def order(self, payload, origin, seq):
        """A command to this node alone (type ORDER), sealed under its own key. OK: it is written down, obey."""
        n = len(payload) - _MAC
        if n < 13:
            return _LENGTH
        since, until = unpack_from(">II", payload, 5)
        if not (self._seal and 1 <= origin <= _ORIGINS):
            return _ORIGIN
        if known(self._windows, _ORDERS + origin, seq):
            return _OLD
        if not self._valid(since, until, self.floor):
            return _WINDOW
        head = bytearray(8)
        pack_into(">II", head, 0, origin, seq)
        if not same(self._seal.mac(b"gridmote2", head, payload[:n]), payload, n, _MAC):
            return _SIGNATURE
        try:
            windows = bytearray(self._windows)
        except MemoryError:
            return _STORAGE
        mark(windows, _ORDERS + origin, seq)
        return _OK if self._save(windows, self._keys, self._least, self.floor) else _STORAGE

    def _save(self, windows, keys, least, floor, base=None):
        """Whether this is on the shelf, and holds from now on."""
        base = base or self._base
        try:
            data = bytearray(_SIZE)
            pack_into(">BBI", data, 0, _VERSION, least, floor)
            data[6:14] = self._tags
            data[14 : 14 + _WINDOWS] = windows
            at = _KEYS
            for key in keys:
                data[at] = len(key)
                data[at + 1 : at + 1 + len(key)] = key
                at += 57
            pack_into(">I", data, _AFTER, self.after)
            data[_BASE:] = base
            for name in _NAMES:
                self._shelf.put(name, data)
        except (OSError, MemoryError):
            return False
        self._windows, self._keys, self._least, self.floor, self._base = windows, keys, least, floor, base
        return True
