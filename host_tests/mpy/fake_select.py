"""In place of the module `select`: sockets say themselves what they are ready for."""

from select import POLLERR, POLLHUP, POLLIN, POLLOUT


class FakeSelect:
    """The unix port's own waits a millisecond for what is no file descriptor."""

    POLLERR, POLLHUP, POLLIN, POLLOUT = POLLERR, POLLHUP, POLLIN, POLLOUT

    def poll(self):
        return FakePoll()


class FakePoll:
    def __init__(self):
        self._registered = []

    def register(self, sock, events=POLLIN | POLLOUT):
        self._registered.append((sock, events | POLLERR | POLLHUP))

    def unregister(self, sock):
        self._registered = [entry for entry in self._registered if entry[0] is not sock]

    def ipoll(self, timeout_ms=0, flags=0):
        assert timeout_ms == 0, "a poll that waits"
        found = []
        for sock, events in self._registered:
            event = sock.ready() & events
            if event:
                found.append((sock, event))
        return found

    poll = ipoll
