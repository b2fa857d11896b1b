"""Brokers of the field, which keep what they acknowledged or do not."""

from field_time import world

_SAVED_MS = 1000  # after so long a broker that dies has what it acknowledged


class Conn:
    """A connection at a broker."""

    def __init__(self, broker, sock):
        self.broker, self.sock = broker, sock
        self._rest = b""
        self.greeted = False

    def feed(self, data):
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, n = 0, len(data)
        while at < n:
            i, size, shift = at + 1, 0, 0
            while i < n:
                size |= (data[i] & 127) << shift
                shift += 7
                i += 1
                if not data[i - 1] & 128:
                    break
            else:
                break
            if i + size > n:
                break
            self._packet(data[at], data[i : i + size])
            at = i + size
        self._rest = data[at:]

    def _answer(self, data):
        if self.sock:
            self.sock.arrived(data)

    def _packet(self, first, body):
        kind = first & 0xF0
        if kind == 0x30:
            self._publish(first, body)
        elif kind == 0x10:
            self.greeted = True
            self._answer(b"\x20\x02%c\x00" % (1 if self.broker.known else 0))
            self.broker.known = True
        elif kind == 0x80:
            self._answer(b"\x90\x03" + body[:2] + b"\x01")
        elif kind == 0xC0 and not self.broker.mute:
            self._answer(b"\xd0\x00")

    def _publish(self, first, body):
        assert self.greeted, "PUBLISH before CONNECT"
        broker = self.broker
        if broker.mute:
            return
        n = body[0] << 8 | body[1]
        topic = body[2 : 2 + n]
        broker.take(topic, body[n + 4 :], first & 1)
        if first & 6:
            self._answer(b"\x40\x02" + body[n + 2 : n + 4])

    def send(self, topic, payload):
        """A message for the node, QoS 1."""
        body = bytes((len(topic) >> 8, len(topic) & 255)) + topic + b"\x00\x01" + payload
        assert len(body) < 128
        self._answer(b"\x32" + bytes((len(body),)) + body)


class Broker:
    """up: it runs. deaf: nothing comes through to it (a dead firewall). mute: it reads, but says and keeps
    nothing. archive(topic, payload): called with what it had acknowledged, once that is safe."""

    def __init__(self, archive):
        self.archive = archive
        self.up = True
        self.deaf = self.mute = False
        self.known = False
        self.conns = []
        self._unsaved = []

    def accept(self, sock):
        self.conns = [conn for conn in self.conns if conn.sock] + [Conn(self, sock)]
        return self.conns[-1]

    def take(self, topic, payload, retain):
        now = world.total_ms
        self._unsaved.append((now, topic, payload))
        self.save(now - _SAVED_MS)

    def save(self, until_ms):
        unsaved = self._unsaved
        while unsaved and unsaved[0][0] <= until_ms:
            _, topic, payload = unsaved.pop(0)
            self.archive(topic, payload)

    def cut(self):
        """Every connection ends."""
        for conn in self.conns:
            if conn.sock:
                conn.sock.reset = True
        self.conns = []

    def die(self, with_memory):
        """The process ends; without memory it has forgotten sessions and what it had not saved yet."""
        self.save(world.total_ms if with_memory else world.total_ms - _SAVED_MS)
        self._unsaved = []
        if not with_memory:
            self.known = False
        self.up = False
        self.cut()
