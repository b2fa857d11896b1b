"""The unix port's network."""

import socket

from micropython import const

from boards.sockets import Sockets

_LOOK_UP_EVERY = const(20)  # attempts: an address is kept, for asking is what blocks, but it may change


class Network(Sockets):
    """Sockets that never block. A name look-up does: `longest_block_ms` of the board allows for it."""

    def __init__(self, broker):
        super().__init__(broker)
        self._known = {}  # by host: address
        self._attempts = 0

    def look_up(self, host, now):
        """The host's address; never None. OSError if there is none."""
        self._attempts += 1
        if host not in self._known or self._attempts % _LOOK_UP_EVERY == 0:
            try:
                found = socket.getaddrinfo(host, 0, socket.AF_INET, socket.SOCK_STREAM)[0][-1]
                self._known[host] = socket.inet_ntop(socket.AF_INET, socket.sockaddr(found)[1])
            except OSError as e:
                if host not in self._known:
                    raise OSError("no address is known for this name: %s" % e)
        return self._known[host]
