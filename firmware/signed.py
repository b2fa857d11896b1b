"""What is signed: whom a node believes, its tables, and the messages that it keeps for those who lack them."""

from binascii import unhexlify
from struct import pack_into, unpack_from

from micropython import const

from gossip.seal import Seal
from gossip.trust import Trust
from tariff.book import Book

_TABLES = const(4)  # places: of the Book's tables, by theirs,
_PLACES = const(7)  # then for the last message of each other type
_HEAD = const(11)  # reach u8, lifetime u16, origin u32, sequence u32
_TARIFF = const(1)  # types of DATA, gossip.wire
_KEY = const(2)
_REVOKE = const(4)
_OLD = const(16)
_FREE = const(0)  # gossip.store
_HELD = const(2)


class Signed:
    """config: the checked configuration. shelf: Shelf. soc(): SOC, 0: not known. log: Log. alarm: Trust's.

    trust: Trust. book: Book. refused: why the last table that was accepted is not in the book, else "".
    """

    def __init__(self, config, shelf, soc, log, alarm):
        settings, tariff = config["gossip"], config["tariff"]
        self._shelf, self._soc, self._log = shelf, soc, log
        node_key = settings["node_key"]
        self.trust = trust = Trust(
            unhexlify(settings["tariff_key"]),
            unhexlify(settings["recovery_key"]),
            Seal(unhexlify(node_key)) if node_key else None,
            shelf,
            soc,
            alarm,
        )
        trust.keep = self.keep
        self.book = Book(shelf, tariff["default_price"], tariff["currency"], trust.ended)
        self.refused = ""
        self._under = trust.signed_by(0)

    def keep(self, payload, reach, origin, seq, lifetime_s):
        """On the shelf before it counts as taken: a power cut in between costs nothing. False: it is not there."""
        kind, epoch, since, until, size = unpack_from(">BBIIH", payload, 0)
        place = _TABLES - _KEY + kind
        if kind == _TARIFF:
            now, by = self._soc() or self.trust.floor or None, self.trust.signed_by(epoch)
            said = self.book.add(payload, 12, size, since, until, now, by)
            if said == "storage":
                return False
            self.refused = "" if said == "held" else said
            if self.refused:
                return True
            place = self.book.place
        try:
            data = bytearray(_HEAD + len(payload))
            pack_into(">BHII", data, 0, reach, lifetime_s, origin, seq)
            data[_HEAD:] = payload
            self._shelf.put("signed%d" % place, data)
        except (OSError, MemoryError) as e:
            self._log.warning("gossip: not kept for others: %s", e)  # it takes effect all the same
        return True

    def adopt(self, relay, now):
        """After a start: what Trust knows to have come is for those who lack it. The rest has yet to take effect:
        the power went, or the flash was full, before it was marked."""
        for place in range(_PLACES):
            data = self._shelf.get("signed%d" % place)
            if not data or len(data) < _HEAD + 19:
                continue
            reach, lifetime_s, origin, seq = unpack_from(">BHII", data, 0)
            payload = memoryview(data)[_HEAD:]
            reason = self.trust.check(payload, reach, origin, seq, lifetime_s)
            if not reason:
                relay.checks.again(reach, origin, seq, lifetime_s, payload, now)
            elif reason == _OLD and (place >= _TABLES or self.book.holds(unpack_from(">I", payload, 15)[0])):
                relay.adopt(reach, origin, seq, lifetime_s, payload, now)

    def void(self, relay):
        """Keys were replaced or revoked: what they signed is neither acted on nor given to others any more."""
        trust, under = self.trust, self.trust.signed_by(0)
        self.book.drop()
        if under != self._under:
            self._under = under
            relay.seen.forget()
        for item in relay.store.items:
            if item.state == _HELD and item.buf[0] <= _REVOKE:
                payload = memoryview(item.buf)[: item.size]
                if trust.check(payload, item.flags & 7, item.origin, item.seq, item.lifetime_s) == _OLD:
                    relay.seen.mark(item.key, item.seq)
                else:
                    item.state = _FREE
