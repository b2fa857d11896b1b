"""An Outbox around a ring, on a folder or in RAM only, and what makes messages of what waited."""

import random

from boards.storage import Folder
from firmware.follow import FollowUp
from mqtt.timing import Pace
from outbox.backlog import Backlog
from outbox.boots import Boots
from outbox.durable import DurableLog
from outbox.outbox import Outbox
from outbox.ring import Ring
from outbox.stream import StreamLog


class Known:
    """A clock that always knew the time."""

    known = True


def plain_outbox(slots, size, window=32, folder="", config=b"configuration", spill=True, hold_ms=0):
    """folder: of the flash log; empty: none. spill: whether records leave RAM before they are acknowledged.
    hold_ms: how long what was acknowledged stays on flash."""
    storage = Folder(folder) if folder else None
    ring = Ring(slots, size)
    stream, durable = StreamLog(storage, 196, config), DurableLog(storage, 16)
    boots = Boots(storage, random, stream, durable)
    high_water, wait_ms = (slots * 3 // 4, 1000) if spill else (slots, 1 << 29)
    outbox = Outbox(ring, boots, stream, durable, high_water, window, 10000, wait_ms, hold_ms)
    outbox.backlog = Backlog(durable, stream, boots, 1200, None, config)
    return outbox


def follow_up(outbox, place, per_s=500):
    """place: bytes in front of the kind of a topic."""
    return FollowUp(outbox.backlog, Pace(per_s), lambda kind: place + kind.encode(), Known())
