"""What a broker sends, taken apart byte by byte, with every length checked before it is believed."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xD0

_KINDS = (CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP)  # a tuple of names in the code would be made anew each time
_SMALL = const(64)
_SIZES = {CONNACK: 2, PUBACK: 2, PINGRESP: 0}  # remaining length where it is fixed


class ProtocolError(Exception):
    """The broker sent what MQTT 3.1.1 does not allow, or more than this node takes: end the connection."""


class Inbound:
    """A parser of at most `max_packet` bytes of remaining length; whatever is wrong raises ProtocolError.

    `feed(chunk, n)` takes n bytes of a chunk and calls `on_packet(kind, packet, size)` for each whole packet:
    kind is its type with the flags cleared, `packet` a bytearray that may be reused, valid during the call.
    A PUBLISH is handed over with `flags`, and has been checked: `publish_parts` takes it apart.
    """

    def __init__(self, max_packet, on_packet):
        self._small = self._packet = bytearray(_SMALL)  # a larger one is made for the packet that needs it
        self._max = max_packet
        self._on_packet = on_packet
        self.reset()

    def reset(self):
        """Begin with a new connection."""
        self.flags = 0
        self._kind = 0  # 0: the next byte begins a packet
        self._shift = 0  # bits of remaining length read so far; -1: all of it
        self._need = 0
        self._have = 0

    def feed(self, chunk, n):
        i = 0
        while i < n:
            b = chunk[i]
            i += 1
            if not self._kind:
                self._begin(b)
            elif self._shift >= 0:
                self._length(b)
            else:
                self._packet[self._have] = b
                self._have += 1
            if self._kind and self._shift < 0 and self._have == self._need:
                kind = self._kind
                self._kind = 0
                if kind == PUBLISH:
                    self._check_publish()
                self._on_packet(kind, self._packet, self._need)

    def _begin(self, b):
        kind = b & 0xF0
        if kind not in _KINDS or (b & 0x0F and kind != PUBLISH):
            raise ProtocolError("unexpected packet type %02x" % b)
        if kind == PUBLISH and b & 6 > 2:
            raise ProtocolError("PUBLISH with QoS %d, which was not subscribed" % (b >> 1 & 3))
        self._kind = kind
        self.flags = b & 0x0F
        self._shift = self._need = self._have = 0

    def _length(self, b):
        self._need |= (b & 127) << self._shift
        if b & 128:
            self._shift += 7
            if self._shift > 21:
                raise ProtocolError("remaining length of more than four bytes")
            return
        self._shift = -1
        if _SIZES.get(self._kind, self._need) != self._need or (self._kind == SUBACK and self._need != 3):
            raise ProtocolError("packet type %02x with a remaining length of %d" % (self._kind, self._need))
        if self._need > self._max:
            raise ProtocolError("a packet of %d bytes: this node takes at most %d" % (self._need, self._max))
        self._packet = self._small if self._need <= _SMALL else bytearray(self._need)

    def _check_publish(self):
        packet = self._packet
        end = 4 if self.flags & 6 else 2
        if self._need >= end:
            end += packet[0] << 8 | packet[1]
        if self._need < end:
            raise ProtocolError("PUBLISH whose topic is longer than its %d bytes" % self._need)
        if self.flags & 6 and not packet[end - 2] and not packet[end - 1]:
            raise ProtocolError("PUBLISH with packet id 0")


def publish_parts(packet, size, flags):
    """(topic bytes, payload bytes, packet id or 0) of a checked PUBLISH."""
    end = 2 + (packet[0] << 8 | packet[1])
    topic = bytes(packet[2:end])
    pid = 0
    if flags & 6:
        pid = packet[end] << 8 | packet[end + 1]
        end += 2
    return topic, bytes(packet[end:size]), pid
