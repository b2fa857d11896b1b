"""What the utility says: messages with an origin seal, and orders to one node (docs/gossip-wire.md)."""

import hmac
import struct
from typing import NamedTuple

from gossip.wire import NUMBER_MOST, ORDER, PAYLOAD_MOST, REVOKE, SIGNERS
from gridmote.fault import Fault
from gridmote.sign.key import signature_size

_ORDER_MAC = 16


class Signed(NamedTuple):
    """A DATA message: what its head says, and its payload."""

    kind: int
    origin: int
    seq: int
    reach: int
    lifetime_s: int
    payload: bytes


def seal(key, leaf, kind, reach, origin, seq, lifetime_s, valid_from, valid_until, body):
    """The Signed message by that leaf of a Key."""
    payload = struct.pack(">BBIIH", kind, key.epoch, valid_from, valid_until, len(body)) + body
    signed = signed_part(reach, origin, seq, lifetime_s, payload)
    return Signed(kind, origin, seq, reach, lifetime_s, payload + key.sign(leaf, signed))


def signed_part(reach, origin, seq, lifetime_s, payload):
    """What a signature covers; payload: all of it before the signature."""
    return b"gridmote1" + struct.pack(">BIIH", reach, origin, seq, lifetime_s) + payload


def check(height, kind, reach, origin, seq, lifetime_s, valid_from, valid_until, body):
    """Fault for what no node would take: before a one-time key is used up for it."""
    _within(
        ("kind", kind, 1, REVOKE), ("sequence number", seq, 0, NUMBER_MOST), ("reach", reach, 1, 7),
        ("lifetime in seconds", lifetime_s, 1, 0xFFFF), *_common(origin, valid_from, valid_until),
        ("bytes of the body", len(body), 0, PAYLOAD_MOST - 12 - signature_size(height)))


def order(node_key, reach, origin, seq, lifetime_s, destination, valid_from, valid_until, body):
    """A Signed command to the one node whose number and key (32 bytes) these are; it uses up no one-time key."""
    _within(
        ("destination", destination, 1, NUMBER_MOST), ("sequence number", seq, 1, NUMBER_MOST),
        *_common(origin, valid_from, valid_until),
        ("bytes of the body", len(body), 0, PAYLOAD_MOST - 13 - _ORDER_MAC))
    payload = struct.pack(">BIII", ORDER, destination, valid_from, valid_until) + body
    said = b"gridmote2" + struct.pack(">II", origin, seq) + payload
    mac = hmac.digest(node_key, said, "sha256")[:_ORDER_MAC]
    return Signed(ORDER, origin, seq, reach, lifetime_s, payload + mac)


def _common(origin, valid_from, valid_until):
    return (("the utility's number as an origin", origin, 1, SIGNERS), ("valid until", valid_until, 1, 0xFFFFFFFF),
            ("valid from", valid_from, 0, valid_until - 1))


def _within(*bounds):
    for what, value, least, greatest in bounds:
        if not least <= value <= greatest:
            raise Fault(f"{what}: {value}, but only {least} to {greatest} is possible")
