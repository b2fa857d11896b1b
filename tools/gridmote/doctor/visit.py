"""One MQTT connection of the doctor's: every step waits for its answer, and for a bounded time only."""

import contextlib
import socket
import threading
import time
from collections import namedtuple

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

V5, V311 = mqtt.MQTTv5, mqtt.MQTTv311
WAIT_S = 3.0  # for an answer
_DIAL_S = 5.0

Heard = namedtuple("Heard", "topic payload retained at_s receipt")


class Silent(Exception):
    """The connection came about, but not what was waited for."""


class Refused(Exception):
    """CONNACK said no; `code` is its number in MQTT 5, into which paho translates those of 3.1.1."""

    def __init__(self, reason):
        super().__init__(str(reason))
        self.code = reason.value


class Visit:
    """A connection for the length of a `with` block.

    version: V5 or V311. keep: a persistent session, else a clean one, so that a visit with the same client id
    removes what is left of it. hold: received messages are acknowledged by acknowledge() only.
    Entering raises OSError (ssl.SSLError included), Refused or Silent. Then `session_present`; `granted`: the
    properties of CONNACK by their names in paho, {} before MQTT 5; `heard`: [Heard], growing; `closed`: None,
    or why the connection ended.
    """

    def __init__(self, login, client_id, version=V5, keep=False, keepalive_s=10, expiry_s=0, hold=False):
        self._address = login.address
        self._keepalive_s = keepalive_s
        self._options = {}
        if version == V5:
            self._options = {"clean_start": not keep, "properties": Properties(PacketTypes.CONNECT)}
            self._options["properties"].SessionExpiryInterval = expiry_s
        self._client = login.client(client_id, version, manual_ack=hold, reconnect_on_failure=False,
                                    clean_session=None if version == V5 else not keep)
        self._client.connect_timeout = _DIAL_S
        self._client.max_inflight_messages_set(1000)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._message
        self._client.on_subscribe = self._subscribed
        self._client.on_publish = self._published
        self._changed = threading.Condition()
        self._answer = None
        self._answers = {}  # packet id -> reason codes of SUBACK or PUBACK
        self.session_present, self.granted, self.heard, self.closed = False, {}, [], None

    def __enter__(self):
        self._client.connect(self._address.host, self._address.port, self._keepalive_s, **self._options)
        self._client.loop_start()
        try:
            if not self.wait(lambda: self._answer or self.closed, _DIAL_S) or not self._answer:
                raise Silent(self.closed or "no CONNACK within %d s" % _DIAL_S)
            if self._answer.is_failure:
                raise Refused(self._answer)
            with contextlib.suppress(OSError):
                self._client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def wait(self, condition, most_s=WAIT_S):
        """-> the value of `condition()` as soon as it is true, at the latest after most_s."""
        with self._changed:
            self._changed.wait_for(condition, most_s)
            return condition()

    def wait_quiet(self, quiet_s, most_s, enough=float("inf")):
        """Until nothing more is heard for quiet_s, `enough` messages are there, or most_s have passed."""
        end_s = time.monotonic() + most_s
        while len(self.heard) < enough and time.monotonic() < end_s:
            before = len(self.heard)
            if not self.wait(lambda n=before: len(self.heard) > n, quiet_s):
                return

    def subscribe(self, *filters):
        """-> [granted QoS, or the reason of the refusal as text], one for each filter. Silent."""
        mid = self._client.subscribe([(one, 1) for one in filters])[1]
        if not self.wait(lambda: mid in self._answers or self.closed) or mid not in self._answers:
            raise Silent(self.closed or "no SUBACK within %d s" % WAIT_S)
        return [str(code) if code.is_failure else code.value for code in self._answers[mid]]

    def send(self, topic, payload, qos, retain=False):
        """Hand over for sending, -> what `acknowledged` takes."""
        return self._client.publish(topic, payload, qos, retain).mid

    def acknowledged(self, mid):
        """-> None: not yet; "": yes; else the reason of the refusal."""
        codes = self._answers.get(mid)
        return None if codes is None else str(codes[0]) if codes[0].is_failure else ""

    def publish(self, topic, payload, qos, retain=False):
        """-> "" when it was acknowledged (with QoS 0: sent), else what happened instead."""
        mid = self.send(topic, payload, qos, retain)
        self.wait(lambda: mid in self._answers or self.closed)
        refusal = self.acknowledged(mid)
        if refusal is None:
            return f"the broker closes the connection: {self.closed}" if self.closed else "no PUBACK"
        return refusal

    def acknowledge(self, heard):
        """PUBACKs for messages held back."""
        for message in heard:
            if message.receipt:
                self._client.ack(message.receipt, 1)

    def delay_acks(self):
        """Lets TCP put off its next acknowledgement, as it may anyway; False where there is no such switch."""
        if not hasattr(socket, "TCP_QUICKACK"):
            return False
        with contextlib.suppress(OSError):
            self._client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            return True
        return False

    # paho's callbacks, in paho's thread.

    def _tell(self):
        with self._changed:
            self._changed.notify_all()

    def _connected(self, _client, _userdata, flags, reason, properties):
        self.session_present = flags.session_present
        self.granted = properties.json() if properties else {}
        self._answer = reason
        self._tell()

    def _disconnected(self, _client, _userdata, _flags, reason, _properties):
        # paho calls a connection that simply ended an unspecified error.
        self.closed = "it just ends" if str(reason) == "Unspecified error" else str(reason)
        self._tell()

    def _subscribed(self, _client, _userdata, mid, reasons, _properties):
        self._answers[mid] = reasons
        self._tell()

    def _published(self, _client, _userdata, mid, reason, _properties):
        self._answers[mid] = [reason]
        self._tell()

    def _message(self, _client, _userdata, message):
        receipt = message.mid if message.qos else 0
        self.heard.append(Heard(message.topic, message.payload, message.retain, time.monotonic(), receipt))
        self._tell()
