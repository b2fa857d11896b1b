"""Has umqtt.simple write its CONNECT where there is no socket yet. Run once, then let go."""

from umqtt import simple
from umqtt.simple import MQTTClient


class _Pen:
    """Takes the place of `socket` in umqtt.simple while MQTTClient connects: keeps what it writes."""

    def __init__(self):
        self.ink = bytearray()

    def socket(self):
        return self

    def getaddrinfo(self, host, port):
        return ((None,),)

    def connect(self, address):
        pass

    def write(self, buf, size=None):
        self.ink.extend(buf if size is None else memoryview(buf)[:size])

    def read(self, size):
        return b"\x20\x02\x00\x00"


def connect_packet(client):
    """The bytes of a MQTTClient's CONNECT, for a session that is kept."""
    pen = _Pen()
    sock, module = client.sock, simple.socket
    simple.socket = pen
    try:
        MQTTClient.connect(client, False)
    finally:
        client.sock, simple.socket = sock, module
    return bytes(pen.ink)
