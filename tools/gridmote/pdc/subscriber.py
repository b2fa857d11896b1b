"""The MQTT side of the PDC adapter: a persistent QoS 1 session whose messages are acknowledged by hand."""

import collections
import contextlib
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gridmote.pdc.dial import Pause, SocketClient, dial
from gridmote.pdc.kept import Kept

_RECEIVE_MAXIMUM = 32768  # unacknowledged messages that the broker may send while the archive cannot store
_PACKET_MAX = 256 * 1024  # bytes; a larger message is no PMU's
_INBOX_MAX = 4096
_BURST = 64  # messages read before acknowledgements are written again
_TURN = 256  # messages handled before the loop turns to its clients again
_SESSION_EXPIRY_S = 7 * 24 * 3600
_DIAL_S = 3
_KEEPALIVE_S = 10
_SILENT_S = 1.0  # without a word of the broker it is asked whether it is there
_THERE_S = 1.5  # at least, for its answer
_PROBE = "gridmote/are-you-there"  # unsubscribing from what nobody subscribed to is answered too

# retained: what the broker had kept for new subscribers. late: it came in what the broker delivers, after a time
# without connection, before it turns to new messages (Kept).
Message = collections.namedtuple("Message", "topic payload received_us receipt retained late")


class Subscriber:
    """Subscribes to `filters` (MQTT topic filters) and reconnects by itself for as long as it runs.

    on_messages([Message]) and report(event, **fields), of "broker_found", "broker_lost", "broker_refuses",
    "broker_unreachable" and "session_taken", run in the thread of `loop` (asyncio). After the last of these it
    does not connect again: two that take a session from each other lose messages to each other. A Message's
    receipt goes back through `ack()` when the message is safe; what is not acknowledged the broker sends again
    at the next connection.
    MQTT 5, because its receive maximum lets a broker send on while messages wait for their
    acknowledgement; version 3 (3.1.1) is for brokers without it and leaves that to them (mosquitto: 20).
    """

    def __init__(self, login, filters, client_id, loop, on_messages, report, version=5):
        self.address = login.address
        self._client_id = client_id
        self._filters = filters
        self._loop, self._on_messages, self._report = loop, on_messages, report
        self._inbox = collections.deque()
        self._woken = False
        self._running = self._anew = self._refused = False
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._wake = threading.Event()
        self._lock = threading.Lock()  # guards _connection: no receipt of an old one is ever sent on a new
        self._connection = 0
        self._pause = Pause()
        self._dialled_s = self._heard_s = 0.0
        self._opened_s = None  # when the broker took this connection; None: not yet
        self._probed_s = None  # when it was asked whether it is there; None: it has answered
        self._why = None  # what paho or the broker says about the end
        self._trouble = None
        self._taken = False  # a message has just been read
        self._session_present = False
        self._kept = Kept()
        v5 = version == 5
        self._client = client = login.dress(SocketClient(
            self._make_socket, client_id=client_id, manual_ack=True,
            protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311, clean_session=None if v5 else False))
        client.on_connect, client.on_disconnect = self._connected, self._disconnected
        client.on_message, client.on_subscribe = self._message, self._subscribed
        client.on_unsubscribe = self._heard
        options = {}
        if v5:
            options["clean_start"] = False
            options["properties"] = properties = Properties(PacketTypes.CONNECT)
            properties.ReceiveMaximum = _RECEIVE_MAXIMUM
            properties.MaximumPacketSize = _PACKET_MAX
            properties.SessionExpiryInterval = _SESSION_EXPIRY_S
        client.connect_async(self.address.host, self.address.port, keepalive=_KEEPALIVE_S, **options)

    def start(self):
        self._running = True
        self._thread.start()

    def stop(self):
        """Leaves the broker, which keeps the session; blocks for about two seconds at most."""
        self._running = False
        self._wake.set()
        self._thread.join()

    def restart(self):
        """Connects anew, so that the broker sends again whatever was not acknowledged. Any thread."""
        self._anew = True

    def ack(self, receipts):
        """Acknowledges messages by their receipts; those of an earlier connection are ignored. Any thread."""
        with self._lock:
            for connection, mid, qos in receipts:
                if connection == self._connection and qos:
                    self._client.ack(mid, qos)

    # The connection, in a thread of its own.

    def _run(self):
        while self._running:
            next_s = self._attempt()
            if self._running:
                self._wake.wait(max(0, next_s - time.monotonic()))
        if self._opened_s is not None:
            self._leave()

    def _attempt(self):
        """One connection from its begin to its end -> monotonic time from which the next may begin."""
        with self._lock:
            self._connection += 1
        self._opened_s = self._probed_s = self._why = None
        self._anew = self._refused = False
        began_s = time.monotonic()
        try:
            self._client.reconnect()
        except OSError as error:
            self._say_trouble("broker_unreachable", str(error) or type(error).__name__)
            return began_s + self._pause.network_failed()
        while self._running and self._why is None and not (self._anew and not self._client.want_write()):
            self._step()
        now_s = time.monotonic()
        if not self._running or self._why is None:
            return now_s
        if self._opened_s is not None:
            if self._trouble is None:
                self._say("broker_lost", broker=str(self.address), reason=self._why)
            return now_s + self._pause.broker_failed(now_s - self._opened_s)
        if self._refused:
            return now_s + self._pause.broker_failed(0)
        self._say_trouble("broker_unreachable", self._why)
        return began_s + self._pause.network_failed()

    def _step(self):
        try:
            ended, turns = self._client.loop(0.1 if self._opened_s else 0.02), _BURST
            while self._taken and turns and not ended:  # more is likely there: without select() in between
                self._taken, turns = False, turns - 1
                ended = self._client.loop_read()
        except Exception as error:  # paho raises anything at a packet that is none
            ended, self._why = True, "%s: %s" % (type(error).__name__, error)
        if ended:
            self._why = self._why or "connection closed"
        now_s = time.monotonic()
        self._kept.turn(now_s)
        self._watch(now_s)

    def _make_socket(self):
        sock = dial(self.address.host, self.address.port, _DIAL_S, lambda: self._running)
        self._dialled_s = self._heard_s = time.monotonic()
        return sock, self._pause.patience_s()

    def _watch(self, now_s):
        """TCP alone would take minutes to find that nothing comes any more."""
        if self._opened_s is None:
            if now_s - self._dialled_s > self._pause.patience_s():
                self._why = self._why or "no answer to CONNECT"
        elif self._probed_s is not None:
            if now_s - self._probed_s > max(_THERE_S, self._pause.patience_s()):
                self._why = self._why or "silent for %.1f s" % (now_s - self._heard_s)
        elif now_s - self._heard_s > _SILENT_S:
            self._probed_s = now_s
            self._client.unsubscribe(_PROBE)

    def _heard(self, *_):
        self._heard_s = time.monotonic()
        self._probed_s = None

    def _leave(self):
        end_s = time.monotonic() + 1
        while self._client.want_write() and time.monotonic() < end_s and not self._client.loop(0.01):
            pass  # acknowledgements on their way
        self._client.disconnect()
        while time.monotonic() < end_s and not self._client.loop(0.05):
            pass

    # paho's callbacks, in the same thread.

    def _connected(self, client, _userdata, flags, reason, _properties):
        if reason.is_failure:
            self._refused = True
            self._say_trouble("broker_refuses", str(reason))
            return
        self._trouble = None
        self._opened_s = time.monotonic()
        self._pause.connected(self._opened_s - self._dialled_s)
        self._heard()
        self._session_present = flags.session_present
        self._kept.begin(self._opened_s, self._session_present)
        # With a session too: subscribing again makes the broker send the retained configurations.
        client.subscribe([(topic_filter, 1) for topic_filter in self._filters])

    def _subscribed(self, _client, _userdata, _mid, reasons, _properties):
        self._heard()
        self._say("broker_found", broker=str(self.address), session_present=self._session_present)
        for topic_filter, reason in zip(self._filters, reasons, strict=False):
            if reason.is_failure:
                self._say("broker_refuses", reason="subscription to %s: %s" % (topic_filter, reason))

    def _disconnected(self, _client, _userdata, _flags, reason, _properties):
        if reason == "Session taken over":
            self._running = False
            self._say("session_taken", broker=str(self.address), client_id=self._client_id)
        # paho calls a connection that simply ended an unspecified error.
        self._why = "connection closed" if str(reason) == "Unspecified error" else str(reason)

    def _say_trouble(self, event, reason):
        """Once, not at every attempt."""
        if self._trouble != (event, reason):
            self._trouble = (event, reason)
            self._say(event, broker=str(self.address), reason=reason)

    def _say(self, event, **fields):
        self._call_in_loop(lambda: self._report(event, **fields))

    def _message(self, client, _userdata, message):
        self._taken = True
        self._kept.message(message.topic, message.retain and not message.dup)
        # A persistent session also brings what an earlier run subscribed to.
        if not any(mqtt.topic_matches_sub(topic_filter, message.topic) for topic_filter in self._filters):
            client.ack(message.mid, message.qos)
            return
        while len(self._inbox) >= _INBOX_MAX and self._running:
            time.sleep(0.002)  # the loop is behind: let TCP hold the broker back
        self._heard()
        receipt = (self._connection, message.mid, message.qos)
        self._inbox.append(Message(
            message.topic, message.payload, time.time_ns() // 1000, receipt, message.retain, self._kept.late))
        if not self._woken:
            self._woken = True
            self._call_in_loop(self._empty_inbox)

    def _call_in_loop(self, callback):
        with contextlib.suppress(RuntimeError):  # the loop has ended: so has whoever wanted to know
            self._loop.call_soon_threadsafe(callback)

    def _empty_inbox(self):
        self._woken = False  # before looking: a message that comes from now on wakes again
        inbox = self._inbox
        self._on_messages([inbox.popleft() for _ in range(min(len(inbox), _TURN))])
        if inbox and not self._woken:
            self._woken = True
            self._loop.call_soon(self._empty_inbox)
