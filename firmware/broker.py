"""The broker of a node that has no other to turn to."""


class Broker:
    """What Brokers is for several: `host`, `port`, and the answers to Link's questions."""

    def __init__(self, host, port):
        self.host = host
        self.port = port

    def __str__(self):
        return "%s:%d" % (self.host, self.port)

    def failed(self):
        return True

    def connected(self, now):
        pass

    def look(self, now):
        return False
