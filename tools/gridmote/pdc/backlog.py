"""Frames that come late: which they are, and at what pace they go to PDC clients, if at all.

Late is what a node sends on PMU-BACKFILL, and what the broker kept on the live topic while the adapter was away.
The latter is told apart by order, not by any clock: a broker delivers what it kept first, and only then the
retained configurations for which every new connection asks. Until one of those comes (Message.late), the frames
of a stream are held; those stamped less than _LIVE_S before its newest, by its own stamps, go on as live when it
has come, so that a short interruption costs a client nothing; older ones are late.
"""

import asyncio
import collections

from gridmote.frame.raw import grid_of, stamp_us

_LIVE_S = 2
_TIMES = 10  # of the live rate: the pace at which late frames go to clients
_TURN_S = 0.02
_WAITING_MOST = 100_000  # late frames of a stream that wait for their turn; half an hour of them


class Backlog:
    """Late frames of one PmuServer, in its event loop. to_clients: whether they go there, else only counted.

    Counters: `late` frames in all; with `to_clients` those of them that went to none, `dropped` because too many
    waited, `unasked` because no client had asked for data when they came.
    """

    def __init__(self, server, to_clients):
        self._server = server
        self._to_clients = to_clients
        self._held = collections.deque()  # (stamp in us, frame, CFG-2 that describes it)
        self._newest_us = 0
        self._waiting = collections.deque()  # (frame, CFG-2)
        self._timer = None
        self.late = self.dropped = self.unasked = 0

    def hold(self, frame):
        """A frame of the live topic while the broker delivers what it kept."""
        config = self._server.cfg2
        now_us = stamp_us(frame, grid_of(config)[0] if config else 1_000_000)
        self._newest_us = max(now_us, self._newest_us)
        self._held.append((now_us, frame, config))
        while self._held[0][0] < self._newest_us - _LIVE_S * 1_000_000:
            self.add(*self._held.popleft()[1:])

    def release(self):
        """What the broker had kept has come: the newest frames go out as live ones."""
        while self._held:
            _, frame, config = self._held.popleft()
            self._server.send_described(frame, config)
        self._newest_us = 0

    def add(self, frame, config):
        """A late frame, with the CFG-2 (bytes or None) that describes it."""
        self.late += 1
        if not self._to_clients:
            return
        if not any(client.data_on for client in self._server.clients):
            self.unasked += 1
            return
        if len(self._waiting) == _WAITING_MOST:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((frame, config))
        if self._timer is None:
            self._turn()

    def _turn(self):
        if not self._waiting:
            self._timer = None
            return
        rate = max(self._server.frames_s, 0.1) * _TIMES
        count = max(1, round(rate * _TURN_S))
        for _ in range(min(count, len(self._waiting))):
            self._server.send_described(*self._waiting.popleft())
        # Also when none is left: the next may come at once.
        self._timer = asyncio.get_running_loop().call_later(count / rate, self._turn)

    def close(self):
        if self._timer is not None:
            self._timer.cancel()
