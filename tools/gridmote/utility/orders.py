"""A command to one node."""

import time

from gossip.wire import NUMBER_MOST
from gridmote.fault import Fault
from gridmote.sign import message
from gridmote.tariff.messages import Message
from gridmote.utility.question import names_of

_EVERYWHERE = 7


def order(end, fleet, segment, node, body, hours):
    """The Message, sealed with the node's key; Fault where the node or its key is not known."""
    numbers = {name: number for number, name in names_of(fleet, segment).items()}
    if node not in numbers:
        raise Fault(f"{node}: no node of {','.join(segment)} that was provisioned has this id")
    path = fleet / "nodes" / f"{node}.key"
    try:
        key = bytes.fromhex(path.read_text(encoding="utf-8").split()[0])
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    except (ValueError, IndexError):
        key = b""
    if len(key) != 32:
        raise Fault(f"{path}: no key: 64 hexadecimal digits are needed")
    now = int(time.time())
    seq = min(end.stack.relay.seq, NUMBER_MOST)
    until = now + int(hours * 3600)
    made = message.order(key, _EVERYWHERE, end.stack.peers.number, seq, int(hours * 3600), numbers[node], now - 300,
                         until, body)
    return Message(made.origin, made.seq, made.reach, made.lifetime_s, made.payload, f"for {node}")
