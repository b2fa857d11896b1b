"""The STATUS message: what state the node is in, and every counter that a person would ask for."""

import json
from time import ticks_add, ticks_diff, ticks_ms


class Status:
    """packet: the Publish of the STATUS topic. `payload(state)` gives the JSON as bytes.

    Numbers only, cumulative since the start; `heap_free` is the least seen at a STATUS.
    """

    def __init__(self, packet, board, idcode):
        self.packet = packet
        self._board = board
        self._idcode = idcode
        self._uptime_s = 0
        self._since_ms = ticks_ms()
        self._heap_free = None
        self.meter = self.estimator = self.link = None

    def sample(self):
        """Look at what changes between messages, connected or not; every few seconds."""
        passed = ticks_diff(ticks_ms(), self._since_ms) // 1000
        self._uptime_s += passed
        self._since_ms = ticks_add(self._since_ms, passed * 1000)
        free = self._board.free_bytes()
        if self._heap_free is None or free < self._heap_free:
            self._heap_free = free
        self._board.clock.update()

    def payload(self, state):
        self.sample()
        clock = self._board.clock
        outbox, session = self.link.outbox, self.link.session
        return json.dumps(
            {
                "state": state,
                "board": self._board.name,
                "idcode": self._idcode,
                "uptime_s": self._uptime_s,
                "heap_free": self._heap_free,
                "time_quality": clock.tq,
                "frames": self.meter.frames,
                "skipped": self.estimator.skipped,
                "gaps": self.estimator.gaps,
                "lost_blocks": self._board.source.lost_blocks,
                "waiting": len(outbox),
                "waiting_most": outbox.high_water,
                "dropped": outbox.dropped,
                "acknowledged": session.acknowledged,
                "sent_again": session.again,
                "late_pubacks": session.late,
                "protocol_errors": session.faults,
                "connections": self.link.connections,
                "last_error": self.link.last_error,
            }
        ).encode()
