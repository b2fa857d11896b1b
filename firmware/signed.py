"""What is signed: whom a node believes, its tables, and the messages that it keeps for those who lack them."""

from struct import pack_into, unpack_from

from micropython import const

_TABLES = const(4)  # places: of the Book's tables, by theirs, then for the last message of each other type
_HEAD = const(11)  # reach u8, lifetime u16, origin u32, sequence u32
_TARIFF = const(1)  # types of DATA, gossip.wire
_KEY = const(2)
_REVOKE = const(4)
_OLD = const(16)
_FREE = const(0)  # gossip.store
_HELD = const(2)


class Signed:
    """trust: Trust. book: Book. shelf: Shelf. soc(): SOC, 0: not known. log: Log.

    refused: why the last table that was accepted is not in the book, else "". due: keys changed, void() is to come.
    """

    def __init__(self, trust, book, shelf, soc, log):
        self.trust, self.book, self._shelf, self._soc, self._log = trust, book, shelf, soc, log
        trust.keep = self.keep
        self.refused = ""
        self.due = False
        self._under = trust.signed_by(0)

    def keep(self, payload, reach, origin, seq, lifetime_s):
        """On the shelf before it counts as taken: a power cut in between costs nothing. False: it is not there."""
        kind, epoch, since, until, size = unpack_from(">BBIIH", payload, 0)
        place = _TABLES - _KEY + kind
        self.due = self.due or kind in (_KEY, _REVOKE)
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
                    relay.seen.mark(item.key, item.number)
                else:
                    item.state = _FREE
        self.due = False
