"""Duplicate suppression against a plain model: all numbers that came. And the memory that it takes."""

import gc
import struct
import sys

from gossip_net import dice

from gossip.peers import Peers
from gossip.seen import Seen
from gossip.wire import DUPLICATE, NUMBER_MOST, OK, OLD

lot = dice(7)


class Model:
    """What came, by key; keys in the order of their last use."""

    def __init__(self, size):
        self.size, self.came = size, []

    def of(self, key):
        for entry in self.came:
            if entry[0] == key:
                return entry[1]

    def state(self, key, seq):
        numbers = self.of(key)
        if not numbers or seq > max(numbers):
            return OK
        if seq < max(numbers) - 31:
            return OLD
        return DUPLICATE if seq in numbers else OK

    def mark(self, key, seq):
        numbers = self.of(key)
        if numbers is None:
            if len(self.came) == self.size:
                loose = [entry for entry in self.came if entry[0] > 15]
                if not loose:
                    return -1
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
    base = lot(NUMBER_MOST - 400) if lot(2) else 1
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
    buf = bytearray(40)
    assert seen.digest(buf, 4) == len(model.came)
    pairs = [struct.unpack_from(">II", buf, 4 + 8 * i) for i in range(len(model.came))]
    assert pairs == [(key, max(numbers)) for key, numbers in reversed(model.came)]

# origins that sign never go, not even when there is no room left
seen = Seen(8)
for key in range(1, 9):
    assert seen.mark(key, 5) == 0
assert seen.mark(77, 1) == -1 and seen.mark(9, 1) == -1
assert [seen.state(key, 5) for key in range(1, 9)] == [DUPLICATE] * 8

# the edges: the first number, the last, the window's ends, and a jump over everything
seen = Seen(8)
assert seen.mark(100, 1) == 0 and seen.mark(100, NUMBER_MOST) == 1
assert [seen.state(100, NUMBER_MOST - back) for back in (0, 1, 31, 32)] == [DUPLICATE, OK, OK, OLD]
assert seen.state(100, 1) == OLD
for back in range(31, 0, -1):
    assert seen.mark(100, NUMBER_MOST - back) == NUMBER_MOST
    assert seen.state(100, NUMBER_MOST - back) == DUPLICATE

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
