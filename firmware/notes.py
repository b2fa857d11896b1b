"""What happened to a node that measures nothing: EVENTs, kept until its broker has them."""

import json
from time import ticks_ms

from micropython import const

NOTE_BYTES = const(700)  # of one
_COUNT_MOST = const(16)  # that wait
_BYTES_MOST = const(3500)  # of all that wait: a block of flash
_TICKS = const(0x3FFFFFFF)
_NAME = "events"


class Notes:
    """shelf: Shelf. clock: the board's. boot: number of this boot. log: Log, which is told each. kept: whether
    there is a broker to wait for.

    `event(what, **fields)`: on flash when it returns, if there is any; ValueError: too long. `first()`: the oldest
    that waits, None without one; `took(note)`: it has arrived. `tidy()`: every few seconds, the shelf forgets what
    has. A power cut may bring one twice, under the same boot and seq. dropped: so many had to go for newer ones.
    storage: "ok", "none", or what is wrong with it.
    """

    def __init__(self, shelf, clock, boot, log, kept):
        self._shelf = shelf
        self._clock = clock
        self._boot = boot
        self._log = log
        self._kept = kept
        self._seq = self.dropped = 0
        self._stale = False  # the shelf has some that have arrived, or lacks one
        self.storage = "ok" if shelf.durable else "none"
        before = shelf.get(_NAME) if kept else None
        self.waiting = before.split(b"\n") if before else []

    def event(self, what, **fields):
        clock = self._clock
        self._seq += 1
        fields["event"] = what
        fields["seq"] = self._seq
        fields["boot"] = self._boot
        fields["soc"] = clock.soc() if clock.known else None
        fields["ticks"] = ticks_ms() & _TICKS
        fields["tq"] = clock.tq
        text = json.dumps(fields)
        note = text.encode()
        if len(note) > NOTE_BYTES:
            raise ValueError("event %s: %d bytes, at most %d" % (what, len(note), NOTE_BYTES))
        self._log.info("event %s", text)
        if not self._kept:
            return
        waiting = self.waiting
        waiting.append(note)
        while len(waiting) > _COUNT_MOST or sum([len(note) + 1 for note in waiting]) > _BYTES_MOST:
            waiting.pop(0)
            self.dropped += 1
        self._save()

    def first(self):
        return self.waiting[0] if self.waiting else None

    def took(self, note):
        if self.waiting and self.waiting[0] is note:  # else it has gone for a newer one
            self.waiting.pop(0)
            self._stale = True

    def tidy(self):
        if self._stale:
            self._save()

    def _save(self):
        if not self._shelf.durable:
            return
        try:
            self._shelf.put(_NAME, b"\n".join(self.waiting))
            self.storage = "ok"
            self._stale = False
        except OSError as e:
            self.storage = str(e)
            self._stale = True
