"""A node around an outbox, 20 ms a step: frames, a link that is up or down, acknowledgements one trip later."""

import random

from life_world import ACKED, EVENT, FRAME, UNTIMED, Broken, Moved, Reader

from boards.storage import Folder
from outbox.backlog import Backlog
from outbox.boots import Boots
from outbox.durable import DurableLog
from outbox.outbox import Outbox
from outbox.ring import Ring
from outbox.stream import StreamLog

STEP_MS = 20
TRIP = 3  # steps from a message to its PUBACK
_AGAIN_MS = 1000


class Many:
    """What the outbox of a life is configured with; `budget` and `durable` in blocks."""

    frame_size = 52
    slots, high_water, window, payload, around_ms, wait_ms = 64, 48, 16, 1200, 400, 300
    budget, durable = 24, 4


class Wide(Many):
    """More than the file system of 848 KiB has."""

    frame_size = 400
    budget, durable = 204, 8


class Node:
    """One boot on the folder `path`, driven by `step`, `keep`, `connect` and `cut`; the world checks what comes.

    OSError if the storage cannot be had. `state`: a byte a frame, in which `mark` is set when one arrives.
    `after()`: called when a step or a `keep` is done; `ram`: records that were in RAM only when the one before was.
    """

    def __init__(self, world, path, sizes, state, mark=ACKED, timed=True, version=0, after=None, hold_ms=0):
        self.world, self.sizes, self.state, self.mark = world, sizes, state, mark
        self.timed = timed
        self.step_no = 0
        self.up = False
        self.arrived = set()  # numbers of durable records
        self._flight = []  # [seq, index, step of the PUBACK] of live frames
        self._backflight = []  # (token, indices, durable number, step of the PUBACK)
        self._indices = {}  # of the frames in the ring, by sequence number
        ring = Ring(sizes.slots, world.frame_size)
        self.storage = storage = Folder(path)
        config = world.config(version)
        self.stream = StreamLog(storage, sizes.budget, config)
        self.durable = DurableLog(storage, sizes.durable)
        self.boots = Boots(storage, random, self.stream, self.durable)
        self.boot = self.boots.boot
        self.outbox = Outbox(
            ring,
            self.boots,
            self.stream,
            self.durable,
            sizes.high_water,
            sizes.window,
            sizes.around_ms,
            sizes.wait_ms,
            hold_ms,
        )
        world.begin(self.boot, (self.boots.chunk, self.boots.durable_chunk), timed, version)
        self.backlog = Backlog(self.durable, self.stream, self.boots, sizes.payload, Moved, config)
        self.outbox.backlog = self.backlog
        self.reader = Reader(world, config)
        self.after = after
        self.ram = 0
        self._writes = 0
        self._staged = []

    @property
    def now(self):
        return self.step_no * STEP_MS

    def step(self, frames=1):
        """20 ms go by."""
        self.step_no += 1
        for _ in range(frames):
            self.frame()
        if self.up:
            self._take_acks()
            self._send()
        self.outbox.tend(self.now)
        self._done()

    def _done(self):
        if self.after:
            self.after()
        if self.boot in self.world.offsets and not self.boots.dirty:
            self.world.learned.add(self.boot)
        stream = self.stream
        if stream.writes != self._writes:
            self._writes = stream.writes
            for index in self._staged:
                self.world.flash[index] = 1
            self._staged = []
        self.ram = len(self.outbox) + stream._put
        if stream._put != len(self._staged):
            self._staged = self._in_block()

    def _in_block(self):
        """Frames in the block that is not on flash yet."""
        block, at, found = self.stream._block, 0, []
        while at < self.stream.fill:
            if block[at] >> 4 in (FRAME, UNTIMED):
                found.append(self.world.identify(block, at + 12))
            at += 12 + ((block[at] & 15) << 8 | block[at + 1])
        return found

    def steps(self, n):
        for _ in range(n):
            self.step()

    def frame(self):
        world, outbox = self.world, self.outbox
        index = world.write(outbox.buf, outbox.pend(), self.boot)
        world.own(self._number(), self.boot)
        self._indices[outbox.commit(world.frame_size, FRAME if self.timed else UNTIMED, self.now)] = index

    def _number(self):
        """The full number of the frame that is committed next."""
        outbox, seq = self.outbox, self.outbox.ring.written
        chunk = outbox._chunk if seq >> 20 == outbox._chunk & 0x1FF else outbox._reserved
        return chunk << 20 | seq & 0xFFFFF

    def keep(self, kind=EVENT):
        """A durable record; what `keep` promised counts from its return on."""
        number = self.outbox.durable_number()
        data = self.world.event(number, self.boot)
        self.world.offer(number, data)
        if self.outbox.keep(kind, data, self.now):
            self.world.promise(number)
        else:
            raise Broken("durable record %d stays in RAM: %s" % (number, self.outbox.storage))
        self._done()

    def connect(self, session=True):
        """The link is up; without its session the broker gets the last second again."""
        self.up = True
        self.backlog.rewind()
        self._backflight.clear()
        if not session:
            self.outbox.again(self.now, _AGAIN_MS)
        for flight in self._flight:
            flight[2] = self.step_no + TRIP
        self._flight = [flight for flight in self._flight if self.outbox.holds(flight[0])]

    def cut(self):
        """The link is down; what is in flight may have arrived or not."""
        self.up = False

    def learn(self, offset):
        """The true time: this boot's stamps are `offset` seconds behind it."""
        self.world.offsets[self.boot] = offset
        self.boots.learn([offset, 0, 0, 1000, 50])
        self.timed = True

    def drain(self, steps_most=4000):
        """Until flash is empty, without new frames."""
        for _ in range(steps_most):
            self.step(0)
            if not len(self.backlog) and not self._backflight and not len(self.outbox):
                return
        raise Broken("the backlog does not end: %d wait" % len(self.backlog))

    def _take_acks(self):
        while self._flight and self._flight[0][2] <= self.step_no:
            seq, index, _ = self._flight.pop(0)
            self.state[index] |= self.mark
            self.outbox.ack(seq)
        while self._backflight and self._backflight[0][3] <= self.step_no:
            token, indices, number, _ = self._backflight.pop(0)
            for index in indices:
                self.state[index] |= self.mark
            if number is not None:
                self.arrived.add(number)
                if self.mark == ACKED:
                    self.world.promised.discard(number)
            self.backlog.ack(token)

    def _send(self):
        outbox = self.outbox
        while len(self._flight) < self.sizes.window:
            seq = outbox.next()
            if seq < 0:
                break
            index = self._indices.pop(seq)
            if self.world.identify(outbox.buf, outbox.off(seq)) != index:
                raise Broken("record %d of the ring is not frame %d" % (seq, index))
            self._flight.append([seq, index, self.step_no + TRIP])
        while len(self._backflight) < 3:
            kind = self.backlog.next()
            if not kind:
                break
            indices, number = self.reader.take(kind, self.backlog.buf, self.backlog.size)
            self._backflight.append((self.backlog.token, indices, number, self.step_no + TRIP))
