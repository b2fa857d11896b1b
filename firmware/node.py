"""A node that measures, at work: its tasks, from the first block to the good-bye."""

import asyncio
import gc
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from firmware.lamp import code

_LOOK_MS = const(10000)  # at most, between looks at the clock and at what an EVENT should tell
_WATCH_MS = const(500)
_GARBAGE_MOST = const(4096)  # bytes that may wait for the collector; a sixteenth where there is much heap


class Node:
    """The parts of a node that have tasks of their own, wired by wiring.build.

    learn: called while connected, when the time of day may have become known. clock: the board's. guard: Guard.
    lamp: Lamp. radio: Radio, or None. asker: ntp.Asker, or None where the clock needs none. free(): bytes of heap.
    on_healthy(served): called when the node has run for some minutes and a frame was acknowledged, or for an hour
    without; gives what is to be called next, or None; may be set.
    """

    HEALTHY_S = 180
    STEADY_S = 3600
    again = False  # no command restarts it

    def __init__(self, meter, link, status, events, energy, learn, clock, guard, lamp, radio, asker, free, gossip):
        self.meter = meter
        self.link = link
        self.on_healthy = None
        self._status = status
        self.events = events
        self._energy = energy
        self._learn = learn
        self._clock = clock
        self._guard = guard
        self._lamp = lamp
        self._radio = radio
        self._asker = asker
        self._free = free
        self._gossip = gossip

    async def run(self, status_s, energy_s, seconds):
        """Until the source ends or `seconds` have passed (0: never). What goes wrong in any task is raised."""
        self._collect()
        asyncio.create_task(self.link.run())
        asyncio.create_task(self._report(status_s, energy_s))
        asyncio.create_task(self._watch())
        asyncio.create_task(self._lamp.run())
        if self._asker:
            asyncio.create_task(self._asker.run(self._learn))
        if self._gossip:
            asyncio.create_task(self._gossip.run())
        try:
            if seconds:
                await asyncio.wait_for(self.meter.run(), seconds)
            else:
                await self.meter.run()
        except asyncio.TimeoutError:
            pass

    def _collect(self):
        gc.collect()
        self._guard.collected(self._free())

    async def _report(self, status_s, energy_s):
        """STATUS and energy records at their intervals, the rest more often; the collector runs where nothing waits
        for it."""
        status_due = ticks_add(ticks_ms(), status_s * 1000)
        energy_due = self._next_energy(energy_s)
        while True:
            now = ticks_ms()
            await asyncio.sleep_ms(min(ticks_diff(status_due, now), ticks_diff(energy_due, now), _LOOK_MS))
            self._status.sample()
            if not self.link.down:
                self._learn()
            self.events.look()
            now = ticks_ms()
            if ticks_diff(status_due, now) <= 0:
                self.link.report("online")
                status_due = ticks_add(now, status_s * 1000)
            if ticks_diff(energy_due, now) <= 0:
                self._energy.write("interval")
                energy_due = self._next_energy(energy_s)
            served = self.link.served
            if self.on_healthy and self._status.uptime_s >= (self.HEALTHY_S if served else self.STEADY_S):
                self.on_healthy = self.on_healthy(served)
            self._collect()
            self._guard.reports = self._guard.reports + 1 & 0xFFFF

    def _next_energy(self, every_s):
        """In ticks; on the clock's own grid where there is a clock."""
        clock = self._clock
        return ticks_add(ticks_ms(), (every_s - clock.soc() % every_s if clock.known else every_s) * 1000)

    async def _watch(self):
        """The radio, the watchdog, what the lamp shows, and garbage when there is much."""
        radio, link, clock, status = self._radio, self.link, self._clock, self._status
        while True:
            if radio:
                radio.step(ticks_ms(), not link.down)
            self._lamp.code = code(
                radio and radio.state, link.down, link.outbox.storage, clock.known, status.fallback
            )
            self._guard.look()
            heap = self._guard.heap
            if self._free() < heap - max(_GARBAGE_MOST, heap >> 4):
                gc.collect()
            await asyncio.sleep_ms(_WATCH_MS)

    async def leave(self, drain_ms):
        """Make the last records, send what can be sent, and say good-bye. Then the outbox is to be saved."""
        self._energy.write("shutdown")
        self.events.look()
        pumping = asyncio.create_task(self.link.run())
        await self.link.drain(drain_ms)
        pumping.cancel()
        self.link.session.leave(ticks_ms())

    def rest(self):
        """What waits goes to flash; what is left, in words, when it ends."""
        outbox = self.link.outbox
        saved = outbox.save()
        said = "stopped: %d frames made, %d dropped, %d not acknowledged"
        said = said % (self.meter.frames, outbox.dropped, outbox.waiting)
        if outbox.waiting:
            fate = "on flash, to be sent at the next start" if saved else "what was in RAM of it is lost"
            said += " (records and earlier frames with them): " + fate
        return said

    def save(self):
        """What a node that dies can still do: its energy and what waits in RAM go to flash. Raises anything."""
        try:
            self._energy.write("restart")
            self.events.look()
        finally:
            self.link.outbox.save()
