"""The clock of a board without a clock: what it says of its own error always holds; its time never jumps unsaid.

The crystal, the path to the server and the server's honesty are simulated; ticks_us begins anew every 18 minutes,
as on a 32-bit port.
"""

import random
import time

import micropython

from boards import wallclock as module

PERIOD = 1 << 30
ERA = 1 << 31
UTC = 1_770_000_000 - ERA  # SOC - 2^31 when a World begins


class Time:
    """In place of the module `time`: `us` of true time since the start, told by a crystal that is ppm off."""

    def __init__(self, ppm, phase=0):
        self.us, self.ppm = 0, ppm
        self._exact = phase * 1_000_000

    def go_on(self, us):
        self.us += us
        self._exact += us * (1_000_000 + self.ppm)

    def _ticks(self):
        return self._exact // 1_000_000

    def ticks_us(self):
        return self._ticks() % PERIOD

    def ticks_ms(self):
        return self._ticks() // 1000 % PERIOD

    def ticks_add(self, ticks, n):
        return (ticks + n) % PERIOD

    def ticks_diff(self, a, b):
        return (a - b + PERIOD // 2) % PERIOD - PERIOD // 2


class World:
    def __init__(self, ppm=0, phase=0, wanders=False, content=True):
        self.time = module.time = Time(ppm, phase)
        module._PERIOD = PERIOD
        self.wanders = wanders  # the crystal, with its temperature
        self.rtc = []
        self.clock = module.Clock(self.rtc.append)
        self.clock.content = content
        self.steps = 0
        self.last = None
        self.worst_us = 0

    def ask(self, delay_us, early=0.5, off_us=0, claim_us=0):
        """An answer that was delay_us on its way there and back, `early` of it there; the server is off_us off and
        says that it is claim_us at most. What Clock.sampled says."""
        self.time.go_on(delay_us)
        utc_us = self.time.us + off_us + int((0.5 - early) * delay_us)  # what the midpoint makes of it
        error_us = (delay_us + 1) // 2 + claim_us + 2
        sec, us = UTC + utc_us // 1_000_000, utc_us % 1_000_000
        return self.clock.sampled(sec, us, self.time.ticks_us(), error_us)

    def line_us(self):
        """The time line now, in us since the board's start by UTC."""
        clock = self.clock
        clock.locate(self.time.ticks_us())
        assert 0 <= clock.ns < 1_000_000_000 and clock.ns % 1000 == 0
        return (clock.sec - UTC) * 1_000_000 + clock.ns // 1000

    def check(self, off_us=0):
        """The claim holds, and the line went on steadily."""
        clock = self.clock
        now, line = self.time.us, self.line_us()
        if clock.stepped:
            self.steps += 1
            sec, wait_ms = clock.next_second()
            begins = (sec - UTC) * 1_000_000 - line
            assert 0 < begins <= wait_ms * 1000 <= begins + 1000, (begins, wait_ms)
            assert not clock.stepped and clock.gained_ms == 0
            self.last = None
        if self.last:
            passed = now - self.last[0]
            assert abs(line - self.last[1] - passed) <= passed * 210 // 1_000_000 + 12, "a jump"
        self.last = now, line
        if clock.known:
            error = abs(line - now - off_us)
            self.worst_us = max(self.worst_us, error)
            if clock.tq != 0x0F:
                assert error <= 10 ** (clock.tq - 4), (now, error, clock.tq)

    def run(self, seconds, off_us=0):
        for _ in range(seconds):
            self.time.go_on(1_000_000)
            if self.wanders and random.random() < 0.05:
                self.time.ppm = max(-50, min(50, self.time.ppm + random.choice((-1, 1))))
            if self.time.us // 1_000_000 % 10 == 0:
                self.clock.update()
            self.check(off_us)


# -- before the time is known ------------------------------------------------------------------------

world = World(phase=PERIOD - 3_000_000, content=False)
clock = world.clock
assert not clock.known and clock.tq == 0x0F and clock.reached() is None
sec, wait_ms = clock.next_second()
assert (sec, wait_ms) == (1_609_459_200 - ERA + 1, 1001)
world.run(100)
assert clock.next_second()[0] == 1_609_459_200 - ERA + 101

# -- and once it is: what the stamps were short of it, once -------------------------------------------

assert world.ask(40_000) is True and not clock.known and not clock.stepped
assert world.ask(8_000) is True, "less delay is better"
assert world.ask(30_000) is False
assert clock.reached() is None and not clock.known, "who asks may have a better one soon"
clock.content = True
short = clock.reached()
assert clock.known and clock.stepped and clock.tq == 8 and clock.reached() is None
assert short[0] == UTC + ERA - 1_609_459_200 and abs(short[1]) < 1000, short
assert short[2] == 1_609_459_300 and 4_000 <= short[3] <= 4_200 and short[4] == 50, short
assert clock.soc() == UTC + ERA + 100 and world.rtc == [UTC + ERA + 100]
world.check()
world.run(30)
assert clock.tq == 8 and clock.stat == 0x2000 | 7 << 6

# -- weeks without an answer: the claim decays, the line goes on --------------------------------------

world.run(300)
assert clock.tq == 9
world.run(2_000)
assert clock.tq == 10, clock.tq
world.time.go_on(30 * 3_600_000_000)  # far more than ticks_us can count
clock.update()
assert clock.tq == 11 and abs(world.line_us() - world.time.us) < 100_000, clock.tq

# -- a crystal that is off: found, and made good without a step ---------------------------------------

for ppm in (-50, -23, 0, 31, 50):
    world = World(ppm)
    for _ in range(4):
        world.ask(3_000)
        world.run(2)
    world.clock.reached()
    for _ in range(40):
        world.run(62)
        world.ask(3_000)
    world.worst_us = 0
    for _ in range(20):
        world.run(62)
        world.ask(3_000)
    assert world.steps == 1 and world.worst_us < 600, (ppm, world.steps, world.worst_us)
    assert world.clock.tq == 8

# -- jitter, asymmetric paths, temperature, lost answers: the claim holds all the same ----------------

for seed in range(12):
    random.seed(seed)
    world = World(random.randrange(-50, 51), random.randrange(PERIOD), True)
    every = random.choice((16, 62, 300, 1000))
    for turn in range(60):
        if random.random() < 0.8:
            claim = random.randrange(5_000)
            delay = random.choice((2_000, 20_000, 20_000, 150_000))
            world.ask(delay, random.random(), random.randrange(-claim, claim + 1), claim)
        if turn == 3:
            world.clock.reached()
        world.run(2 if turn < 4 else every)
    assert world.clock.known and (world.steps <= 3 or every == 1000), (seed, every, world.steps)

# -- a server that jumps: nothing is claimed until another answer decides -----------------------------

for off in (3_600_000_000, -3_600_000_000, 400_000, -400_000):
    world = World(10)
    world.ask(4_000)
    world.clock.reached()
    world.run(100)
    assert world.ask(4_000, off_us=off) is None
    assert world.clock.tq == 0x0F and not world.clock.stepped
    world.run(2)
    assert world.ask(4_000) is not None, "it was the server"
    world.clock.update()
    assert world.clock.tq == 8 and not world.clock.stepped
    world.run(60)
    assert world.ask(4_000, off_us=off) is None
    world.run(2)
    assert world.ask(4_000, off_us=off) is True, "two agree: it was us"
    assert world.clock.stepped and len(world.rtc) == 2
    world.run(100, off)
    assert world.clock.tq == 8 and world.steps == 2
    assert abs(world.line_us() - world.time.us - off) < 10_000

# -- gained_ms: a source that counts ticks keeps up with the line -------------------------------------

world = World(-50)
world.ask(2_000)
world.clock.reached()
sec, wait_ms = world.clock.next_second()
begun = world.time._ticks() // 1000 + wait_ms
for _ in range(60):
    world.run(62)
    world.ask(2_000)
world.clock.update()
due = begun + 4_000_000 - world.clock.gained_ms  # in ticks: 4,000 s after that second
line_ms = ((sec - UTC) * 1_000_000 - world.line_us()) // 1000 + 4_000_000
assert abs(due - world.time._ticks() // 1000 - line_ms) <= 3, (due - world.time._ticks() // 1000, line_ms)

# -- a source asks for each block: nothing is allocated -----------------------------------------------

module.time = time
clock = module.Clock()
clock.content = True
clock.sampled(UTC, 999_000, time.ticks_us(), 1_000)
clock.reached()
clock.sampled(UTC, 1_009_000, time.ticks_us(), 900)  # it is being slewed
random.seed(2)
ago = [0, 1, -1, 999_999, -999_999, 480_000_000, -480_000_000]
ago += [random.randrange(-480_000_000, 480_000_000) for _ in range(300)]
MOST = 150 * 17  # the crystal's drift and the fastest slew
for rate in [clock._rate, 20 * 17, MOST, -MOST] + [random.randrange(-MOST, MOST + 1) for _ in range(20)]:
    clock._rate, clock._rest = rate, random.randrange(1 << 24)
    clock._us = random.randrange(1_000_000)
    for passed in ago:
        tick = time.ticks_add(clock._tick, passed)
        micropython.heap_lock()
        clock.locate(tick)
        micropython.heap_unlock()
        line = clock._us + passed + (clock._rest + passed * rate >> 24)
        assert (clock.sec, clock.ns) == (clock._sec + line // 1_000_000, line % 1_000_000 * 1000), (rate, passed)
