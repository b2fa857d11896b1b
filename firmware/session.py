"""One MQTT connection at QoS 1 that never waits: `step` does what can be done now."""

import errno
import select
from time import ticks_diff

from micropython import const
from umqtt.simple import MQTTClient

from firmware.dial import Dial, Unreachable
from firmware.modules import forget
from mqtt.inbound import CONNACK, PINGRESP, PUBACK, PUBLISH, SUBACK, Inbound, ProtocolError, publish_parts
from mqtt.window import Window

CLOSED, CONNECTING, GREETING, OPEN = range(4)  # legal values of Session.state

_NO_PATH = (errno.ETIMEDOUT, errno.EHOSTUNREACH, 100, 101)  # ENETDOWN, ENETUNREACH
_CONTROL_MOST = const(512)  # bytes of PUBACKs that wait to be written
_GREETING_TIMEOUT_MS = const(10000)  # the TLS handshake and CONNACK
_PUBACK_TIMEOUT_MS = const(60000)  # for the oldest message in flight, while others are answered


class Refused(Exception):
    """CONNACK or SUBACK with a failure (clauses 3.2.2.3, 3.9.3), or a certificate that is not trusted."""


class Session(MQTTClient):
    """MQTTClient's state, last will, callback, CONNECT and SUBSCRIBE, over a socket that never blocks.

    client_id, user, password: bytes. net: `connect(host, port)` gives a non-blocking socket that is on its way,
    `secure(sock, host)` wraps it in TLS. window: most messages in flight. keepalive_s: half of it without a
    sign of the broker makes it ping, one and a half ends the connection. max_packet: largest packet taken.

    `open` begins; `step(now_ms)` goes on and returns True if it read or wrote. `state` is one of the four
    above; back at CLOSED, `error` is why and `lived_ms` how long it was OPEN; `on_acked(seq)` is called
    for each PUBACK, the callback of `set_callback` as cb(topic, payload) for each message.
    `heard_ms`: when the broker last sent anything.
    Counters: acknowledged, again (sent with DUP), late (PUBACKs that came twice), faults (protocol errors).
    """

    def __init__(
        self, client_id, net, user=None, password=None, keepalive_s=10, window=32, max_packet=1024
    ):
        super().__init__(client_id, None, 1, user, password, keepalive_s)
        self.window = Window(window)
        self._net = net
        self._tls = False
        self._dial = Dial(net)
        self._tcp = None  # the socket beneath TLS
        self.on_acked = None
        self._inbound = Inbound(max_packet, self._packet)
        self._chunk = bytearray(128)
        self._hello = b""  # the CONNECT packet, made once
        self._poller = None
        self._control = b""  # packets other than PUBLISH, waiting for their turn
        self._tx = self._control  # what is being written: _tx[_at:_end]
        self._at = self._end = 0
        self._greeted_ms = self._opened_ms = self.heard_ms = self._spoke_ms = self._progress_ms = 0
        self._pinged = False
        self.state = CLOSED
        self.error = None
        self.present = False  # the broker still had the session
        self.lived_ms = 0
        self.acknowledged = self.again = self.late = self.faults = 0

    @property
    def tried_ms(self):
        """When the latest try to connect began."""
        return self._dial.tried_ms

    def set_last_will(self, *will):
        """As MQTTClient's; to be called before the first `open`, if at all."""
        super().set_last_will(*will)
        self._write_hello()

    def _write_hello(self):
        from firmware.pen import connect_packet

        self._hello = connect_packet(self)
        forget("firmware.pen")

    # -- the connection ------------------------------------------------------------------------------

    def open(self, host, port, tls, now):
        """Begin to connect. What fails is told by `state` and `error`, as later."""
        self.server = host
        self.port = port
        if not self._hello:
            self._write_hello()
        self._tls = tls  # MQTTClient's own `ssl` stays False: it would import ussl, which is gone
        self.error = None
        self._control = b""
        self._at = self._end = 0
        self._inbound.reset()
        try:
            self._dial.open(host, port, now)
            self.state = CONNECTING
        except Unreachable as e:
            self._close(e, now)

    def _close(self, error, now):
        self._dial.close()
        if self.sock:
            self.sock.close()
        if self._tcp:
            self._tcp.close()
        self.sock = self._tcp = self._poller = None
        self.error = error
        # Beyond half the period of ticks_ms, some days, the difference is negative.
        self.lived_ms = abs(ticks_diff(now, self._opened_ms)) if self.state == OPEN else 0
        self.state = CLOSED

    def leave(self, now):
        """DISCONNECT, so that the broker discards the will, and close."""
        try:
            if self.state == OPEN and self._at == self._end:
                self.disconnect()
            self._close(None, now)
        except OSError as e:
            self._close(e, now)

    def step(self, now):
        if self.state == CLOSED:
            return False
        try:
            if self.state == CONNECTING:
                return self._connecting(now)
            heard = self._read(now)
            wrote = self._write(now)
            self._watch(now)
            return heard or wrote
        except (OSError, ProtocolError, Refused) as e:
            if isinstance(e, ProtocolError):
                self.faults += 1
            elif isinstance(e, OSError) and e.errno in _NO_PATH:
                e = Unreachable(e)
            elif self._tls and self.state == GREETING and not isinstance(e, Refused):
                e = Refused("no greeting over TLS (%s): is our certificate missing, or not trusted?" % e)
            self._close(e, now)
            return True
        except ValueError as e:  # how `tls` tells of a certificate that it refuses
            if not self._tls:
                raise
            self._close(Refused("TLS: " + " ".join(str(e).split())), now)
            return True

    def _connecting(self, now):
        sock = self._dial.step(now)
        if not sock:
            return False
        if self._tls:
            self._tcp = sock  # `tls` forgets to close it when the handshake fails
            sock = self._net.secure(sock, self.server)
        self.sock = sock
        self._poller = select.poll()
        self._poller.register(sock, select.POLLIN)
        self._control = self._control + self._hello
        self.heard_ms = self._spoke_ms = self._greeted_ms = now
        self.state = GREETING
        return True

    def _watch(self, now):
        """Timers of our own: a socket would wait for minutes."""
        if self.state == GREETING:
            if ticks_diff(now, self._greeted_ms) > _GREETING_TIMEOUT_MS:
                raise OSError("no CONNACK within %d ms" % _GREETING_TIMEOUT_MS)
            return
        silent = ticks_diff(now, self.heard_ms)
        half = self.keepalive * 500
        if silent > 3 * half:
            raise Unreachable("the broker was silent for %d ms" % silent)
        if not self._pinged and (silent > half or ticks_diff(now, self._spoke_ms) > half):
            self._pinged = True
            self._control = self._control + b"\xc0\x00"  # PINGREQ
        if self.window.open_count and ticks_diff(now, self._progress_ms) > _PUBACK_TIMEOUT_MS:
            raise OSError("no PUBACK for the oldest message within %d ms" % _PUBACK_TIMEOUT_MS)

    # -- out -----------------------------------------------------------------------------------------

    def subscribe(self, topic, qos=1):
        """Send SUBSCRIBE; a refusal ends the connection."""
        # Not MQTTClient's: that packet goes wrong with a topic of more than 122 bytes.
        pid, n = self.window.next_id(), len(topic)
        size = n + 5
        head = (0x82, size) if size < 128 else (0x82, size & 127 | 128, size >> 7)
        self._control = (
            self._control + bytes(head + (pid >> 8, pid & 0xFF, n >> 8, n & 0xFF)) + topic + bytes((qos,))
        )

    def ready(self):
        """Whether a PUBLISH may be written: connected, and nothing half written."""
        return self.state == OPEN and self._at == self._end and not self._control

    def send(self, packet, payload, off, size, seq, now, retain=False):
        """Write one PUBLISH with payload[off:off + size]; its PUBACK gives `seq` back. Only when `ready()`."""
        window = self.window
        if not window.open_count:
            self._progress_ms = now
        pid = window.open(seq)
        packet.encode(payload, off, size, pid, False, retain)
        self._start(packet, now)

    def resend(self, packet, payload, off, size, pid, now):
        """Write one PUBLISH again, DUP set, under the packet id that it had."""
        self.again += 1
        packet.encode(payload, off, size, pid, True)
        self._start(packet, now)

    def _start(self, packet, now):
        self._tx = packet.buf
        self._at = packet.start
        self._end = packet.end
        try:
            self._write(now)
        except OSError as e:
            self._close(e, now)

    def _write(self, now):
        if self._at == self._end:
            if not self._control:
                return False
            self._tx = self._control
            self._control = b""
            self._at = 0
            self._end = len(self._tx)
        done = self.sock.write(self._tx, self._at, self._end - self._at)
        if not done:
            return False
        self._at += done
        self._spoke_ms = now
        return True

    # -- in ------------------------------------------------------------------------------------------

    def _read(self, now):
        for _, _event in self._poller.ipoll(0):
            n = self.sock.readinto(self._chunk)
            if n is None:
                return False
            if n == 0:
                raise OSError("closed by the broker")
            self.heard_ms = now
            self._inbound.feed(self._chunk, n)
            return True
        return False

    def _packet(self, kind, packet, size):
        if kind == CONNACK:
            self._connack(packet)
        elif self.state != OPEN:
            raise ProtocolError("packet type %02x before CONNACK" % kind)
        elif kind == PUBACK:
            self._puback(packet[0] << 8 | packet[1])
        elif kind == PINGRESP:
            self._pinged = False
        elif kind == PUBLISH:
            topic, payload, pid = publish_parts(packet, size, self._inbound.flags)
            if pid:
                if len(self._control) > _CONTROL_MOST:
                    raise ProtocolError("the broker sends and sends, but reads no PUBACK")
                self._control = self._control + bytes((PUBACK, 2, pid >> 8, pid & 0xFF))
            if self.cb:
                self.cb(topic, payload)
        elif kind == SUBACK and packet[2] == 0x80:
            raise Refused("the broker refused the subscription")

    def _connack(self, packet):
        if self.state != GREETING:
            raise ProtocolError("a second CONNACK")
        if packet[1]:
            raise Refused("the broker refused the connection: return code %d" % packet[1])
        self.state = OPEN
        self.present = bool(packet[0] & 1)
        self._pinged = False
        self._opened_ms = self._progress_ms = self.heard_ms
        self.window.rewind()

    def _puback(self, pid):
        seq = self.window.close(pid)
        if seq is None:
            # One that was here before came twice; one that this connection never carried is a broken broker.
            if not self.window.carried(pid):
                raise ProtocolError("PUBACK for packet id %d, which was not sent" % pid)
            self.late += 1
            return
        self._progress_ms = self.heard_ms
        self.acknowledged += 1
        self.on_acked(seq)
