"""Turns sample blocks into data frames in the outbox, and into energy."""

import asyncio
from time import ticks_ms

from outbox.record import FRAME, TICKS, UNTIMED


class Meter:
    """Measures for as long as its source gives samples.

    source: `due_ms()` until the next block is ready, `fill()` and the block it describes (see the board).
    estimator, writer: phasor.Estimator and c37118.DataWriter that share their values. outbox: an Outbox.
    clock: `tq` (time quality byte) and `stat` (STAT bits of time), kept up to date by the board.
    fracsec: TIME_BASE counts per frame. stat: STAT bits of this node, such as test mode.
    watchers: energy.Registers and phasor.Trigger, or None; they see each frame's values.
    on_frame: called after each frame.

    From a block to the committed frame nothing is allocated.
    """

    def __init__(self, source, estimator, writer, outbox, clock, fracsec, stat, on_frame, registers, trigger):
        self._source = source
        self._estimator = estimator
        self._writer = writer
        self._outbox = outbox
        self._clock = clock
        self._fracsec = fracsec
        self._stat = stat
        self._on_frame = on_frame
        self._registers = registers
        self._trigger = trigger
        self.on_second = None  # called with the second of the first frame of each; allocates nothing
        self.frames = 0
        self.triggers = 0  # that began
        self._trigger_sec = self._trigger_reason = 0  # of the last of them

    async def run(self):
        """Until the source ends."""
        source = self._source
        while True:
            wait_ms = source.due_ms()
            if wait_ms > 0:
                await asyncio.sleep_ms(wait_ms)
                continue
            if not self.take():
                return
            await asyncio.sleep_ms(0)  # several blocks may be due: others get their turn in between

    def trigger(self):
        """The last trigger: the second of its frame's stamp, and the reason as STAT bits 3-0 have it."""
        return {"at": self._trigger_sec + (1 << 31), "reason": self._trigger_reason}

    def take(self):
        """Measure the next block; False at the end of the source."""
        source = self._source
        n = source.fill()
        if not n:
            return False
        estimator = self._estimator
        estimator.push(source.block, n, source.sec, source.ns)
        while estimator.next():
            self._frame(estimator.sec, estimator.frame)
        return True

    def _frame(self, sec, frame):
        outbox = self._outbox
        clock = self._clock
        stat = self._stat | clock.stat
        now = ticks_ms() & TICKS
        if self._registers:
            self._registers.add()
        if self._trigger:
            bits = self._trigger.check()
            if bits:
                stat |= bits
                outbox.trigger(now)
                if self._trigger.begun:
                    self.triggers += 1
                    self._trigger_sec = sec
                    self._trigger_reason = bits & 15
        off = outbox.pend()
        size = self._writer.write(outbox.buf, off, sec, frame * self._fracsec, clock.tq, stat)
        outbox.commit(size, FRAME if self._source.timed else UNTIMED, now)
        self.frames += 1
        if not frame and self.on_second:
            self.on_second(sec)
        self._on_frame()
