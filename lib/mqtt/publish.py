"""PUBLISH packets for one topic, written whole into one buffer, so that each is one write and one TCP segment."""

try:
    import micropython
except ImportError:  # CPython: the same source as plain Python
    from plainviper import micropython, ptr8

_HEAD = 5  # first byte and up to four of remaining length


@micropython.viper
def _copy(dst: ptr8, at: int, src: ptr8, span: int):
    """Copy span >> 20 bytes from src[span & 0xFFFFF] to dst[at]."""
    off = span & 0xFFFFF
    for i in range(span >> 20):
        dst[at + i] = src[off + i]


class Publish:
    """Encodes QoS 1 PUBLISH packets (clause 3.3) of at most `max_payload` (1023) bytes to `topic` (bytes).

    After `encode` the packet is buf[start:end].
    """

    def __init__(self, topic, max_payload):
        if not 0 < len(topic) < 65536 or b"+" in topic or b"#" in topic:
            raise ValueError("topic %r: 1 to 65535 bytes without + and #" % topic)
        self.topic = topic
        self._body = _HEAD + 4 + len(topic)
        self.buf = bytearray(self._body + max_payload)
        self.buf[_HEAD] = len(topic) >> 8
        self.buf[_HEAD + 1] = len(topic) & 0xFF
        self.buf[_HEAD + 2 : _HEAD + 2 + len(topic)] = topic
        self.start = self.end = 0

    def encode(self, payload, off, size, pid, dup=False, retain=False):
        """Write the packet that carries payload[off:off + size]. Allocates nothing."""
        buf = self.buf
        body = self._body
        if body + size > len(buf):
            raise ValueError("payload of %d bytes: at most %d" % (size, len(buf) - body))
        buf[body - 2] = pid >> 8
        buf[body - 1] = pid & 0xFF
        _copy(buf, body, payload, size << 20 | off)
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
