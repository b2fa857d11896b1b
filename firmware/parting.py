"""The good-bye of a node that measures nothing. Loaded when it ends."""

import asyncio
from time import ticks_add, ticks_diff, ticks_ms


async def part(teller, events, drain_ms):
    """Tell the broker what still waits, as long as that takes no more than drain_ms, and leave."""
    session = teller.session
    end_ms = ticks_add(ticks_ms(), drain_ms)
    told = not teller.up
    while not told and teller.up and ticks_diff(end_ms, ticks_ms()) > 0:
        now = ticks_ms()
        teller.step(now)
        if not events.waiting and session.ready():
            teller.report("stopped", now)
            told = True
        await asyncio.sleep_ms(10)
    while teller.up and session.window.open_count and ticks_diff(end_ms, ticks_ms()) > 0:
        session.step(ticks_ms())
        await asyncio.sleep_ms(10)
    session.leave(ticks_ms())
