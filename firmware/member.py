"""A node that measures nothing, at work: an appliance, a controller, a meter without transducers."""

import asyncio
import gc
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from firmware.lamp import code

_LOOK_MS = const(10000)  # at most, between looks at the clock and at what waits
_WATCH_MS = const(500)
_TURN_MS = const(50)  # between turns of the connection; a service with a socket of its own has its own task
_GARBAGE_MOST = const(4096)  # bytes that may wait for the collector; a sixteenth where there is much heap


class Member:
    """The parts of a node that have tasks of their own, wired by lean.build.

    events: Notes. facts: what does not change while it runs (boot.boot). radio, asker: or None. Set afterwards:
    guard; teller, gossip, appliances, or None. on_healthy(served): as Node's; what serves is the broker, without
    one the network. again: CMD has asked for a restart.
    """

    HEALTHY_S = 180
    STEADY_S = 3600

    def __init__(self, board, role, boot, facts, events, lamp, radio, asker, log):
        self.events = events
        self.teller = self.gossip = self.appliances = self.guard = self.on_healthy = None
        self.again = False
        self.uptime_s = 0
        self.turns = 0  # of the task that runs: whoever looks sees that it goes on
        self._board = board
        self._role = role
        self._boot = boot
        self._facts = facts
        self._lamp = lamp
        self._radio = radio
        self._asker = asker
        self._log = log
        self._since_ms = ticks_ms()

    async def run(self, status_s, energy_s, seconds):
        """Until `seconds` have passed (0: for ever), or a restart is asked for."""
        self._collect()
        if not self.teller:
            self._log.info("no broker: events are told here only")
        asyncio.create_task(self._report(status_s))
        asyncio.create_task(self._watch())
        asyncio.create_task(self._lamp.run())
        if self._asker:
            asyncio.create_task(self._asker.run(self.learn))
        for service in (self.gossip, self.appliances):
            if service:
                asyncio.create_task(service.run())
        end_ms = ticks_add(ticks_ms(), int(seconds * 1000))
        while not self.again and not (seconds and ticks_diff(ticks_ms(), end_ms) >= 0):
            self._turn()
            await asyncio.sleep_ms(_TURN_MS)

    def _turn(self):
        self.turns = self.turns + 1 & 0xFFFF
        if self.teller:
            self.teller.step(ticks_ms())

    def _collect(self):
        gc.collect()
        self.guard.collected(self._board.free_bytes())

    async def _report(self, status_s):
        """What is due every few seconds."""
        while True:
            await asyncio.sleep_ms(min(status_s * 1000, _LOOK_MS))
            self._sample()
            self._board.clock.update()
            if not self.teller or self.teller.up:
                self.learn()
            self.events.tidy()
            served = self._served()
            if self.on_healthy and self.uptime_s >= (self.HEALTHY_S if served else self.STEADY_S):
                self.on_healthy = self.on_healthy(served)
            self._collect()
            self.guard.reports = self.guard.reports + 1 & 0xFFFF

    def _sample(self):
        passed = ticks_diff(ticks_ms(), self._since_ms) // 1000
        self.uptime_s += passed
        self._since_ms = ticks_add(self._since_ms, passed * 1000)

    def _served(self):
        if self.teller:
            return self.teller.served
        return not self._radio or self._radio.state == "up"

    def learn(self):
        """The time of day may have become known."""
        offset = self._board.clock.reached()
        if offset:
            self.events.event("clock", step_s=offset[0])
            if self.teller:
                self.teller.hurry()  # certificates may have waited for it

    async def _watch(self):
        """The radio, the watchdog, what the lamp shows, and garbage when there is much."""
        radio, teller, board, guard = self._radio, self.teller, self._board, self.guard
        while True:
            reached = not teller or teller.up
            if radio:
                radio.step(ticks_ms(), reached)
            self._lamp.code = code(
                radio and radio.state, not reached, self.events.storage, board.clock.known, "why" in self._facts
            )
            guard.look()
            heap = guard.heap
            if board.free_bytes() < heap - max(_GARBAGE_MOST, heap >> 4):
                gc.collect()
            await asyncio.sleep_ms(_WATCH_MS)

    def status(self):
        """What STATUS says."""
        self._sample()
        board, clock, events, teller, guard = self._board, self._board.clock, self.events, self.teller, self.guard
        clock.update()
        fields = {
            "board": board.name,
            "role": self._role,
            "boot": self._boot,
            "uptime_s": self.uptime_s,
            "heap": guard.heap,
            "heap_free": guard.heap_least,
            "time_known": clock.known,
            "time_quality": clock.tq,
            "events_waiting": len(events.waiting),
            "events_dropped": events.dropped,
            "storage": events.storage,
            "broker": str(teller.brokers),
            "acknowledged": teller.session.acknowledged,
            "connections": teller.connections,
            "last_error": teller.last_error,
        }
        if self._radio:
            fields["wifi"] = self._radio.state
            fields["rssi"] = board.network.station.rssi()
        if self._asker:
            fields["time_error"] = self._asker.last_error
        if self.appliances:
            fields["appliances"] = self.appliances.status()
        if self.gossip:
            fields["gossip"] = self.gossip.status()
        fields.update(self._facts)
        return fields

    def ask(self, payload, to_all=False):
        """A command, of CMD or of the utility."""
        if payload == b"restart":
            self.again = True
        elif self.gossip and payload.startswith(b'{"query"'):
            self.gossip.inquire(payload)
        elif self.appliances:
            self.appliances.ask(payload, to_all)

    def ordered(self, origin, body, to_all):
        self.ask(body, to_all)

    async def leave(self, drain_ms):
        """All is off; tell what still waits, and say good-bye."""
        if self.appliances:
            self.appliances.stop()
        if self.teller:
            from firmware.parting import part

            await part(self.teller, self.events, drain_ms)

    def save(self):
        if self.appliances:
            self.appliances.stop()
        self.events.tidy()

    def rest(self):
        """What is left, in words, when it ends."""
        self.events.tidy()
        return "stopped: %d events wait, %d dropped" % (len(self.events.waiting), self.events.dropped)
