"""The RP2040's ADC ring, on a simulated ADC and DMA: no schedule of reads shifts, doubles or mixes up a sample."""

import math
import random
import sys
from array import array

import fake_rp2
import micropython

fake_rp2.install()
from boards.rp2.sampling import sampled
from phasor.estimator import Estimator

world = fake_rp2.world
BASE, DREQ = 0x4004C000, 36
DEPTH_MS = 2600
SEC = 1_790_000_000 - (1 << 31)


class Clock:
    """UTC is the world's time, and what it was stepped by."""

    known = True
    stepped = False
    sec = ns = offset_us = 0

    def next_second(self):
        self.stepped = False
        return SEC + (world.us + self.offset_us) // 1000000 + 1, 1

    def locate(self, ticks_us):
        us = world.us + fake_rp2.Time.ticks_diff(ticks_us, world.us % fake_rp2.TICKS) + self.offset_us
        self.sec, self.ns = SEC + us // 1000000, us % 1000000 * 1000


class Still:
    known, stepped, sec, ns = True, False, SEC, 0

    def next_second(self):
        return SEC, 1

    def locate(self, ticks_us):
        pass


def inputs(*gpios):
    return [{"gpio": gpio, "kind": "V", "ratio": 250.0, "offset_mv": 0} for gpio in gpios]


def source(clock, adc, block_ms=20):
    config = {"source": {"adc": adc}, "measurement": {"block_ms": block_ms}}
    return sampled(config, clock, DEPTH_MS, BASE, DREQ)


def refused(adc, *words):
    try:
        source(Clock(), adc)
    except ValueError as e:
        for word in words:
            assert word in str(e), str(e)
        return
    raise AssertionError("accepted: %r" % adc)


refused({"inputs": []}, "source.adc.inputs")
refused({"inputs": inputs(25)}, "source.adc.inputs[0].gpio", "26, 27, 28")
refused({"inputs": inputs(26, 26)}, "twice")
refused({"inputs": inputs(26), "fs_hz": 1601}, "fs_hz", "try 1600")
refused({"inputs": inputs(26, 27, 28), "fs_hz": 2400}, "3 inputs", "try 2")
refused({"inputs": inputs(26), "hz": 1}, "source.adc.hz", "fs_hz")
refused({"inputs": [{"gpio": 26}]}, "ratio")
for channel in world.channels:
    raise AssertionError("a refusal kept DMA channel %d" % channel.channel)


def numbered(gpio, us):
    """Each conversion tells which it is."""
    world.made += 1
    return world.made - 1 & 0xFFF


def schedule(rng, gpios, fs_hz, block_ms, begin_us, steps):
    """Read at random times, sometimes far too late; every block is checked against the conversions themselves."""
    width = len(gpios)
    world.us = begin_us
    world.made = 0
    world.signal = numbered
    clock = Clock()
    given = inputs(*gpios)
    rng.random() < 0.5 and given.reverse()
    box = source(clock, {"inputs": given, "fs_hz": fs_hz}, block_ms)
    assert box.fs_hz == fs_hz and len(box.channels) == width
    assert [c.get("delay_ns") for c in box.channels] == [i * 1000000000 // (width * fs_hz) for i in range(width)]
    world.fifo[:] = [7, 8, 9][: rng.randrange(4)]  # from before
    box.due_ms()  # begins
    size = width * box.block_samples
    value_us = 1e6 / (width * fs_hz)
    first_us = (world.next_at - world.made * (world.adc[16] + 256)) / fake_rp2.CYCLES - 2
    blocks, ring_us = 0, len(box._sampler.ring) * value_us
    for _ in range(steps):
        kind = rng.random()
        held_us = int(2 * block_ms * 1000 * rng.random())
        if kind < 0.05:
            held_us = int(ring_us * (0.5 + rng.random()))
        elif kind < 0.07:
            held_us = int(ring_us * 8 * rng.random())
        elif kind < 0.1:
            clock.offset_us += int(rng.random() * 4e6) - 2000000
            clock.stepped = True
            clock.known = rng.random() < 0.5
        world.run(held_us)
        while True:
            due = box.due_ms()
            if due > 0:
                break
            assert not clock.stepped and box.timed == clock.known
            lost, before = box.lost_blocks, box.block
            kept = bytes(before)
            assert box.fill() == box.block_samples
            assert bytes(before) == kept and box.block is not before  # the consumer may still be at it
            blocks += 1 + box.lost_blocks - lost
            j = (blocks - 1) * size
            block = box.block
            for i in (0, 1, width, size // 2, size - 1):
                assert block[i] == (j + i & 0xFFF) << 3, (i, block[i] >> 3, j & 0xFFF)
            stamp_us = (box.sec - SEC) * 1000000 + box.ns / 1000 - clock.offset_us
            assert abs(stamp_us - (first_us + j * value_us)) < 30, (stamp_us, first_us + j * value_us)
            late = held_us > ring_us - 3 * size * value_us
            assert late or box.lost_blocks == lost, "lost, though nobody was late"
        late_us = world.us - first_us - blocks * size * value_us
        assert late_us < size * value_us + 2000, late_us
        assert due <= block_ms + 2, due
    box.close()
    assert not world.channels and world.next_at is None
    return box.lost_blocks


lost = 0
for seed in sys.argv[1:] or ("1",):
    random.seed(int(seed))
    for gpios, fs_hz, block_ms in (
        ((26, 27), 1600, 20),
        ((26,), 800, 5),
        ((27,), 6400, 50),
        ((26, 27, 28), 1600, 20),
        ((26, 28), 4000, 7),
        ((26, 27, 28), 1000, 200),
        ((27, 28), 1280, 20),
    ):
        # ticks begin anew within the run
        begin_us = fake_rp2.TICKS - 3000000 if fake_rp2.TICKS < 1 << 31 else 1000
        lost += schedule(random, gpios, fs_hz, block_ms, begin_us, 50)
assert lost > 0  # it was late enough for the test to mean something



def held_at_looks(fs_hz, block_ms, most_ms, turns):
    """Something holds the program before and after each look at how far the ring is: nothing begins anew."""
    world.us, world.made, world.signal = 1000, 0, numbered
    box = source(Clock(), {"inputs": inputs(26, 27), "fs_hz": fs_hz}, block_ms)
    sampler, starts = box._sampler, []
    start, place = sampler.start, sampler.place

    def held():
        world.run(random.randrange(1 + 1000 * (500 if random.random() < 0.001 else most_ms)))

    def held_start():
        held()
        starts.append(start())
        held()
        return starts[-1]

    def held_place():
        held()
        found = place()
        held()
        return found

    sampler.start, sampler.place = held_start, held_place
    size = 2 * box.block_samples
    blocks = 0
    for _ in range(turns):
        due = box.due_ms()
        if due > 0:
            world.run(due * 1000)
            continue
        assert box.fill() == box.block_samples
        first = (blocks + box.lost_blocks) * size
        if not box.lost_blocks:  # else it is so late that what it reads may be overwritten while it is held
            assert box.block[0] == (first & 0xFFF) << 3 and box.block[size - 1] == (first + size - 1 & 0xFFF) << 3
        stamp_us = (box.sec - SEC) * 1000000 + box.ns // 1000 - (fake_rp2.Time.ticks_diff(starts[0], 0))
        assert abs(stamp_us - first * 500000 // fs_hz) < 30, (stamp_us, first)
        blocks += 1
    assert len(starts) == 1 and blocks > turns // 4, (len(starts), blocks)
    box.close()


for fs_hz, block_ms, most_ms in ((1600, 20, 3), (1600, 20, 25), (1600, 5, 7)):
    held_at_looks(fs_hz, block_ms, most_ms, 300)

# The block that would be overwritten next is given up while it is whole: reading it takes time, too.
world.us = 1000
world.signal = numbered
for late_blocks, lost in ((0, 0), (1, 1), (2, 2)):
    world.made = 0
    box = source(Clock(), {"inputs": inputs(26, 27)})
    box.due_ms()
    world.run(len(box._sampler.ring) * 1000000 // 3200 + (late_blocks - 1) * 20000 - 5000)
    assert box.due_ms() == 0 and box.fill() == 32
    assert (box.lost_blocks, box.block[0] >> 3) == (lost, 64 * lost), (box.lost_blocks, box.block[0] >> 3)
    box.close()

# The transfers stop, or a value is lost: it begins anew, and says what was lost.
world.us = 1000
world.made = 0
box = source(Clock(), {"inputs": inputs(26, 27)})
box.due_ms()
world.run(100000)
assert box.due_ms() == 0 and box.fill() == 32
lost = box.lost_blocks
world.flags |= 1 << 11
world.run(60000)
box.due_ms()
assert box.lost_blocks > lost and not world.flags
world.run(25000)
assert box.due_ms() == 0 and box.fill() == 32
first = box.block[0] >> 3
assert [v >> 3 for v in box.block] == [first + i & 0xFFF for i in range(64)] and world.fifo == []
world.next_at = None  # the ADC stands still, and does not start again
world.write_adc = lambda register, value: world.adc.update({register: value})
lost = box.lost_blocks
world.run(200000)
try:
    box.due_ms()
    said = ""
except OSError as e:
    said = str(e)
assert "does not convert" in said, said
del world.write_adc
box.close()

# Three phases sampled one after the other: their angles are those of the stamp.
HZ = 50.7


def three_phase(gpio, us):
    return round(2048 + 1500 * math.cos(2 * math.pi * (HZ * us / 1e6 - (gpio - 26) / 3)))


for rectangular in (False, True):
    world.us = 1000
    world.signal = three_phase
    clock = Clock()
    box = source(clock, {"inputs": [dict(one, offset_mv=1650) for one in inputs(28, 26, 27)]})
    out = array("i", bytes(48))
    delays = [c["delay_ns"] for c in box.channels]
    estimator = Estimator(1600, 50, 50, 3, 32, out, rectangular=rectangular, delays_ns=delays)
    frames = 0
    while frames < 20:
        world.run(max(box.due_ms(), 0) * 1000)
        if box.due_ms() > 0:
            continue
        n = box.fill()
        estimator.push(box.block, n, box.sec, box.ns)
        while estimator.next():
            frames += 1
            t = estimator.sec - SEC + estimator.frame / 50
            for c in range(3):
                a, b = out[4 * c], out[4 * c + 1]
                turns = math.atan2(b, a) / (2 * math.pi) if rectangular else b / (1 << 30)
                off = (turns - ((HZ - 50) * t - c / 3) + 0.5) % 1 - 0.5
                assert abs(off * 360) < 0.5, (c, off * 360)  # 27 us are not told apart at the start
                size = math.sqrt(a * 1.0 * a + b * 1.0 * b) if rectangular else a
                volts = size / (1 << 14) * box.channels[c]["scale"]
                assert abs(volts / (250 * 3.3 / 4096 * 1500 / math.sqrt(2)) - 1) < 0.002, volts
    assert not estimator.gaps
    box.close()

# From the ring to the block nothing is allocated.
world.us = 1000
world.signal = numbered
box = source(Still(), {"inputs": inputs(26, 27)})
box.due_ms()
world.run(300000)
fill, due = box.fill, box.due_ms
due()
fill()
world.frozen = True
micropython.heap_lock()
try:
    for _ in range(10):
        left = due()
        n = fill()
finally:
    micropython.heap_unlock()
world.frozen = False
assert left == 0 and n == 32
