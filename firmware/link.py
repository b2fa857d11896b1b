"""Keeps one session with the broker and moves records from the outbox through it."""

import asyncio
from time import ticks_add, ticks_diff, ticks_ms

from firmware.dial import Unreachable
from firmware.session import CLOSED, OPEN
from mqtt.window import FREE


class Link:
    """Sends what the outbox offers, live topic first in line; never waits for the network.

    session: Session. outbox: a Ring. retry: mqtt.retry.Retry. broker: (host, port, tls).
    live: Publish packet of the PMU topic. config_frame: the CFG-2 bytes, retained there at every connection.
    status: `packet` (a Publish) and `payload(state)` of the STATUS topic. command_topic: subscribed, or None.
    log: `log(text)`.

    `pump()` does what can be done now: the meter calls it for each frame, `run()` in between.
    """

    _POLL_MS = 10  # how long an acknowledgement may lie unread
    _BUSY_MS = 2  # the same while records wait for room in the window

    def __init__(self, session, outbox, retry, broker, live, config_frame, status, command_topic, log):
        self.session = session
        self.outbox = outbox
        self._retry = retry
        self._broker = broker
        self._live = live
        self._config_frame = config_frame
        self._status = status
        self._command_topic = command_topic
        self._log = log
        self._due_ms = self._failed_ms = ticks_ms()
        self._greeting = 0  # what is still to be said at the begin of a connection: 2 CFG-2, 1 STATUS
        self._down = True
        self._asked = False  # for STATUS, by a command
        self.unknown_commands = 0
        self.connections = 0
        self.last_error = ""

    async def run(self):
        while True:
            wait_ms = 0 if self.pump() else self._POLL_MS
            if wait_ms and self.session.state == OPEN and self.outbox.sent != self.outbox.written:
                wait_ms = self._BUSY_MS
            await asyncio.sleep_ms(wait_ms)

    def pump(self):
        """Connect, read, write as far as possible without waiting; True if anything moved."""
        now = ticks_ms()
        session = self.session
        if session.state == CLOSED:
            return self._reconnect(now)
        moved = session.step(now)
        if session.state == OPEN:
            if self._down:
                self._welcome()
            if self._asked and self.report("online"):
                self._asked = False
            while session.ready() and self._send(now):
                moved = True
        return moved

    def _reconnect(self, now):
        session = self.session
        if not self._down or session.error:
            self._lost(now)
        if ticks_diff(now, self._due_ms) < 0:
            return False
        host, port, tls = self._broker
        session.open(host, port, tls, now)
        return True

    def _lost(self, now):
        """Say why the connection ended and when the next is due."""
        session = self.session
        error = session.error
        since_ms = now
        if isinstance(error, Unreachable):
            wait_ms = self._retry.network_failed(ticks_diff(now, self._failed_ms) if self._down else 0)
            if self._down:
                since_ms = session.tried_ms  # what was spent waiting for an answer counts
        else:
            wait_ms = self._retry.broker_failed(session.lived_ms)
        text = str(error)
        if text != self.last_error or not self._down:
            self._log(
                "broker %s:%d: %s; next try in %d ms" % (self._broker[0], self._broker[1], text, wait_ms)
            )
        self.last_error = text
        session.error = None
        self._down = True
        self._failed_ms = now
        self._due_ms = ticks_add(since_ms, wait_ms)

    def _welcome(self):
        self._down = False
        self._retry.connected()
        self._greeting = 2
        self.connections += 1
        self._log("broker %s:%d: connected" % self._broker[:2])
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
            if seq != FREE and outbox.holds(seq):
                session.resend(self._live, outbox.buf, outbox.off(seq), outbox.size(seq), pid, now)
            else:
                session.window.close(pid)
            return True
        seq = -1 if session.window.full() else outbox.next()
        if seq < 0:
            return False
        session.send(self._live, outbox.buf, outbox.off(seq), outbox.size(seq), seq, now)
        return True

    def acked(self, seq):
        """The session's word that the broker has a record."""
        if seq != FREE:
            self.outbox.ack(seq)

    def report(self, state):
        """Publish STATUS, retained, if the connection is free for it: whether it was."""
        session = self.session
        free = session.ready() and not session.window.full()
        if free:
            self._publish_status(state, ticks_ms())
        return free

    def _publish_status(self, state, now):
        payload = self._status.payload(state)
        self.session.send(self._status.packet, payload, 0, len(payload), FREE, now, True)

    def command(self, topic, payload):
        """A message on CMD. `status` asks for STATUS at once; anything else is counted."""
        if payload == b"status":
            self._asked = True
        else:
            self.unknown_commands += 1

    async def drain(self, most_ms):
        """Wait until the outbox is empty, STATUS "stopped" included, or most_ms have passed."""
        end_ms = ticks_add(ticks_ms(), most_ms)
        told = False
        while ticks_diff(end_ms, ticks_ms()) > 0:
            if not len(self.outbox) and not self.session.window.open_count:
                if told or self.session.state != OPEN:
                    return
                told = self.report("stopped")
            await asyncio.sleep_ms(self._POLL_MS)
