"""The unix clock's honesty: when the system clock is stepped, the claim goes at once and the stamps begin anew."""

import time

from boards.paced import Paced
from boards.synthetic import Synthetic
from boards.unix import clock as module


class Time:
    """In place of the module `time`: a UTC that can be stepped, real ticks."""

    ticks_ms, ticks_add, ticks_diff = time.ticks_ms, time.ticks_add, time.ticks_diff
    step_s = 0

    def time(self):
        return time.time() + self.step_s


fake = module.time = Time()
clock = module.Clock()
clock._max_error_us = lambda: 300
clock.update()
assert clock.tq == 8 and not clock.stepped, clock.tq  # 0.3 ms and the millisecond of the start: within 10 ms
fake.step_s = 0.2
clock.update()
assert clock.tq == 10 and not clock.stepped, clock.tq  # 0.2 s astray: within a second
fake.step_s = 0
source = Paced(Synthetic({"fs_hz": 1600}, 32), clock, 2000)
source.due_ms()
source.fill()
before = source.sec
fake.step_s = 3600
clock.update()
assert clock.stepped and clock.tq == 0x0F
source.due_ms()
source.fill()
clock.update()
assert not clock.stepped and clock.tq == 8, clock.tq
assert 3599 <= source.sec - before <= 3602, source.sec - before
