"""The clock of a board that has only ticks: UTC once somebody has told it, and how far it may be off."""

import time

from micropython import const

from timebase.quality import quality

_NO_TIME_SEC = const(1609459200 - (1 << 31))  # 2021-01-01: where a board without battery clock begins to count
_DRIFT_PPM = const(50)  # of the crystal at most, over the temperatures of a cabinet
_FAR_US = const(50000)  # put right by a step, if it is certain; less is made good by running faster or slower
_MOST_PPM = const(100)  # so much at most, beside what the crystal is off
_UPDATE_US = const(2000)  # what the error can grow between updates: 10 s * (50 + 100 + 50) ppm
_PPM = const(17)  # 2^24 / 10^6
_PERIOD = time.ticks_add(0, -1) + 1  # of ticks_us


class Clock:
    """One time line for all stamps: without a jump, slightly faster or slower than ticks, until `stepped`.

    `content`: set by whoever tells the time, when no better sample is soon to come. `known`: whether it is UTC;
    until `reached()` says so it counts from 2021-01-01 at the start. `tq`: time quality byte, `stat`: STAT bits of
    time. `stepped`: the stamps have been left behind and begin anew with `next_second`.
    `locate(ticks_us)` gives `sec` (SOC - 2^31) and `ns` of an instant. `gained_ms`: what the time line gained on
    ticks since `next_second`, for sources that count ticks. set_rtc(soc): told of every step; TLS looks there.
    """

    def __init__(self, set_rtc=None):
        self._tell = set_rtc
        self.content = self.known = self.stepped = False
        self.gained_ms = self._ahead = 0
        self._tick, self._ms = time.ticks_us(), time.ticks_ms()
        self._sec, self._us = _NO_TIME_SEC, 0  # the time line at _tick
        self._rest = 0  # of a microsecond, 2^-24
        self._rate = self._frequency = 0  # 2^-24: what it gains on ticks, and of that to make good the crystal
        # The last sample, carried on by bare ticks: its error (None: there was none), how long ago it was, and how
        # late the time line is against it. All in us.
        self._error_us = None
        self._passed = self._late = 0
        self._span = 0  # how long it may run faster or slower for that
        self._hold = 0  # since the last step
        self._doubt = None  # (how late the line is by it, error) of a sample that contradicts
        self.sec, self.ns = _NO_TIME_SEC, 0
        self.update()

    def update(self):
        """Bring `tq` and `stat` up to now; at least every 10 s. MSG_TQ n: within 10^(n - 10) s; F: no time, or
        two that contradict each other."""
        self._advance()
        error_us = None
        if self.known and not self._doubt:
            error_us = self._reach() + abs(self._late) + _UPDATE_US
        self.tq, self.stat = quality(error_us)

    def close(self):
        """Whether better samples to come will move the time line by no step."""
        return self._reach() <= _FAR_US

    def _reach(self):
        """How far the last sample's time, carried on by ticks, may be off now."""
        return self._error_us + self._passed * _DRIFT_PPM // 1000000 + 1

    def _advance(self):
        """Bring the time line up to now."""
        tick, tick_ms = time.ticks_us(), time.ticks_ms()
        passed = time.ticks_diff(tick, self._tick)
        missed_ms = time.ticks_diff(tick_ms, self._ms) - passed // 1000
        if missed_ms > 100000:  # ticks_us began anew meanwhile: every 18 minutes on 32 bits
            passed += (missed_ms * 1000 + _PERIOD // 2) // _PERIOD * _PERIOD
        self._tick, self._ms = tick, tick_ms
        self._rest += passed * self._rate
        gained = self._rest >> 24
        self._rest &= 0xFFFFFF
        self._ahead += gained
        self.gained_ms = self._ahead // 1000
        self._late -= gained
        self._passed += passed
        self._hold += passed
        if self._passed > self._span:
            self._rate = self._frequency
        us = self._us + passed + gained
        self._sec += us // 1000000
        self._us = us % 1000000

    def locate(self, ticks_us):
        """`sec` and `ns` of an instant at most 8 minutes from the last update. Allocates nothing."""
        passed = time.ticks_diff(ticks_us, self._tick)
        # self._rest + passed * self._rate >> 24, in two halves that stay below 2^30
        low = self._rest + (passed & 0x3FFF) * self._rate >> 14
        us = self._us + passed + ((passed >> 14) * self._rate + low >> 10)
        self.sec = self._sec + us // 1000000
        self.ns = us % 1000000 * 1000

    def soc(self):
        """The second that runs now; only while `known`."""
        self._advance()
        return self._sec + (1 << 31)

    def next_second(self):
        """(SOC - 2^31 of the second that begins next, ms until it has begun)."""
        self._advance()
        self.stepped = False
        self.gained_ms = self._ahead = 0
        return self._sec + 1, (1000000 - self._us) // 1000 + 1

    def sampled(self, sec, us, tick, error_us):
        """It was `sec` (SOC - 2^31) and `us` at ticks_us `tick`, to within error_us. False: not used, for what is
        known is better; None: it contradicts what is known, another one will decide."""
        self._advance()
        since = time.ticks_diff(self._tick, tick)
        owed = (sec - self._sec) * 1000000 + us + since - self._us
        error_us += since * _DRIFT_PPM // 1000000 + 1
        away = False
        doubt, self._doubt = self._doubt, None
        if self._error_us is not None:
            away = abs(owed - self._late) > error_us + self._reach()
            if away and not (doubt and abs(owed - doubt[0]) <= error_us + doubt[1]):
                self._doubt = (owed, error_us)
                self.update()
                return None
            if not away and error_us >= self._reach():
                return False
        interval_us, self._passed = self._passed, 0
        self._late = owed
        self._error_us = error_us
        if self.known:
            self._settle(interval_us, away)
            self.update()
        return True

    def reached(self):
        """The time is known from now on, if it was told and `content`. What the stamps were short of it, once:
        (seconds, microseconds, SOC of the stamps now, error now in us, drift in ppm); else None.
        """
        if self.known or not self.content or self._error_us is None:
            return None
        self._advance()
        owed = self._late
        offset = (owed // 1000000, owed % 1000000, self._sec + (1 << 31), self._reach(), _DRIFT_PPM)
        self.known = True
        self._step()
        self.update()
        return offset

    def _settle(self, interval_us, away):
        """Make good how late the line is; learn from it how far the crystal is off. A loop of second order whose
        time grows with the time that it held, so that it finds its frequency fast and is calm afterwards."""
        owed = self._late
        time_s = max(16, min(256, self._hold // 4000000), interval_us // 2000000)
        interval_s = min(interval_us // 1000000, 2 * time_s)
        if not away and interval_us > 30000000:
            most = _DRIFT_PPM * _PPM
            drift = self._frequency + owed * interval_s * _PPM // (4 * time_s * time_s)
            self._frequency = max(-most, min(most, drift))
        if abs(owed) > max(_FAR_US, self._error_us):
            self._step()
            return
        most = _MOST_PPM * _PPM
        self._rate = self._frequency + max(-most, min(most, owed * _PPM // time_s))
        self._span = time_s * 1000000

    def _step(self):
        us = self._us + self._late
        self._sec += us // 1000000
        self._us = us % 1000000
        self._late = self._hold = 0
        self._rate = self._frequency
        self.stepped = True
        if self._tell:
            self._tell(self._sec + (1 << 31))
