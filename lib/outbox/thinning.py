"""Which stream records a log that fills up still takes, so that an outage is thinned and not cut off; and counts of
what was given up."""

from outbox.record import TICKS, UNTIMED, get_u32

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

# from so many 64ths full on: one record in so many
_STAGES = ((63, 500000), (62, 50000), (60, 5000), (56, 500), (48, 50), (32, 5))
_LIFT = const(58)  # 64ths from which on a trigger brings only every 5th record, and none
_NO_LIFT = const(62)
_HALF = (TICKS + 1) >> 1
_NEWS_MOST = const(8)


class Thinning:
    """around_ms: how long before and after a trigger every record is kept.

    `filled` says how full the log is, `keeps` whether a record goes into it; `keeps` allocates nothing. every: one
    in so many is kept at this stage. The last of the room is for weeks: a trigger lifts that to every 5th, then not
    at all, so that it does not cost the begin of an outage. thinned: records left out. `news` gives what an EVENT
    should tell.
    """

    def __init__(self, around_ms):
        self._around_ms = min(around_ms, _HALF - 1)
        self.every = 1
        self.thinned = 0
        self._passed = 0  # records left out since the last that was kept
        self._full = False  # a trigger holds, from .. to
        self._from_ms = self._to_ms = 0
        self._out = 0  # left out in this stage
        self._seen = Tally()  # all of this stage
        self._told = False
        self._part = 0
        self._around = 1  # of the records around the last trigger one in so many is kept
        self._news = []

    def filled(self, part):
        """The log is so many 64ths full."""
        every = 1
        for least, keep in _STAGES:
            if part >= least:
                every = keep
                break
        self._part = part
        if every != self.every:
            if self._seen.count:
                self._news.append(self._report(True))
                if len(self._news) > _NEWS_MOST:
                    self._news.pop(0)
            self.every = every
            self._seen.clear()
            self._out = 0
            self._passed = every  # the first is kept
            self._told = False

    def trigger(self, now, oldest):
        """Something happened at `now` (ticks). oldest: ticks of the oldest record that is still to be judged."""
        to = (now - _HALF + self._around_ms - _HALF) & TICKS  # never beyond 30 bits on the way
        if not self._full or (self._to_ms - oldest) & TICKS >= _HALF:
            self._from_ms = (now - self._around_ms) & TICKS
        self._to_ms = to
        self._full = True
        self._around = 1 if self._part < _LIFT else 5 if self._part < _NO_LIFT else _STAGES[0][1]

    def keeps(self, kind, ticks, buf, off):
        if self.every == 1:
            return True
        self._seen.add(buf, off, kind != UNTIMED)
        self._passed += 1
        every = self.every
        if self._full:
            if (ticks - self._to_ms) & TICKS < _HALF and ticks != self._to_ms:
                self._full = False
            elif (ticks - self._from_ms) & TICKS < _HALF:
                every = min(every, self._around)
        if self._passed >= every:
            self._passed = 0
            return True
        self._out += 1
        self.thinned += 1
        return False

    def news(self):
        """The next thing to tell, oldest first, or None: a stage that ended, or ("to" None) one that began."""
        if self._news:
            return self._news.pop(0)
        if self._told or not self._seen.count:
            return None
        self._told = True
        return self._report(False)

    def _report(self, ended):
        since, until = self._seen.span()
        out = self._out if ended else 0
        return {
            "event": "thinned",
            "from": since,
            "to": until if ended else None,
            "kept": self._seen.count - out if ended else 0,
            "thinned": out,
            "every": self.every,
        }


class Tally:
    """Counts records that were given up, with the time of the first and of the last. `add` allocates nothing.

    A record that begins with a C37.118 head has its SOC at byte 6.
    """

    def __init__(self):
        self._socs = bytearray(8)  # of the first and of the last, 0: not known
        self.count = 0

    def add(self, buf, off, timed):
        """One more: the record at buf[off], `timed` if it carries a time that is known."""
        self.count += 1
        if timed and off + 10 <= len(buf):
            self.mark(buf, off + 6)

    def mark(self, buf, off):
        """The SOC at buf[off:off + 4] belongs to it."""
        socs = self._socs
        unset = not (socs[0] or socs[1])  # no time before 1970 and a day
        for i in range(4):
            socs[4 + i] = buf[off + i]
            if unset:
                socs[i] = buf[off + i]

    def span(self):
        """(SOC of the first, of the last), None where not known."""
        return get_u32(self._socs, 0) or None, get_u32(self._socs, 4) or None

    def clear(self):
        self.count = 0
        for i in range(8):
            self._socs[i] = 0
