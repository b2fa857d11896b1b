"""A node at work: its tasks, from the first block to the good-bye."""

import asyncio
import gc
import sys
from time import ticks_ms

_LOOK_S = 10  # at most, between looks at the clock and at what an EVENT should tell
_DRAIN_MS = 3000  # how long the end waits for the last acknowledgements


class Node:
    """The parts of a node that have tasks of their own, wired by wiring.build.

    learn: called while connected, when the time of day may have become known. clock: the board's.
    """

    def __init__(self, meter, link, status, events, energy, learn, clock):
        self.meter = meter
        self.link = link
        self._status = status
        self._events = events
        self._energy = energy
        self._learn = learn
        self._clock = clock

    async def run(self, status_s, energy_s, seconds):
        """Until the source ends or `seconds` have passed (0: never)."""
        asyncio.get_event_loop().set_exception_handler(_failed)
        asyncio.create_task(self.link.run())
        asyncio.create_task(self._report(status_s))
        asyncio.create_task(self._count(energy_s))
        try:
            if seconds:
                await asyncio.wait_for(self.meter.run(), seconds)
            else:
                await self.meter.run()
        except asyncio.TimeoutError:
            pass

    async def _report(self, every_s):
        """STATUS at its interval, the rest more often; the collector runs where nothing waits for it."""
        passed_s = 0
        while True:
            step_s = min(every_s - passed_s, _LOOK_S)
            await asyncio.sleep(step_s)
            passed_s += step_s
            self._status.sample()
            if not self.link.down:
                self._learn()
            self._events.look()
            if passed_s == every_s:
                self.link.report("online")
                passed_s = 0
            gc.collect()

    async def _count(self, every_s):
        """Energy records, on the clock's own grid where there is a clock."""
        while True:
            await asyncio.sleep(every_s - self._clock.soc() % every_s if self._clock.known else every_s)
            self._energy.write("interval")

    async def leave(self):
        """Make the last records, send what can be sent, and say good-bye. Then the outbox is to be saved."""
        self._energy.write("shutdown")
        self._events.look()
        pumping = asyncio.create_task(self.link.run())
        await self.link.drain(_DRAIN_MS)
        pumping.cancel()
        self.link.session.leave(ticks_ms())


def _failed(loop, context):
    """An unexpected exception in a task ends the node, with its traceback: half a node would look like a whole."""
    sys.print_exception(context["exception"])
    raise SystemExit(1)
