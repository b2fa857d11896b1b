"""Keeps a node that measures nothing connected to its broker: STATUS, EVENTs one by one, and CMD."""

import random
from time import ticks_add, ticks_diff

from micropython import const

from firmware.fit import fit
from firmware.session import CLOSED, OPEN
from mqtt.publish import Publish
from mqtt.window import FREE

_STATUS_MOST = const(1400)  # bytes of a message: one TCP segment
_SOON_MS = const(1000)  # until the next try, twice as long each time, half of it at random, up to:
_LATE_MS = const(64000)
_NEXT_MS = const(50)  # until the next broker of several
_LONG_MS = const(10000)  # a connection that held for so long was a good one


class Teller:
    """session: Session, with its will. brokers: Broker or Brokers. tls: bool. topic(kind): bytes of a topic.
    fields(): what STATUS says, as a dict. notes: Notes, or None. ask(payload): what CMD says but `status`.

    `step(now)`: do what can be done without waiting. `up`: connected. `served`: the broker acknowledged an event.
    """

    def __init__(self, session, brokers, tls, topic, fields, notes, ask, log, status_s):
        self.session = session
        self.brokers = brokers
        self._tls = tls
        self._status, self._event, self._cmd = topic("STATUS"), topic("EVENT"), topic("CMD")
        self._packet = Publish(self._status, _STATUS_MOST)  # the longer one of both topics
        self._fields = fields
        self._notes = notes
        self._ask = ask
        self._log = log
        self._every_ms = status_s * 1000
        self._due_ms = self._said_ms = 0
        self._begun = False
        self._wait_ms = _SOON_MS
        self._note = None  # that is on its way
        self.up = self.served = False
        self.connections = self.commands = 0
        self.last_error = ""
        self._told = ""  # of the errors, to the log
        session.on_acked = self._acked
        session.set_callback(self._command)

    def hurry(self):
        """The network is back: the next try is due."""
        self._begun = False

    def step(self, now):
        session = self.session
        if session.state == CLOSED:
            if self.up or session.error:
                self._lost(now)
            if not self._begun or ticks_diff(now, self._due_ms) >= 0:
                self._begun = True
                self._due_ms = now
                session.open(self.brokers.host, self.brokers.port, self._tls, now)
            return
        session.step(now)
        if session.state != OPEN:
            return
        if not self.up:
            self._welcome(now)
        if session.ready() and not session.window.silent():
            if ticks_diff(now, self._said_ms) >= 0:
                self.report("online", now)
            elif self._notes and not self._note:
                self._tell(now)
        if self.brokers.look(now):
            session.leave(now)
            self.brokers.first()

    def _welcome(self, now):
        self.up = True
        self._told = ""
        self._note = None
        self._said_ms = now
        self.connections += 1
        self.brokers.connected(now)
        self._log.info("broker %s: connected", self.brokers)
        window = self.session.window
        pid = window.resend()
        while pid:  # what was on its way is told anew: it says itself what it is
            window.close(pid)
            pid = window.resend()
        self.session.subscribe(self._cmd)

    def _lost(self, now):
        """Say why the connection ended, and when the next is due."""
        session = self.session
        error, session.error = session.error, None
        if self.up and session.lived_ms >= _LONG_MS:
            self._wait_ms = _SOON_MS
        wait_ms = 0
        if error:
            self.last_error = "%s: %s" % (self.brokers, error)
            if self.last_error != self._told or self.up:
                self._log.warning("broker %s", self.last_error)
                self._told = self.last_error
            wait_ms = _NEXT_MS
            if self.brokers.failed():
                wait_ms = self._wait_ms // 2 + random.randrange(self._wait_ms // 2 + 1)
                self._wait_ms = min(2 * self._wait_ms, _LATE_MS)
        self.up = False
        self._due_ms = ticks_add(now, wait_ms)

    def report(self, state, now):
        """STATUS, retained; only when the session is ready."""
        self._said_ms = ticks_add(now, self._every_ms)
        fields = {"state": state}
        fields.update(self._fields())
        self._send(self._status, fit(fields, _STATUS_MOST), FREE, now, True)

    def _tell(self, now):
        note = self._note = self._notes.first()
        if note:
            self._send(self._event, note, 0, now)

    def _send(self, topic, payload, seq, now, retain=False):
        self._packet.address(topic)
        self.session.send(self._packet, payload, 0, len(payload), seq, now, retain)

    def _acked(self, seq):
        if seq == FREE:
            return
        if not self.served:
            self.served = True
            self._log.info("first event acknowledged by %s", self.brokers)
        if self._note:
            self._notes.took(self._note)
            self._note = None

    def _command(self, topic, payload):
        self.commands += 1
        if payload == b"status":
            self._said_ms = ticks_add(self._said_ms, -self._every_ms)
        elif not self.session._inbound.flags & 1:  # retained: it would come again after each restart
            self._ask(payload)
