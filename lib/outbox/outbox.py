"""Owns every record until the broker has it: in RAM while the link is up, on flash while it is not."""

from outbox.durable import RAM_MOST, RECORD_MOST
from outbox.record import NUMBERS, SEQS, TICKS, UNTIMED
from outbox.ring import ACKED, AGAIN, GONE, KIND, SPILLED
from outbox.store import Store
from outbox.thinning import Tally, Thinning

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_ACKED_UNIT = const(8)  # when records were acknowledged is kept in units of 2**8 ms, from a `tend` to an erase ago
_NO_COPIES = const(500)  # from this stage of thinning on, 7/8 full, no copy takes room of what no broker has
_BATCH = const(8)  # records that one `tend` moves at most


class Outbox:
    """ring: a Ring that nobody used yet. boots: Boots. stream, durable: the logs. high_water: records in RAM from
    which on the oldest are spilled however young. window: most records in flight. around_ms: how long before and
    after a trigger nothing is thinned. wait_ms: how long a record may wait in RAM for its acknowledgement.
    hold_ms: how long what is acknowledged stays on flash, for `again`.

    Live records: `pend`, `commit`, `next`, `holds`, `off`, `size` are the ring's; `ack(seq)`. What `tend` spills
    is the `backlog`'s to send. ticks: milliseconds since boot & TICKS, for all `now` and `ticks`.
    Durable records: `keep`. Nothing that is called for each frame allocates, `tend` only where it writes flash.

    Counters: spilled, thinned, dropped, corrupt; len() is what waits in RAM, `waiting` everything.
    """

    def __init__(self, ring, boots, stream, durable, high_water, window, around_ms, wait_ms=1000, hold_ms=0):
        self.ring = ring
        self.buf = ring.buf
        self.pend, self.commit, self.next = ring.pend, ring.commit, ring.next
        self.holds, self.off, self.size = ring.holds, ring.off, ring.size
        self.boots = boots
        self.stream = stream
        self.durable = durable
        self.backlog = None
        self.thinning = Thinning(around_ms)
        self.spilled = 0
        self._store = Store(boots, stream, durable, hold_ms)
        self._high_water = high_water
        self._wait_ms = wait_ms
        self._now = 0
        self._chunk = self._before = boots.chunk  # of the newest record, and the one before it
        self._reserved = -1  # the next
        self._durable_chunk = boots.durable_chunk
        self._durable_next = 0
        self._again = self._again_end = 0  # seqs that may be wanted once more
        self._judged = -1  # the record that is to be kept as soon as there is room
        self._a_block = stream.records_a_block(ring.slot_size)
        self._window = window
        ring.begin((boots.chunk & 0x1FF) << 20)
        ring.lost = Tally()
        stream.begin(boots.boot, window)
        durable.boot = boots.boot
        self.thinning.filled(self._store.filled())

    # -- figures ------------------------------------------------------------------------------------------

    def __len__(self):
        return len(self.ring)

    @property
    def waiting(self):
        return len(self.ring) + self.flash_waiting + self.durable_waiting

    @property
    def flash_waiting(self):
        """Stream records in the log, its block in RAM included."""
        return self.stream.waiting

    @property
    def durable_waiting(self):
        return self.durable.waiting + len(self.durable.ram)

    @property
    def dropped(self):
        return self.ring.dropped + self.stream.dropped + self.durable.dropped

    @property
    def corrupt(self):
        return self.stream.corrupt + self.durable.corrupt

    @property
    def thinned(self):
        return self.thinning.thinned

    @property
    def flash_writes(self):
        return self.stream.writes + self.durable.writes

    @property
    def flash_percent(self):
        return 100 * (self.stream.blocks + self.durable.blocks) // self._store.budget

    @property
    def loss_most(self):
        """Stream records that a power cut can cost: a full ring and block while the storage takes nothing."""
        waits = self._high_water + self._window
        if self._store.failing or not self.stream.storage:
            waits = self.ring.slots
        return waits + self._a_block

    @property
    def capacity(self):
        """Records that flash holds before anything is thinned or dropped at all."""
        return self.stream.budget * self._a_block if self.stream.storage else 0

    @property
    def storage(self):
        """"ok", "none", or what is wrong with it."""
        return self._store.error or ("ok" if self.stream.storage else "none")

    # -- live records -------------------------------------------------------------------------------------

    def ack(self, seq):
        """The broker has it, wherever it is now."""
        ring = self.ring
        at = seq & (ring.slots - 1)
        ring.acked_at[at] = self._now >> _ACKED_UNIT & 255
        if (ring.written - seq - 1) & SEQS < ring.slots and ring.marks[at] & ~KIND == SPILLED:
            ring.marks[at] = ring.marks[at] & KIND | ACKED
            self.stream.remember(seq)
        else:
            ring.ack(seq)

    def again(self, now, most_ms, lost=True):
        """The broker may have forgotten what it acknowledged in the last most_ms: what is still in RAM, or on flash
        for hold_ms, is sent once more, as backlog. lost: so is what is in flight; False: the connection lives, and
        only what RAM alone has is put aside."""
        ring = self.ring
        if lost and self._store.hold_ms:
            self.backlog.again(now, most_ms)
        self._again = self._again_end = seq = ring.written
        for _ in range(ring.slots - 1):
            seq = (seq - 1) & SEQS
            at = seq & (ring.slots - 1)
            state = ring.marks[at] & ~KIND
            if state == ACKED:
                wanted = ((now >> _ACKED_UNIT) - ring.acked_at[at]) & 255 <= (most_ms >> _ACKED_UNIT) + 2
            elif state == SPILLED:
                wanted = self.stream.passed(seq)
            else:
                wanted = state & AGAIN  # the last time's
            if wanted:
                ring.marks[at] |= AGAIN
                self._again = seq

    def trigger(self, now):
        """Keep every record around this moment."""
        ring = self.ring
        self.thinning.trigger(now, ring.ticks[ring.acked & (ring.slots - 1)] if len(ring) else now)

    # -- durable records ----------------------------------------------------------------------------------

    def durable_number(self):
        """The full number of the record that is kept next."""
        return self._durable_chunk << 20 | self._durable_next

    def keep(self, kind, data, ticks):
        """True: the record is on flash. False: only in RAM, with at most 15 others, since flash takes none now.

        ValueError: more than RECORD_MOST bytes.
        """
        if len(data) > RECORD_MOST:
            raise ValueError("durable record of %d bytes: at most %d" % (len(data), RECORD_MOST))
        chunk, number = self._durable_chunk, self._durable_next
        self._durable_next = (number + 1) & NUMBERS
        if not self._durable_next:
            reserved = self._store.reserve(chunk + 1, ticks)
            self._durable_chunk = reserved if reserved >= 0 else self.boots.lot(chunk + 1)
        if self._store.ready(ticks):
            try:
                self._store.append(kind, chunk, number, ticks, data)
                return True
            except OSError as e:
                self._store.failed(e, ticks)
        self.durable.keep_in_ram((kind, chunk, number, ticks, data))
        return False

    # -- from RAM to flash --------------------------------------------------------------------------------

    def tend(self, now):
        """Do what is due, at most one write of flash: True if there was one. To be called for each record."""
        self._now = now
        self._count_chunks()
        store = self._store
        try:
            if self._reserved < 0 and self.ring.written & NUMBERS > NUMBERS >> 1 and store.may_reserve(now):
                self._reserved = store.reserve(self._chunk + 1, now)
            elif not store.keep_house(now):
                return self._spill(store.ready(now))
        except OSError as e:
            store.failed(e, now)
        self.thinning.filled(store.filled())
        return True

    def save(self):
        """Bring what waits in RAM to flash, thinned as the log is by now. False: it does not take it."""
        self._count_chunks()
        store = self._store
        if not store.ready(self._now):
            return False
        try:
            while self._again != self._again_end or len(self.ring):
                if not self._move():
                    store.write()
                    self.thinning.filled(store.filled())
            if self.stream.fill:
                store.write()
            while store.keep_house(self._now, False):
                pass
        except OSError as e:
            store.failed(e, self._now)
            return False
        return True

    def _count_chunks(self):
        """Follow the ring into the next chunk."""
        if self.ring.written >> 20 != self._chunk & 0x1FF:
            self._before = self._chunk
            self._chunk = self._reserved if self._reserved >= 0 else self.boots.lot(self._chunk + 1)
            self._reserved = -1

    def _spill(self, ready):
        """Move what is due into the log's block in RAM; True if that was full and written (if `ready`)."""
        for _ in range(_BATCH):
            if self._again == self._again_end and not self._due():
                return False
            if not self._move():
                if ready:
                    self._store.write()
                    self.thinning.filled(self._store.filled())
                return ready
        return False

    def _move(self):
        """Put what is to go again, else the oldest record, into the log, or thin it; False: its block is full."""
        ring, seq = self.ring, self._again
        if seq != self._again_end:
            at = seq & (ring.slots - 1)
            wanted = ring.marks[at] & AGAIN and self.thinning.every < _NO_COPIES
            if wanted and (ring.written - seq) & SEQS < ring.slots:
                if not self._put(seq):
                    return False
                ring.marks[at] = ring.marks[at] & KIND | SPILLED
            self._again = (seq + 1) & SEQS
        elif not self._keeps(ring.acked):
            ring.release(GONE)
        elif self._put(ring.acked):
            ring.release(SPILLED)
            self.spilled += 1
        else:
            return False
        return True

    def _keeps(self, seq):
        """Whether the oldest record, seq, is to go to flash; each is judged once."""
        ring = self.ring
        at = seq & (ring.slots - 1)
        if seq != self._judged:
            if not self.thinning.keeps(ring.marks[at], ring.ticks[at], ring.buf, at * ring.slot_size):
                return False
            self._judged = seq
        return True

    def _due(self):
        """Whether the oldest record in RAM is to be spilled."""
        ring = self.ring
        depth = len(ring)
        if not depth:
            return False
        at = ring.acked & (ring.slots - 1)
        if depth > self._high_water or ring.marks[at] == UNTIMED:
            return True
        return self.thinning.every == 1 and (self._now - ring.ticks[at]) & TICKS >= self._wait_ms

    def _put(self, seq):
        ring = self.ring
        at = seq & (ring.slots - 1)
        chunk = self._chunk if seq >> 20 == self._chunk & 0x1FF else self._before
        off, size = at * ring.slot_size, ring.size(seq)
        return self.stream.put(ring.marks[at] & KIND, chunk, seq & NUMBERS, ring.ticks[at], ring.buf, off, size)

    # -- what to tell -------------------------------------------------------------------------------------

    def news(self):
        """What an EVENT should tell, as a dict, or None; to be called again until it is None.

        While durable records pile up in RAM news waits and adds up: it must not push them out.
        """
        if len(self.durable.ram) >= RAM_MOST // 2:
            return None
        news = self.thinning.news()
        if news:
            return news
        why = "storage fails" if self._store.failing else "not sent in time"
        for lost, reason in (
            (self.ring.lost, why),
            (self.stream.lost, "log full"),
            (self.durable.lost, "durable log full"),
        ):
            if lost.count:
                since, until = lost.span()
                news = {"event": "dropped", "from": since, "to": until, "count": lost.count, "reason": reason}
                lost.clear()
                return news
        return None
