"""The STATUS message: what state the node is in, and every counter that a person would ask for."""

from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from firmware.fit import fit

STATUS_BYTES = 1791  # of a message
_TEXT_MOST = const(100)  # characters of an error
_OUTBOX = (
    "storage",
    "flash_waiting",
    "flash_percent",
    "flash_writes",
    "durable_waiting",
    "spilled",
    "thinned",
    "dropped",
    "corrupt",
    "loss_most",
)


class Status:
    """packet: a Publish, others use it, too. `payload(state)` addresses it to `topic` and gives the JSON as bytes.

    facts: what does not change while the node runs, as a dict: how it came to start (boot.boot).
    Counters are cumulative since the start; `heap` was free after the last collection, `heap_free` is the least
    of that; `held_s` is for how long something has been waiting on flash; `loss_most` the stream records that a
    power cut can cost.
    """

    def __init__(self, packet, topic, board, idcode, boot, facts):
        self.packet = packet
        self._topic = topic
        self._board = board
        self._idcode = idcode
        self._boot = boot
        self._facts = facts
        self.fallback = bool(facts.get("why"))  # another configuration or application runs than was meant
        self.uptime_s = self._empty_s = 0
        self._since_ms = ticks_ms()
        self.meter = self.estimator = self.link = self.guard = self.radio = self.asker = self.gossip = None

    def sample(self):
        """Look at what changes between messages, connected or not; every few seconds."""
        passed = ticks_diff(ticks_ms(), self._since_ms) // 1000
        self.uptime_s += passed
        self._since_ms = ticks_add(self._since_ms, passed * 1000)
        if not self.link.outbox.flash_waiting:
            self._empty_s = self.uptime_s
        self._board.clock.update()

    def payload(self, state):
        self.sample()
        self.packet.address(self._topic)
        clock = self._board.clock
        link = self.link
        outbox, session = link.outbox, link.session
        fields = {
            "state": state,
            "board": self._board.name,
            "idcode": self._idcode,
            "boot": self._boot,
            "uptime_s": self.uptime_s,
            "heap": self.guard.heap,
            "heap_free": self.guard.heap_least,
            "time_known": clock.known,
            "time_quality": clock.tq,
            "frames": self.meter.frames,
            "skipped": self.estimator.skipped,
            "gaps": self.estimator.gaps,
            "lost_blocks": self._board.source.lost_blocks,
            "triggers": self.meter.triggers,
            "waiting": len(outbox),
            "waiting_most": outbox.ring.high_water,
            "held_s": self.uptime_s - self._empty_s,
            "broker": str(link.brokers)[:_TEXT_MOST],
            "acknowledged": session.acknowledged,
            "sent_again": session.again,
            "late_pubacks": session.late,
            "protocol_errors": session.faults,
            "connections": link.connections,
            "session_present": session.present,
            "last_error": link.last_error[:_TEXT_MOST],
        }
        for name in _OUTBOX:
            fields[name] = getattr(outbox, name)
        fields["storage"] = fields["storage"][:_TEXT_MOST]
        if self.radio:
            fields["wifi"] = self.radio.state
            fields["rssi"] = self._board.network.station.rssi()
        if self.asker:
            fields["time_error"] = self.asker.last_error[:_TEXT_MOST]
        if self.gossip:
            fields["gossip"] = self.gossip.status()
        fields.update(self._facts)
        return fit(fields, STATUS_BYTES)
