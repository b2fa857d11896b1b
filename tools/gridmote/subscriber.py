"""The MQTT side of the PDC adapter: a persistent QoS 1 session whose messages are acknowledged by hand."""

import collections
import contextlib
import ssl
import sys
import threading
import time
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_RECEIVE_MAXIMUM = 32768  # unacknowledged messages that the broker may send while the archive cannot store
_PACKET_MAX = 256 * 1024  # bytes; a larger message is no PMU's
_INBOX_MAX = 4096
_TURN = 256  # messages handled before the loop turns to its clients again
_SESSION_EXPIRY_S = 7 * 24 * 3600

Message = collections.namedtuple("Message", "topic payload received_us receipt")


class BrokerAddress:
    """`mqtt://user@host:port`, `mqtts://...` or `host:port`; ValueError names what is wrong with it."""

    def __init__(self, text):
        url = urlsplit(text if "://" in text else "mqtt://" + text)
        if url.scheme not in ("mqtt", "mqtts"):
            raise ValueError("broker %s://: the scheme is mqtt or mqtts" % url.scheme)
        if url.password is not None:
            raise ValueError("broker: no password in the address, where everyone on the machine can read it")
        if not url.hostname or url.path.strip("/") or url.query or url.fragment:
            raise ValueError("broker %r: expected host:port" % text)
        self.tls = url.scheme == "mqtts"
        self.host = url.hostname
        self.port = url.port or (8883 if self.tls else 1883)
        self.user = unquote(url.username) if url.username else None

    def __str__(self):
        return "%s://%s:%d" % ("mqtts" if self.tls else "mqtt", self.host, self.port)


class Subscriber:
    """Subscribes to `filters` (MQTT topic filters) and reconnects by itself for as long as it runs.

    on_messages([Message]) and report(event, **fields), of "broker_found", "broker_lost", "broker_refuses" and
    "broker_unreachable", run in the thread of `loop` (asyncio). A Message's receipt goes back through `ack()`
    when the message is safe; what is not acknowledged the broker sends again at the next connection.
    MQTT 5, because its receive maximum lets a broker send on while messages wait for their
    acknowledgement; version 3 (3.1.1) is for brokers without it and leaves that to them (mosquitto: 20).
    """

    def __init__(self, address, filters, client_id, loop, on_messages, report,
                 user=None, password=None, ca=None, version=5):
        self.address = address
        self._filters = filters
        self._loop, self._on_messages, self._report = loop, on_messages, report
        self._inbox = collections.deque()
        self._woken = False
        self._running = False
        self._lock = threading.Lock()  # guards _connection: no receipt of an old one is ever sent on a new
        self._connection = 0
        self._trouble = None
        self._session_present = False
        v5 = version == 5
        self._client = client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, manual_ack=True,
            protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311, clean_session=None if v5 else False)
        if user or address.user:
            client.username_pw_set(user or address.user, password)
        if address.tls:
            client.tls_set_context(ssl.create_default_context(cafile=ca))
        client.reconnect_delay_set(0.5, 5)
        client.connect_timeout = 5.0
        client.on_connect, client.on_disconnect = self._connected, self._disconnected
        client.on_connect_fail = self._failed
        client.on_message, client.on_subscribe = self._message, self._subscribed
        options = {}
        if v5:
            options["clean_start"] = False
            options["properties"] = properties = Properties(PacketTypes.CONNECT)
            properties.ReceiveMaximum = _RECEIVE_MAXIMUM
            properties.MaximumPacketSize = _PACKET_MAX
            properties.SessionExpiryInterval = _SESSION_EXPIRY_S
        client.connect_async(address.host, address.port, keepalive=10, **options)

    def start(self):
        self._running = True
        self._client.loop_start()

    def stop(self):
        """Leaves the broker, which keeps the session; blocks for about two seconds at most."""
        self._running = False
        end = time.monotonic() + 1
        while self._client.want_write() and time.monotonic() < end:
            time.sleep(0.005)  # acknowledgements on their way: paho would drop them
        self._client.disconnect()
        self._client.loop_stop()

    def restart(self):
        """Connects anew, so that the broker sends again whatever was not acknowledged; blocks like stop()."""
        self.stop()
        self._running = True
        with contextlib.suppress(OSError):  # the client's own loop tries on
            self._client.reconnect()
        self._client.loop_start()

    def ack(self, receipts):
        """Acknowledges messages by their receipts; those of an earlier connection are ignored. Any thread."""
        with self._lock:
            for connection, mid, qos in receipts:
                if connection == self._connection and qos:
                    self._client.ack(mid, qos)

    # paho's callbacks, in paho's thread.

    def _connected(self, client, _userdata, flags, reason, _properties):
        if reason.is_failure:
            self._say_trouble("broker_refuses", str(reason))
            return
        self._trouble = None
        self._session_present = flags.session_present
        # With a session too: subscribing again makes the broker send the retained configurations.
        client.subscribe([(topic_filter, 1) for topic_filter in self._filters])

    def _subscribed(self, _client, _userdata, _mid, reasons, _properties):
        self._say("broker_found", broker=str(self.address), session_present=self._session_present)
        for topic_filter, reason in zip(self._filters, reasons, strict=False):
            if reason.is_failure:
                self._say("broker_refuses", reason="subscription to %s: %s" % (topic_filter, reason))

    def _disconnected(self, _client, _userdata, _flags, reason, _properties):
        with self._lock:
            self._connection += 1
        if self._running and self._trouble is None:
            # paho calls a connection that simply ended an unspecified error.
            why = "connection closed" if str(reason) == "Unspecified error" else str(reason)
            self._say("broker_lost", broker=str(self.address), reason=why)

    def _failed(self, _client, _userdata):
        with self._lock:
            self._connection += 1
        error = sys.exc_info()[1]  # paho calls this while it handles the exception, and does not pass it on
        self._say_trouble("broker_unreachable", str(error) or type(error).__name__)

    def _say_trouble(self, event, reason):
        """Once, not at every attempt."""
        if self._trouble != (event, reason):
            self._trouble = (event, reason)
            self._say(event, broker=str(self.address), reason=reason)

    def _say(self, event, **fields):
        self._call_in_loop(lambda: self._report(event, **fields))

    def _message(self, client, _userdata, message):
        # A persistent session also brings what an earlier run subscribed to.
        if not any(mqtt.topic_matches_sub(topic_filter, message.topic) for topic_filter in self._filters):
            client.ack(message.mid, message.qos)
            return
        while len(self._inbox) >= _INBOX_MAX and self._running:
            time.sleep(0.002)  # the loop is behind: let TCP hold the broker back
        receipt = (self._connection, message.mid, message.qos)
        self._inbox.append(Message(message.topic, message.payload, time.time_ns() // 1000, receipt))
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
