"""What waited follows what is fresh: the backlog's messages, paced, whenever nothing live is to be sent."""

from micropython import const

from mqtt.publish import Publish
from outbox.record import CONFIG, EVENT, FRAME, METER, TICKS, UNTIMED

_FOR_TIME_MS = const(60000)  # how long after a connection frames without time wait for the clock
_REST_MS = const(10000)  # until a log that could not be read is read again


class FollowUp:
    """backlog: outbox.backlog.Backlog. pace: mqtt.timing.Pace, in records. topic(data_type) -> bytes of a topic of
    this node. clock: the board's, for `known`. packet_most: bytes of what else its `packet` is used for.

    `send(session, now)` sends one message if there is one and the pace allows it. durable_only: a durable record.
    """

    def __init__(self, backlog, pace, topic, clock, packet_most=0):
        self.backlog = backlog
        self._pace = pace
        backfill = topic("PMU-BACKFILL")  # the longest: the packet has room for each
        self.packet = Publish(backfill, max(len(backlog.buf), packet_most))
        backlog.use(self.packet.room())  # a message is made where it is sent from
        self._topics = {
            FRAME: backfill,
            CONFIG: backfill,
            UNTIMED: topic("PMU-UNTIMED"),
            METER: topic("METER"),
            EVENT: topic("EVENT"),
        }
        self._clock = clock
        self._connected_ms = 0
        self._waited = False  # for the clock, on this connection
        self._failed_ms = -1  # when the backlog was found to have failed; -1: it did not

    def connected(self, now):
        self._connected_ms = now
        self._waited = False

    def lost(self):
        """What was not acknowledged is sent again."""
        self.backlog.rewind()

    def send(self, session, now, durable_only=False):
        backlog = self.backlog
        if not self._waited and (now - self._connected_ms) & TICKS >= _FOR_TIME_MS:
            self._waited = True  # for good: ticks begin anew
        if not self._pace.ready(now):
            return False
        if backlog.failed:
            if self._failed_ms < 0:
                self._failed_ms = now
            elif (now - self._failed_ms) & TICKS >= _REST_MS:
                self._failed_ms = -1
                backlog.retry()
        kind = backlog.next(not (self._waited or self._clock.known), durable_only)
        if not kind:
            return False
        self.packet.address(self._topics[kind])
        session.send(self.packet, backlog.buf, 0, backlog.size, backlog.token, now)
        self._pace.take(backlog.records)
        return True

    def acked(self, token):
        self.backlog.ack(token)
