"""Simulated time for a whole node in one process: waiting costs nothing, and the world goes on while it waits.

`install()` before anything of the firmware is imported: `time`, `gc`, `select` and `_asyncio` are then ours. A wait
of asyncio, or time.sleep_ms, advances `now` at once, and whatever the world has planned until then happens on the
way, at its moment: a plan may raise a Fate in the middle of the node's work.
"""

import sys

SOC = 1800000000  # when the month begins
DRIFT_PPM = 20
TICKS = 0x3FFFFFFF  # the period of ticks_ms less one, as on a board; on the 64-bit port too


class Fate(BaseException):
    """What no program can catch or survive. With `lasting` it is raised again at each look at the clock, lest an
    `except` or `finally` of the firmware goes on in a machine that has no power."""


class PowerCut(Fate):
    pass


class Bite(Fate):
    """The hardware watchdog resets the board."""


class Restart(Fate):
    """machine.reset(): the board begins anew."""


class Enough(Fate):
    """The script is at its end."""


class World:
    """Time since the month began is `epoch_s` (at the boot) and `ms` (since then; small, so that it is cheap).

    plan: [seconds since the beginning, function], by time. quiet: waits of the firmware below `quiet_ms` last
    that long. fate: what goes on being raised. watchdog: deadline in `ms`, or None.
    """

    def __init__(self):
        self.epoch_ms = 0  # since the beginning of the month, at this boot
        self.ms = 0
        self.base = 0  # of the ticks, at this boot
        self._next = TICKS  # `ms` of the next thing planned
        self._plan = []
        self._count = 0
        self._steps = 0
        self.quiet_ms = 0
        self.fate = None
        self.bite_ms = TICKS  # when the watchdog bites, in `ms`; TICKS: it is off
        self.steps = 0

    def boot(self, base):
        """A machine begins: its ticks count from `base`."""
        self.epoch_ms += self.ms
        self.ms = 0
        self.base = base
        self.fate = None
        self.bite_ms = TICKS
        self._see()

    @property
    def total_ms(self):
        return self.epoch_ms + self.ms

    @property
    def seconds(self):
        return (self.epoch_ms + self.ms) // 1000

    def true_s(self):
        """The true time of day, in seconds of UNIX; the node's crystal is slow by DRIFT_PPM."""
        return SOC + (self.epoch_ms + self.ms) * (1 + DRIFT_PPM / 1e6) / 1000

    def at(self, total_ms, what):
        """`what()` is called when that moment is reached."""
        self._count += 1
        entry = (max(total_ms, self.total_ms), self._count, what)
        i = len(self._plan)
        while i and self._plan[i - 1][:2] > entry[:2]:
            i -= 1
        self._plan.insert(i, entry)
        self._see()

    def after(self, ms, what):
        self.at(self.total_ms + ms, what)

    def _see(self):
        self._next = min(TICKS, self._plan[0][0] - self.epoch_ms) if self._plan else TICKS
        if self.bite_ms < self._next:
            self._next = self.bite_ms

    def feed(self, timeout_ms):
        """The watchdog bites then, unless it is fed again; None: never."""
        self.bite_ms = TICKS if timeout_ms is None else self.ms + timeout_ms
        self._see()

    def look(self):
        if self.fate:
            raise self.fate

    def doom(self, fate):
        """From now on there is no machine any more."""
        self.fate = fate
        raise fate

    def advance(self, ms):
        """Let so much time pass."""
        to = self.ms + ms
        while to >= self._next:
            self.ms = max(self.ms, self._next)
            if self.ms >= self.bite_ms:
                self.bite_ms = TICKS
                self._see()
                self.doom(Bite())
            what = self._plan.pop(0)[2]
            self._see()
            what()
        self.ms = to
        if self.fate:
            raise self.fate

    def skip_to(self, total_ms):
        """The time until then passes without a machine."""
        self.bite_ms = TICKS
        while self._plan and self._plan[0][0] <= total_ms:
            moment, _, what = self._plan.pop(0)
            self.ms = max(self.ms, moment - self.epoch_ms)
            what()
        self.ms = max(self.ms, total_ms - self.epoch_ms)
        self._see()


world = World()


class Time:
    """The module `time`."""

    def ticks_ms(self):
        if world.fate:
            raise world.fate
        return (world.base + world.ms) & TICKS

    def ticks_us(self):
        world.look()
        ms = world.base + world.ms
        return (((ms >> 14) * 1000 & 0xFFFF) << 14) + (ms & 0x3FFF) * 1000 & TICKS  # in small integers

    def ticks_cpu(self):
        return self.ticks_us()

    def ticks_add(self, a, b):
        return (a + b) & TICKS

    def ticks_diff(self, a, b):
        diff = (a - b) & TICKS
        return diff - TICKS - 1 if diff > TICKS >> 1 else diff

    def sleep_ms(self, ms):
        if ms > 0:
            world.advance(ms)

    def sleep_us(self, us):
        self.sleep_ms(us // 1000)

    def sleep(self, seconds):
        self.sleep_ms(int(seconds * 1000))

    def time(self):
        raise AssertionError("a board has no time of day but its clock's")

    time_ns = gmtime = localtime = time


class Gc:
    """The module `gc`: MicroPython collects when it must; the firmware's calls are counted."""

    collected = 0

    def collect(self):
        self.collected += 1

    def threshold(self, n=None):
        pass

    def mem_free(self):
        return 100000

    def mem_alloc(self):
        return 90000

    def enable(self):
        pass

    disable = enable


class _Module:
    """Stands for a module: what can be imported from it are attributes, not methods."""

    def __init__(self, **names):
        for name, value in names.items():
            setattr(self, name, value)


def _module(made):
    names = [name for name in dir(made) if name[0] != "_"]
    return _Module(**{name: getattr(made, name) for name in names})


time = Time()
gc = Gc()


def install(select):
    """select: stands for the module of that name."""
    sys.modules["time"] = sys.modules["utime"] = _module(time)
    sys.modules["gc"] = _module(gc)
    sys.modules["select"] = _module(select)
    import field_asyncio

    sys.modules["_asyncio"] = _Module(Task=field_asyncio.Task, TaskQueue=field_asyncio.TaskQueue)
    import asyncio
    import asyncio.core as core

    core.IOQueue = field_asyncio.IOQueue
    asyncio.new_event_loop()
    return asyncio
