"""The node's durable messages: EVENT (what happened to it and to its data) and METER (energy registers)."""

import json
from time import ticks_ms

from outbox.record import EVENT, METER, TICKS


class Events:
    """outbox: an Outbox. clock: the board's. boot: number of this boot.

    `event(name, **fields)` and `energy(reason, registers)`: on flash when they return, if there is any.
    `look()`: tells of triggers (of `meter`), of thinning, of drops, of rotten places in the log and of the
    storage's state when there is news; every few seconds.
    """

    def __init__(self, outbox, clock, boot):
        self._outbox = outbox
        self._clock = clock
        self._boot = boot
        self._storage = "ok"  # or "none": neither is news
        self._corrupt = 0
        self._triggers = 0
        self.meter = None

    def event(self, name, **fields):
        fields["event"] = name
        self._keep(EVENT, fields)

    def energy(self, reason, registers):
        wh_in, wh_out = registers.wh()
        self._keep(
            METER, {"reason": reason, "phases": registers.phases, "wh_in": wh_in, "wh_out": wh_out}
        )

    def look(self):
        meter = self.meter
        if meter.triggers != self._triggers:
            self.event("trigger", count=meter.triggers - self._triggers, **meter.trigger())
            self._triggers = meter.triggers
        news = self._outbox.news()
        while news:
            self._keep(EVENT, news)
            news = self._outbox.news()
        storage = self._outbox.storage
        if storage != self._storage and storage != "none":
            self.event("storage", state=storage)
            self._storage = storage
        corrupt = self._outbox.corrupt
        if corrupt != self._corrupt:
            self.event("corrupt", places=corrupt - self._corrupt)
            self._corrupt = corrupt

    def _keep(self, kind, fields):
        clock = self._clock
        ticks = ticks_ms() & TICKS
        fields["seq"] = self._outbox.durable_number()
        fields["boot"] = self._boot
        fields["soc"] = clock.soc() if clock.known else None
        fields["ticks"] = ticks
        fields["tq"] = clock.tq
        self._outbox.keep(kind, json.dumps(fields).encode(), ticks)
