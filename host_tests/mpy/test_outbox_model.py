"""The outbox against a plain model: a random walk over everything that can happen to it. Arguments: seeds."""

import gc
import struct
import sys

from fake_storage import CONFIG, EVENT, FRAME, METER, SOC, UNTIMED, Lot, Node, Storage, config, numbers, unthinned

import outbox.salvage

gc.threshold(30000)  # else what stays lies scattered, and nothing large finds room on 32 bits

STEPS = 700
FORGOTTEN_MS = 2000


class Walk:
    """One life on one storage. `made`: frames by number; what the model believes of each is in the sets."""

    def __init__(self, seed, cuts, faults, blocks, limit, around_ms=300, forgets=False):
        self.lot = Lot(seed)
        self.cuts = cuts
        self.faults = faults
        self.blocks = blocks
        self.limit = limit
        self.around_ms = around_ms
        self.forgets = forgets  # a broker that dies; RAM and logs have room for what it forgets then
        outbox.salvage._AGAIN_MOST = 1 << 20 if forgets else 4
        self.hold_ms = 20000 if forgets else 2000 if seed & 1 else 0
        self.storage = Storage(limit)
        self.made = 0
        self.kept = 0  # durable records, and those of which the outbox said that they are on flash
        self.safe = set()
        self.delivered = set()
        self.again = 0  # deliveries of what had been delivered
        self.may_repeat = False
        self.durable = set()
        self.full_numbers = {}  # of frames and of durable records
        self.allowed = 0  # frames that the cuts so far may have cost
        self.lost = 0  # and that earlier boots counted as dropped or thinned
        self.durable_lost = 0
        self.tags = {}  # configuration of each boot
        self.made_with = []  # and of each frame
        self.timed = False
        self.boot()

    def boot(self):
        self.storage.deaf = False  # what cannot be read now is left alone until the next boot
        tag = b"ABC"[self.lot.below(3) :][:1]
        self.node = Node(
            self.storage,
            seed=self.lot.below(1 << 20),
            slots=128 if self.forgets else 16,
            high_water=12,
            window=4,
            blocks=self.blocks,
            cfg=config(tag, 100),
            payload=400,
            around_ms=self.around_ms,
            hold_ms=self.hold_ms,
        )
        box = self.node.box
        assert box.boots.boot not in self.tags, "a boot number twice"
        self.tags[box.boots.boot] = tag
        if self.around_ms > 1000:
            unthinned(self.node)  # the log is to be full
        self.live, self.messages = [], []
        self.announced = tag
        self.timed = self.lot.below(2) == 0
        self.first = self.made
        self.arrived_at = {}  # when, in this boot, the broker first had what it has; durable ones as -1 - n

    # -- events -------------------------------------------------------------------------------------------

    def commit(self):
        node = self.node
        for _ in range(1 + self.lot.below(12)):
            n = self.made
            self.made += 1
            self.made_with.append(self.tags[node.box.boots.boot])
            soc = SOC + n if self.timed else n
            seq = node.frame(n, soc, FRAME if self.timed else UNTIMED)
            chunk = node.box._chunk if seq >> 20 == node.box._chunk & 0x1FF else node.box._reserved
            self.number((chunk << 20 | seq & 0xFFFFF), n)
            node.now = node.now + self.lot.below(60) & 0x3FFFFFFF
            if self.lot.below(4):
                node.box.tend(node.now)
            if self.lot.below(3) == 0:
                self.send()

    def number(self, full, what):
        assert full not in self.full_numbers, "a number twice: %d" % full
        self.full_numbers[full] = what

    def send(self):
        """Live frames."""
        box = self.node.box
        while len(self.live) < 4:
            seq = box.next()
            if seq < 0:
                break
            assert box.holds(seq)
            off = box.off(seq)
            data = bytes(box.buf[off : off + box.size(seq)])
            self.live.append((seq, numbers([(FRAME, data)])[0]))

    def ack_live(self):
        if self.live:
            seq, n = self.live.pop(self.lot.below(len(self.live)))
            self.node.box.ack(seq)
            self.arrived([n])

    def lose_live(self):
        """The connection is lost: what the ring still holds stays in flight, the rest is the backlog's."""
        box = self.node.box
        self.live = [(seq, n) for seq, n in self.live if box.holds(seq)]
        self.node.backlog.rewind()
        if self.messages:
            self.may_repeat = True
        self.messages = []
        self.announced = self.tags[box.boots.boot]

    def take(self):
        if len(self.messages) == 4:
            return assert_none(self.node.backlog.next())
        message = self.node.take()
        if message:
            self.messages.append(message)
            self.inspect(message)
        return message

    def inspect(self, message):
        kind, data, _ = message
        if kind == CONFIG:
            self.announced = data[14:15]
        elif kind == UNTIMED:
            at = 4
            for n in numbers([(kind, data)]):
                high, low, ticks = struct.unpack_from(">HII", data, at)
                assert self.full_numbers[high << 32 | low] == n
                at += 62
        elif kind in (METER, EVENT):
            n, full = struct.unpack(">IQ", data)
            assert self.full_numbers[full] == -1 - n
        for n in numbers([(kind, data)]):
            assert self.announced == self.made_with[n], "frames without their configuration"

    def ack_message(self):
        if self.messages:
            kind, data, token = self.messages.pop(self.lot.below(len(self.messages)))
            self.node.backlog.ack(token)
            if self.lot.below(9) == 0:
                self.node.backlog.ack(token)  # twice
            if kind in (METER, EVENT):
                n = struct.unpack(">IQ", data)[0]
                if n not in self.durable:
                    self.arrived_at[-1 - n] = self.node.now
                self.durable.add(n)
            self.arrived(numbers([(kind, data)]))

    def arrived(self, found):
        for n in found:
            assert n < self.made
            if n in self.delivered:
                self.again += 1
            else:
                self.arrived_at[n] = self.node.now
            self.delivered.add(n)

    def keep(self):
        box = self.node.box
        full = box.durable_number()
        self.number(full, -1 - self.kept)
        if box.keep(METER if self.kept & 1 else EVENT, struct.pack(">IQ", self.kept, full), self.node.now):
            self.safe.add(self.kept)
        self.kept += 1

    def fault(self):
        if not self.faults:
            return
        storage = self.storage
        if storage.fail or storage.deaf:
            storage.fail, storage.torn, storage.deaf = 0, -1, False
            return
        what = self.lot.below(4)
        storage.deaf = what == 0
        storage.fail = (0, 28, 5, 5)[what]
        storage.torn = self.lot.below(4096) if self.lot.below(2) else -1

    def wait(self):
        self.node.now = self.node.now + self.lot.below(15000) & 0x3FFFFFFF
        self.node.tend(3)

    def restart(self):
        box = self.node.box
        if self.cuts and self.lot.below(2):
            self.allowed += box.loss_most
        elif not box.save():
            return
        else:
            assert not len(box)
        self.lost += box.dropped + box.thinned
        self.durable_lost += box.durable.dropped
        self.may_repeat = True
        self.boot()

    def learn(self):
        boots = self.node.boots
        if not boots.offset(boots.boot):
            boots.learn((1000, 0, 0, 10, 5))

    def forget_session(self):
        self.lose_live()
        self.again_please()

    def again_please(self):
        now = self.node.now
        for n in list(self.arrived_at):
            if self.forgets and (now - self.arrived_at[n]) & 0x3FFFFFFF <= FORGOTTEN_MS:
                self.delivered.discard(n)
                self.durable.discard(-1 - n)
            self.arrived_at.pop(n)
        self.node.box.again(now, FORGOTTEN_MS + 300 if self.forgets else 1000)
        self.may_repeat = True

    def doubt(self):
        """As before, but the connection stands, and what is on its way arrives all the same."""
        while self.messages and self.lot.below(8):
            self.ack_message()
        self.again_please()
        while self.messages:
            self.ack_message()

    def trigger(self):
        self.node.box.trigger(self.node.now)

    # -- the walk -----------------------------------------------------------------------------------------

    def run(self, steps):
        events = [self.commit] * 6 + [self.send, self.ack_live] * 4 + [self.take] * 3 + [self.ack_message] * 3
        events += [self.keep, self.wait, self.lose_live, self.trigger, self.tend, self.doubt]
        rare = [self.fault, self.restart, self.learn, self.forget_session]
        for _ in range(steps):
            self.one(events, rare)
            self.check()
        self.end()

    def one(self, events, rare):
        choice = rare if self.lot.below(25) == 0 else events
        choice[self.lot.below(len(choice))]()

    def tend(self):
        self.node.tend(1 + self.lot.below(4))

    def check(self):
        box, storage = self.node.box, self.storage
        assert len(box) <= box.ring.slots and box.flash_percent <= 110, (len(box), box.flash_percent)
        assert box.flash_waiting >= 0 and box.durable_waiting >= 0, (box.flash_waiting, box.durable_waiting)
        assert self.faults or box.storage == "ok", box.storage
        assert len(storage.files) <= sum(self.blocks) // self.per() + 8, storage.names()

    def per(self):
        return min(8, max(1, self.blocks[0] // 16))

    def end(self):
        """All is well again: everything comes out, or is accounted for."""
        node, box = self.node, self.node.box
        self.durable_lost += box.durable.dropped
        storage = self.storage
        storage.fail, storage.torn, storage.deaf, storage.limit = 0, -1, False, self.limit
        node.now = node.now + 20000 & 0x3FFFFFFF
        node.tend(50)
        for _ in range(100000):
            self.send()
            self.ack_live()
            idle = not self.messages and not self.take()
            self.ack_message()
            box.tend(node.now)
            if idle and not self.live and not len(box):
                break
        assert box.waiting == 0, box.waiting
        assert box.save()
        assert box.waiting == 0 and len(node.backlog) == 0, (len(box), box.flash_waiting, box.durable_waiting)
        assert box.corrupt == 0 or self.faults
        assert sorted(self.storage.files) in (["boot"], []), sorted(self.storage.files)
        missing = self.made - len(self.delivered)
        counted = self.lost + box.dropped + box.thinned
        assert missing <= counted + self.allowed, (missing, counted, self.allowed)
        assert self.safe <= self.durable or self.durable_lost, self.safe - self.durable
        if not self.may_repeat:
            assert not self.again
        self.counted, self.missing = counted, missing


def assert_none(kind):
    assert kind == 0


def main(seeds):
    most = {}
    for seed in seeds:
        for cuts, faults, blocks, limit, around_ms, *forgets in (
            (False, False, (512, 64), 1 << 30, 300, True),
            (False, False, (64, 16), 1 << 30, 300),
            (False, True, (40, 16), 1 << 30, 300),
            (True, False, (18, 8), 1 << 30, 300),
            (True, True, (20, 8), 20 * 4096, 300),
            (False, False, (8, 4), 1 << 30, 1 << 28),
            (True, True, (12, 8), 18 * 4096, 1 << 28),
        ):
            walk = Walk(seed, cuts, faults, blocks, limit, around_ms, *forgets)
            try:
                walk.run(STEPS)
            except Exception:
                print("seed", seed, "cuts", cuts, "faults", faults, "blocks", blocks)
                raise
            key = "%s cuts %s faults %s" % (cuts, faults, blocks)
            tally = most.setdefault(key, [0] * 6)
            for i, value in enumerate((walk.made, walk.missing, walk.counted, walk.allowed, walk.again, walk.kept)):
                tally[i] += value
            del walk
            gc.collect()
    for key in most:
        print(key, "made %d missing %d counted %d allowed %d twice %d durable %d" % tuple(most[key]))


if __name__ == "__main__":
    main([int(a) for a in sys.argv[1:]] or (1, 2, 3))
