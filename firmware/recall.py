"""What a node knows of what is signed when it starts. Run once, then let go."""

from binascii import unhexlify
from struct import unpack_from

from micropython import const

from firmware.signed import Signed
from gossip.seal import Seal
from gossip.trust import Trust
from tariff.book import Book

_TABLES = const(4)  # signed.py
_PLACES = const(7)
_HEAD = const(11)
_CHECKING = const(1)  # gossip.wire
_COMMAND = const(3)
_OLD = const(16)
_WAITS = const(1)  # gossip.store


def recall(config, shelf, soc, log, alarm):
    """The Signed of a configuration."""
    settings, tariff = config["gossip"], config["tariff"]
    node_key = settings["node_key"]
    trust = Trust(
        unhexlify(settings["tariff_key"]),
        unhexlify(settings["recovery_key"]),
        Seal(unhexlify(node_key)) if node_key else None,
        shelf,
        soc,
        alarm,
    )
    return Signed(trust, Book(shelf, tariff["default_price"], tariff["currency"], trust.ended), shelf, soc, log)


def adopt(signed, shelf, relay, now):
    """What Trust knows to have come is for those who lack it. The rest has yet to take effect: the power went, or
    the flash was full, before it was marked: it is verified as if it came just now, and counts as a datagram."""
    for place in range(_PLACES):
        data = shelf.get("signed%d" % place)
        if not data or len(data) < _HEAD + 19:
            continue
        if signed.trust.lost and data[_HEAD] == _COMMAND:
            continue  # nobody knows whether it was obeyed
        reach, lifetime_s, origin, seq = unpack_from(">BHII", data, 0)
        payload = memoryview(data)[_HEAD:]
        reason = signed.trust.check(payload, reach, origin, seq, lifetime_s)
        if not reason:
            item = relay.store.place(payload[0], len(payload))
            if item:
                item.fill(_WAITS, reach, -1, 0, origin, seq, lifetime_s, 0, payload, now)
                relay.end.counters[_CHECKING] += 1
        elif reason == _OLD and (place >= _TABLES or signed.book.holds(unpack_from(">I", payload, 15)[0])):
            relay.adopt(reach, origin, seq, lifetime_s, payload, now)
