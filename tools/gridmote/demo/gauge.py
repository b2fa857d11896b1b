"""Where the demonstration's frames are at this moment: on the wire, on flash, in RAM, lost."""

import time
from dataclasses import dataclass, field

from gridmote.demo import flash as demo_flash
from gridmote.demo.evidence import last_possible

UP, DOWN, STOPPED = "up", "DOWN", "stopped"  # legal values of Moment.broker and .node
BIN_S = 0.5
_BINS = 60


@dataclass
class Moment:
    """flash, ram: frames that wait there and that the witness has not seen; RAM by the clock, since nobody asks
    the node. made: the sum of all. live, backlog: frames that came at the PDC, and as backlog at the witness, in
    each BIN_S, to now.
    """

    made: int = 0
    published: int = 0
    archived: int = 0
    at_client: int = 0
    flash: int = 0
    ram: int = 0
    lost: int = 0
    broker: str = UP
    node: str = UP
    live: list = field(default_factory=list)
    backlog: list = field(default_factory=list)


class Gauge:
    """seen: Evidence, with time_base and rate once frames flow. folder: the node's flash."""

    def __init__(self, seen, folder):
        self._seen, self._folder = seen, folder
        self._known = set()  # numbers of the frames that the witness has seen
        self._read = 0  # of seen.published
        self._since = 0  # number from which the node's present life counts; None while that is not known
        self._phase = 0  # of a life's first frame in its second
        self._ended = None  # number of the last frame that the life before can have made
        self._lost = 0
        self._begin = None  # the same, by what the node noted on flash; None: what was seen tells
        self._settled = True  # nothing waits from an outage
        self._client_bins, self._backlog_bins = {}, {}
        self._client_read = 0

    def killed(self, at_us):
        """The node lost its RAM: -> (frames lost, frames on flash)."""
        moment = self.look(at_us)
        self._ended = self._last(at_us)
        self._lost += moment.ram
        self._since, self._settled = None, False
        return moment.ram, moment.flash

    def settled(self):
        """Nothing waits any more."""
        self._begin, self._settled = None, True

    def look(self, now_us=None, archived=0, broker=UP, node=UP):
        now_us = now_us or time.time_ns() // 1000
        seen = self._seen
        self._count()
        flash = {seen.number(frame) for frame in demo_flash.frames(self._folder)}
        known = self._known | flash
        self._find_begin(known)
        ram = 0
        if node == UP and self._since:
            ram = max(0, self._last(now_us) + 1 - self._since - sum(n >= self._since for n in known))
        live, backlog = (self._trend(bins, now_us) for bins in (self._client_bins, self._backlog_bins))
        return Moment(len(known) + ram + self._lost, len(self._known), archived, len(seen.client),
                      len(flash - self._known), ram, self._lost, broker, node, live, backlog)

    def _count(self):
        seen = self._seen
        for message in seen.published[self._read:]:
            self._known.add(seen.number(message.frame))
            self._read += 1
            if not message.live:
                _add(self._backlog_bins, message.received_us)
        for _, received_us in seen.client[self._client_read:]:
            self._client_read += 1
            _add(self._client_bins, received_us)

    def _find_begin(self, known):
        """The number of the present life's first frame, by what is known of it or else by its word on flash."""
        mine = [n for n in known if self._ended is None or n > self._ended]
        if not self._settled and not self._begin:
            rate, start = self._seen.rate, demo_flash.last_start(self._folder)
            if start and start[1] * rate > self._ended - rate:
                self._begin = (start[1] + 1) * rate + self._phase
        if self._begin or mine:
            self._since = min([*mine, self._begin] if self._begin else mine)
            if self._ended is None:
                self._phase = self._since % self._seen.rate

    def _last(self, now_us):
        seen = self._seen
        return last_possible(seen.sampling, seen.rate, self._since // seen.rate, now_us) if self._since else 0

    @staticmethod
    def _trend(bins, now_us):
        now = int(now_us / 1e6 / BIN_S)
        return [bins.get(n, 0) for n in range(now - _BINS, now)]


def _add(bins, at_us):
    key = int(at_us / 1e6 / BIN_S)
    bins[key] = bins.get(key, 0) + 1
