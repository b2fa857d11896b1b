"""Signed messages of a file into a segment."""

import time
from functools import partial
from struct import unpack_from

from gossip.lms import length
from gossip.store import pair_of
from gossip.wire import COMMAND, KEY, REVOKE, SIGNERS, TARIFF
from gridmote.fault import Fault
from gridmote.sign.key import verify
from gridmote.sign.message import signed_part
from gridmote.sign.store import read_public
from tariff.table import decode

_KINDS = {TARIFF: "tariff", KEY: "key", COMMAND: "command to all", REVOKE: "revocation"}
_BODY = 12  # where that of a signed message begins
_ENOUGH = 2  # controllers
_AHEAD_S = 32 * 86400  # gossip/trust.py


def inject(end, messages, seconds, progress):
    """Start each, and insist until two controllers (one, where there is one) have acknowledged it.

    messages: gridmote.tariff.messages.Message. progress(text): what is under way. -> [(Message, who has it)], one
    alone where no second one said so in so many seconds; the next messages do not wait for a second one then.
    Fault with what had arrived, if none did.
    """
    arrived, wanted = [], min(_ENOUGH, max(end.given, len(end.controllers())))
    for message in messages:
        progress(f"{name_of(message)}: {message.summary}" if message.summary else name_of(message))
        seq = end.stack.relay.start(
            end.now(), message.payload, reach=message.reach, lifetime_s=message.lifetime_s, origin=message.origin,
            seq=message.seq)
        if not seq:
            raise Fault(f"{name_of(message)}: comes twice in the file")
        pair = pair_of(message.payload, 0, len(message.payload), message.origin, message.seq)
        item = end.stack.relay.store.find(*pair)
        item.need = wanted
        end.run(partial(_enough, item, wanted), seconds)
        who, item.need = _controllers(item), 0
        if not who:
            told = f"; {len(arrived)} of {len(messages)} had arrived" if len(messages) > 1 else ""
            why = ("; either it is older than what they hold, or its key is not, or no more, theirs"
                   if message.payload[0] in _KINDS else "")
            raise Fault(f"{name_of(message)}: no controller acknowledged it within {seconds:g} s{told}{why}")
        arrived.append((message, who))
        wanted = min(wanted, len(who))
    return arrived


def _enough(item, wanted):
    """Whether so many have it. The relay gives up after some periods: here it is told to go on."""
    lacking = wanted - len(_controllers(item))
    if lacking > 0 and not item.need:
        item.need, item.tries = lacking, 1
    return lacking <= 0


def _controllers(item):
    """Who has it, other runs of this command left out."""
    return [number for number in item.by if number > SIGNERS]


def check(messages, fleet, now):
    """Fault for what no node would take, as far as that can be seen here: before anything is sent.

    fleet: folder of the public keys; a message of a key that is not among them is let pass. now: SOC.
    """
    publics = [bytes.fromhex(read_public(fleet / name)) for name in ("tariff.pub", "recovery.pub")]
    for message in messages:
        payload, name = message.payload, name_of(message)
        if payload[0] not in _KINDS:
            continue
        if len(payload) < _BODY + 24:
            raise Fault(f"{name}: damaged, it is too short")
        _, epoch, since, until, size = unpack_from(">BBIIH", payload, 0)
        if until <= now:
            raise Fault(f"{name}: ended {_when(until)}, no node takes it any more; sign it anew")
        if since > now + _AHEAD_S:
            raise Fault(f"{name}: begins {_when(since)}, nodes take what does within {_AHEAD_S // 86400} days")
        for public in publics:
            if public and public[8] == epoch and not _good(public, message, _BODY + size):
                raise Fault(f"{name}: its signature is not that of the fleet whose keys are in {fleet}; it is of "
                            "another fleet, or was changed after it was signed")


def _when(soc):
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(soc))


def _good(public, message, at):
    if len(message.payload) != at + length(public):
        return False
    said = signed_part(message.reach, message.origin, message.seq, message.lifetime_s, message.payload[:at])
    return verify(public, message.payload[at:], said)


def name_of(message):
    """A tariff by the number that a query for it has, others by their sequence."""
    table = table_of(message)
    return f"tariff {table.number}" if table else f"{_KINDS.get(message.payload[0], 'command')} {message.seq}"


def table_of(message):
    """The Table in a signed message, None if it is no tariff."""
    payload = message.payload
    if payload[0] != TARIFF or len(payload) < _BODY:
        return None
    table = decode(payload, _BODY, int.from_bytes(payload[10:12], "big"))
    return None if isinstance(table, str) else table
