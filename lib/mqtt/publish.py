"""PUBLISH packets for one topic, written whole into one buffer, so that each is one write and one TCP segment."""

try:
    import micropython
    from micropython import const
except ImportError:  # CPython: the same source as plain Python
    from plainviper import const, micropython, ptr8

_HEAD = const(4)  # first byte and up to three of remaining length
_MOST = const(0xFFFF)  # bytes of payload
_TOPIC_MOST = const(1024)


@micropython.viper
def _copy(dst: ptr8, src: ptr8, off: int, span: int):
    """Copy span & 0xFFFF bytes from src[off] to dst[span >> 16]."""
    at = span >> 16
    for i in range(span & 0xFFFF):
        dst[at + i] = src[off + i]


class Publish:
    """Encodes QoS 1 PUBLISH packets (clause 3.3) of at most `max_payload` bytes (65535) to `topic` (bytes, 1024).

    After `encode` the packet is buf[start:end]. `address(topic)`: from now on to another, no longer than the first.
    """

    def __init__(self, topic, max_payload):
        if not 0 <= max_payload <= _MOST:
            raise ValueError("payload of up to %d bytes: at most %d" % (max_payload, _MOST))
        self.buf = bytearray(_HEAD + 4 + len(topic) + max_payload)
        self.start = self.end = 0
        self.address(topic)

    def address(self, topic):
        n = len(topic)
        if not 0 < n <= _TOPIC_MOST or b"+" in topic or b"#" in topic:
            raise ValueError("topic %r: 1 to %d bytes without + and #" % (topic, _TOPIC_MOST))
        self.topic = topic
        self._body = _HEAD + 4 + n
        self.buf[_HEAD] = n >> 8
        self.buf[_HEAD + 1] = n & 0xFF
        self.buf[_HEAD + 2 : _HEAD + 2 + n] = topic

    def room(self):
        """Where payloads are put as long as the topic is this one: what is there already is encoded as it is."""
        return memoryview(self.buf)[self._body :]

    def encode(self, payload, off, size, pid, dup=False, retain=False):
        """Write the packet that carries payload[off:off + size]. Allocates nothing."""
        buf = self.buf
        body = self._body
        if size < 0 or body + size > len(buf) or off + size > len(payload):
            raise ValueError("payload of %d bytes: at most %d" % (size, len(buf) - body))
        buf[body - 2] = pid >> 8
        buf[body - 1] = pid & 0xFF
        _copy(buf, payload, off, body << 16 | size)
        self.end = body + size
        remaining = self.end - _HEAD
        at = _HEAD - 1
        if remaining < 128:
            buf[at] = remaining
        elif remaining < 16384:
            at -= 1
            buf[at] = remaining & 127 | 128
            buf[at + 1] = remaining >> 7
        else:
            at -= 2
            buf[at] = remaining & 127 | 128
            buf[at + 1] = remaining >> 7 & 127 | 128
            buf[at + 2] = remaining >> 14
        at -= 1
        buf[at] = 0x32 | (8 if dup else 0) | (1 if retain else 0)
        self.start = at
