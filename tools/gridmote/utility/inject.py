"""Signed messages of a file into a segment."""

from gossip.store import key_of
from gossip.wire import KEY, REVOKE, TARIFF
from gridmote.fault import Fault
from tariff.table import decode

_KINDS = {TARIFF: "tariff", KEY: "key", REVOKE: "revocation"}


def inject(end, messages, seconds, progress):
    """Start each, and wait until two controllers (one, where there is one) have acknowledged it.

    messages: gridmote.tariff.messages.Message. progress(text): what is under way. -> [(Message, who has it)].
    Fault with what had arrived, if one does not in so many seconds.
    """
    arrived = []
    for message in messages:
        progress(f"{name_of(message)}: {message.summary}" if message.summary else name_of(message))
        seq = end.stack.relay.start(
            end.now(), message.payload, reach=message.reach, lifetime_s=message.lifetime_s, origin=message.origin,
            seq=message.seq)
        if not seq:
            raise Fault(f"{name_of(message)}: comes twice in the file")
        item = end.stack.relay.store.find(key_of(message.payload[0], message.origin), message.seq)
        if not end.run(lambda item=item: not item.need, seconds) and not item.by:
            told = f"; {len(arrived)} of {len(messages)} had arrived" if len(messages) > 1 else ""
            raise Fault(f"{name_of(message)}: no controller acknowledged it within {seconds:g} s{told}; either it "
                        "is older than what they hold, or its key is not theirs")
        arrived.append((message, list(item.by)))
    return arrived


def name_of(message):
    return f"{_KINDS.get(message.payload[0], 'command')} {message.seq}"


def table_of(message):
    """The Table in a signed message, None if it is no tariff."""
    payload = message.payload
    if payload[0] != TARIFF or len(payload) < 12:
        return None
    table = decode(payload, 12, int.from_bytes(payload[10:12], "big"))
    return None if isinstance(table, str) else table
