"""Duplicate suppression against a plain model: all numbers that came. And the memory that it takes."""

import gc
import struct
import sys

from gossip_net import dice

from gossip.peers import Peers
from gossip.seen import Seen
from gossip.wire import DUPLICATE, NUMBER_MOST, OK, OLD

lot = dice(7)


def part(key, seq):
    """What is counted together: all of who signs, 2**14 numbers of who does not."""
    return (key, 0 if key <= 15 else seq // 16384)


class Model:
    """What came, by `part`; parts in the order of their last use."""

    def __init__(self, size):
        self.size, self.came = size, []

    def of(self, key):
        for entry in self.came:
            if entry[0] == key:
                return entry[1]

    def state(self, key, seq):
        numbers = self.of(part(key, seq))
        if not numbers or seq > max(numbers):
            return OK
        if seq < max(numbers) - 31:
            return OLD
        return DUPLICATE if seq in numbers else OK

    def mark(self, key, seq):
        key = part(key, seq)
        numbers = self.of(key)
        if numbers is None:
            loose = [entry for entry in self.came if entry[0][0] > 15]
            signed = [entry for entry in self.came if entry[0][0] <= 15]
            if key[0] <= 15 and len(signed) == self.size - 2:
                self.came.remove(signed[0])
            elif len(self.came) == self.size:
                self.came.remove(loose[0])
            numbers = set()
        else:
            self.came.remove([key, numbers])
        high = max(numbers) if numbers else 0
        numbers.add(seq)
        self.came.append([key, numbers])
        return high


for _ in range(40):
    seen, model = Seen(4), Model(4)
    base = (1, 16384 * 7 - 60, lot(NUMBER_MOST - 400))[lot(3)]  # the second: over the end of a part
    keys = [1, 2, 100, 2000, 30000, NUMBER_MOST]
    for _ in range(300):
        key, seq = keys[lot(len(keys))], base + lot(80)
        if not lot(20):
            base = min(base + lot(100), NUMBER_MOST - 100)
        state = seen.state(key, seq)
        assert state == model.state(key, seq)
        if state == OK:
            assert seen.mark(key, seq) == model.mark(key, seq)
            assert seen.state(key, seq) == DUPLICATE
    buf = bytearray(4 + 4 * 12)
    size = seen.digest(buf, 4)
    assert size == 12 * len(model.came)
    pairs = [struct.unpack_from(">II", buf, 4 + 12 * i) for i in range(len(model.came))]
    assert pairs == [(key[0], max(numbers)) for key, numbers in reversed(model.came)]
    other = Seen(4)
    other.take(buf, 4, size)
    for key in keys:
        for seq in range(base - 50, base + 80):
            assert other.state(key, seq) == model.state(key, seq)

# fifteen origins that sign, and any number of others, leave two places for the others and six for them
seen = Seen(8)
for key in range(1, 16):
    assert seen.mark(key, 5) == 0
assert seen.count == 6 and [seen.state(key, 5) for key in range(10, 16)] == [DUPLICATE] * 6
for key in range(77, 97):
    assert seen.mark(key, 1) == 0 and seen.mark(key, 2) == 1
assert [seen.state(key, 5) for key in range(10, 16)] == [DUPLICATE] * 6 and seen.state(96, 1) == DUPLICATE
assert seen.mark(1, 6) == 0 and seen.state(96, 1) == seen.state(95, 1) == DUPLICATE and seen.state(10, 5) == OK

# the edges: the first number, the last, the window's ends, and a jump over everything
seen = Seen(8)
assert seen.mark(10, 1) == 0 and seen.mark(10, NUMBER_MOST) == 1
assert [seen.state(10, NUMBER_MOST - back) for back in (0, 1, 31, 32)] == [DUPLICATE, OK, OK, OLD]
assert seen.state(10, 1) == OLD
for back in range(31, 0, -1):
    assert seen.mark(10, NUMBER_MOST - back) == NUMBER_MOST
    assert seen.state(10, NUMBER_MOST - back) == DUPLICATE

# a number below the window (the recovery key's) stands for no other one; and all that sign can count anew
assert seen.mark(2, 100) == 0 and seen.mark(2, 50) == 100 and seen.state(2, 82) == OK
seen.forget()
assert seen.state(2, 1) == OK == seen.state(2, 100) and seen.mark(2, 1) == 0
assert [seen.state(2, 1), seen.state(2, 2), seen.state(10, NUMBER_MOST - 1)] == [DUPLICATE, OK, OK]
seen.mark(100, 5)
seen.forget()
assert seen.state(100, 5) == DUPLICATE

# what is not signed: one far ahead says nothing of those before, whichever came first
for far, near in ((NUMBER_MOST, 81921), (NUMBER_MOST - 1, 1), (16384 * 6, 16384 * 6 - 1)):
    for first, then in ((far, near), (near, far)):
        seen = Seen(8)
        assert seen.mark(100, first) == 0 and seen.state(100, then) == OK
        assert seen.mark(100, then) == 0
        assert [seen.state(100, far), seen.state(100, near)] == [DUPLICATE, DUPLICATE]
assert seen.mark(100, 16384 * 6 + 40) == 16384 * 6 and seen.state(100, 16384 * 6 + 1) == OLD

# and what nothing came of from one `age` to the next is forgotten; who signs is not
seen = Seen(8)
for key in (200, 3, 201, 202, 4):
    seen.mark(key, 7)
seen.age()
seen.mark(201, 8)
seen.mark(201, 9)
seen.age()
assert [seen.state(key, 7) for key in (200, 3, 201, 202, 4)] == [OK, DUPLICATE, DUPLICATE, OK, DUPLICATE]
assert seen.count == 3
for key in range(300, 305):
    assert seen.mark(key, 1) == 0
assert [seen.state(key, 7) for key in (3, 201, 4)] == [DUPLICATE] * 3 and seen.count == 8
seen.age()
seen.age()
assert seen.count == 2

# 64 peers (12 of them are places beside the view) and 8 origins
if sys.implementation.name == "micropython":
    lot = dice(1)
    gc.collect()
    before = gc.mem_alloc()
    kept = (Peers(1, 2, 52, lot), Seen(8))
    gc.collect()
    used = gc.mem_alloc() - before
    assert used <= 1.2 * 1024 + 256, used  # and what two objects, with the names of their fields, take beside it
    arrays = [len(getattr(one, "_array")) for one in kept]  # noqa: B009
    assert arrays[0] // 16 == 64 and arrays[1] // 8 <= 22 and sum(arrays) <= 1.2 * 1024, arrays
