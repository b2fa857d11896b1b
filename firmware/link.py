"""Keeps one session with a broker and moves records from the outbox through it."""

import asyncio
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from firmware.dial import Unreachable
from firmware.modules import forget
from firmware.session import CLOSED, OPEN
from mqtt.window import FREE
from outbox.record import TICKS

_POLL_MS = const(10)  # how long an acknowledgement may lie unread
_BUSY_MS = const(2)  # the same while records wait for room in the window
_DOUBT_MS = const(2000)  # silence of a broker that owes an acknowledgement; longer for one that proved to be slow
_DOUBT_AGAIN_MS = const(30000)  # after the last doubt that was wrong it is as short as at first
_TURN = const(50)  # live frames to one durable record on a link that is too slow for what is live
_NEXT_MS = const(50)  # until the next broker of several is tried


class Link:
    """Sends what the outbox offers, live topic first in line; never waits for the network.

    session: Session. outbox: an Outbox. follow: FollowUp, which sends what waited. retry: mqtt.timing.Retry.
    brokers: Broker or Brokers. tls: bool. live: Publish packet of the PMU topic. config_frame: the CFG-2 bytes,
    retained there at every connection. status: `packet` (a Publish) and `payload(state)` of the STATUS topic.
    command_topic: subscribed, or None. again_ms: so much of what a broker had acknowledged before the
    connection was lost is sent again, since it says PUBACK before it has saved.
    log: Log.

    `pump()` does what can be done now: the meter calls it for each frame, `run()` in between.
    """

    def __init__(
        self,
        session,
        outbox,
        follow,
        retry,
        brokers,
        tls,
        live,
        config_frame,
        status,
        command_topic,
        again_ms,
        log,
    ):
        self.session = session
        self.outbox = outbox
        self.follow = follow
        self.brokers = brokers
        self._retry = retry
        self._tls = tls
        self._live = live
        self._config_frame = config_frame
        self._status = status
        self._command_topic = command_topic
        self._again_ms = again_ms
        self._log = log
        self.on_connected = None  # called at each connection, before anything is sent
        self.inquire = None  # takes what CMD asks the segment, a payload
        self._due_ms = self._failed_ms = ticks_ms()
        self._greeting = 0  # what is still to be said at the begin of a connection: 2 CFG-2, 1 STATUS
        self.down = True
        self._told = {}  # by broker: the error that was logged
        self._doubted = False
        self._doubt_ms = _DOUBT_MS
        self._doubted_ms = 0
        self._live_sent = 0  # since a durable record had its turn
        self._heard_ms = self._quiet_ms = 0  # the broker's last word; since when it owes another
        self._asked = False  # for STATUS, by a command
        self.unknown_commands = 0
        self.connections = 0
        self.turns = 0  # of `run`: whoever looks sees that it goes on
        self.served = False  # a record of this boot was acknowledged
        self.last_error = ""

    async def run(self):
        while True:
            self.turns = self.turns + 1 & 0xFFFF
            wait_ms = 0 if self.pump() else _POLL_MS
            if wait_ms and self.session.state == OPEN and self.outbox.ring.sent != self.outbox.ring.written:
                wait_ms = _BUSY_MS
            await asyncio.sleep_ms(wait_ms)

    def pump(self):
        """Connect, read, write as far as possible without waiting; True if anything moved."""
        now = ticks_ms()
        session = self.session
        if self.outbox.tend(now & TICKS):
            now = ticks_ms()  # the flash took its time
        if session.state == CLOSED:
            return self._reconnect(now)
        moved = session.step(now)
        if session.state == OPEN:
            if self.down:
                self._welcome(now)
            if self._asked and self.report("online"):
                self._asked = False
            while session.ready() and self._send(now):
                moved = True
            self._doubt(now)
            if self.brokers.look(now) and self.report("moved"):
                session.leave(now)
                self.brokers.first()
                self._due_ms = now
        return moved

    def hurry(self):
        """The network is back: the next try is due."""
        self._due_ms = ticks_ms()

    def _doubt(self, now):
        """A silent broker may be dead, with what it had acknowledged but not saved: once that is certain, RAM holds
        it no more. What is in flight or on flash can wait for that."""
        session = self.session
        if session.heard_ms != self._heard_ms or not session.window.open_count:
            self._heard_ms = session.heard_ms
            self._quiet_ms = now
            if self._doubted:  # wrongly: it is slow
                self._doubted = False
                self._doubt_ms *= 2
                self._doubted_ms = now
            elif self._doubt_ms > _DOUBT_MS and ticks_diff(now, self._doubted_ms) >= _DOUBT_AGAIN_MS:
                self._doubt_ms = _DOUBT_MS
        elif self._again_ms and not self._doubted and ticks_diff(now, self._quiet_ms) >= self._doubt_ms:
            self._doubted = True
            self.outbox.again(now & TICKS, ticks_diff(now, session.heard_ms) + self._again_ms, False)

    def _reconnect(self, now):
        session = self.session
        if not self.down or session.error:
            self._lost(now)
        if ticks_diff(now, self._due_ms) < 0:
            return False
        session.open(self.brokers.host, self.brokers.port, self._tls, now)
        return True

    def _lost(self, now):
        """Say why the connection ended and when the next is due."""
        session = self.session
        error = session.error
        since_ms = now
        if error is None:  # left for the first broker
            wait_ms = 0
        elif isinstance(error, Unreachable):
            wait_ms = self._retry.network_failed(ticks_diff(now, self._failed_ms) if self.down else 0)
            if self.down:
                since_ms = session.tried_ms  # what was spent waiting for an answer counts
        else:
            wait_ms = self._retry.broker_failed(session.lived_ms)
        if error:
            self._explain(str(error), wait_ms)
            if not self.brokers.failed():
                wait_ms = _NEXT_MS
        if not self.down:
            self.follow.lost()
            # It may have died with what it had acknowledged but not saved, and still say "session present".
            if error and self._again_ms:
                self.outbox.again(now & TICKS, ticks_diff(now, session.heard_ms) + self._again_ms)
                forget("outbox.salvage")
        session.error = None
        self.down = True
        self._failed_ms = now
        self._due_ms = ticks_add(since_ms, wait_ms)

    def _explain(self, text, wait_ms):
        """To the log, when it is not what that broker's last trouble was."""
        broker = str(self.brokers)
        if self._told.get(broker) != text or not self.down:
            self._log.warning("broker %s: %s; next try in %d ms", broker, text, wait_ms)
            self._told[broker] = text
        self.last_error = text

    def _welcome(self, now):
        self.down = False
        self._told.clear()
        self._retry.connected()
        self.brokers.connected(now)
        self._log.info("broker %s: connected", self.brokers)
        self.connections += 1
        if self.on_connected:
            self.on_connected()
        self._greeting = 2
        self._doubted = False
        self._doubt_ms = _DOUBT_MS
        self.follow.connected(now)
        if self._command_topic:
            self.session.subscribe(self._command_topic)

    def _send(self, now):
        """Send one message; False if there is none."""
        session = self.session
        outbox = self.outbox
        if self._greeting:
            self._greeting -= 1
            if self._greeting:
                session.send(self._live, self._config_frame, 0, len(self._config_frame), FREE, now, True)
            else:
                self._publish_status("online", now)
            return True
        pid = session.window.resend()
        if pid:
            seq = session.window.seq
            if outbox.holds(seq):
                session.resend(self._live, outbox.buf, outbox.off(seq), outbox.size(seq), pid, now)
            else:
                session.window.close(pid)  # it went to flash, and follows from there
            return True
        if session.window.full():
            return False
        if session.window.nearly_full() and self._live_sent >= _TURN and self.follow.send(session, now, True):
            self._live_sent = 0
            return True
        seq = outbox.next()
        if seq < 0:
            return self.follow.send(session, now)
        self._live_sent += 1
        session.send(self._live, outbox.buf, outbox.off(seq), outbox.size(seq), seq, now)
        return True

    def announce(self, config_frame):
        """A CFG-2 of other bytes holds from now on."""
        self._config_frame = config_frame
        self._greeting = 2

    def acked(self, seq):
        """The session's word that the broker has a record, or a message of several."""
        if seq >= 0:
            self.outbox.ack(seq)
            if not self.served:
                self.served = True
                self._log.info("first frame acknowledged by %s", self.brokers)
        elif seq != FREE:
            self.follow.acked(seq)

    def report(self, state):
        """Publish STATUS, retained, if the connection is free for it: whether it was."""
        session = self.session
        free = session.ready() and not session.window.silent()
        if free:
            self._publish_status(state, ticks_ms())
        return free

    def _publish_status(self, state, now):
        payload = self._status.payload(state)
        self.session.send(self._status.packet, payload, 0, len(payload), FREE, now, True)

    def command(self, topic, payload):
        """A message on CMD. `status` asks for STATUS at once, {"query"... the segment; anything else is counted."""
        if payload == b"status":
            self._asked = True
        elif self.inquire and payload.startswith(b'{"query"') and not self.session._inbound.flags & 1:
            self.inquire(payload)  # retained, it would be asked at each connection
        else:
            self.unknown_commands += 1

    async def drain(self, most_ms):
        """Wait until nothing waits, or for most_ms; then say STATUS "stopped" if connected."""
        end_ms = ticks_add(ticks_ms(), most_ms)
        while self.outbox.waiting and ticks_diff(end_ms, ticks_ms()) > 0:
            await asyncio.sleep_ms(_POLL_MS)
        end_ms = ticks_add(ticks_ms(), most_ms)
        told = False
        while self.session.state == OPEN and ticks_diff(end_ms, ticks_ms()) > 0:
            if not told:
                told = self.report("stopped")
            elif not self.session.window.open_count:
                return
            await asyncio.sleep_ms(_POLL_MS)
