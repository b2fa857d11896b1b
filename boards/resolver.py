"""Addresses of names, without waiting: `getaddrinfo` holds a board for as long as its name server is silent."""

import os
import select
from time import ticks_diff

from micropython import const

from dns import answer, literal, question

_TRY_MS = const(1000)
_TRIES = const(3)
_USES = const(4)  # until it is asked for again: an address is kept, but it may change
_STALE_MS = const(10000)  # a question that nobody looked after
_FINAL = (0, 3)  # RCODE: the name has no address, there is no such name


class Resolver:
    """sockets: with `udp` and `place`. server(): the name server's address, "" for none."""

    def __init__(self, sockets, server, port=53):
        self._net = sockets
        self._where = server
        self._port = port
        self._known = {}  # by host: [address, uses left]
        self._asked = {}  # by host: _Question

    def look_up(self, host, now):
        """The address of a host, None while it is asked for: call again. OSError if there is none; what was known
        before is given until somebody knows better."""
        if literal(host):
            return host
        known = self._known.get(host)
        asked = self._asked.pop(host, None)
        if asked and ticks_diff(now, asked.began_ms) > _STALE_MS:
            asked = asked.close()
        if not asked and known and known[1]:
            known[1] -= 1
            return known[0]
        address = None
        try:
            if not asked:
                asked = _Question(self._net, self._where(), self._port, host, now)
            address = asked.step(now)
            if not address:
                self._asked[host] = asked
                return None
        except OSError:
            if not known:
                raise
            address = known[0]
        finally:
            if asked and host not in self._asked:
                asked.close()
        self._known[host] = [address, _USES]
        return address


class _Question:
    def __init__(self, sockets, server, port, host, now):
        if not server:
            raise OSError("no name server is known")
        self._host = host
        try:
            self._packet = question(host, int.from_bytes(os.urandom(2), "big"))
        except ValueError as e:
            raise OSError(str(e))
        self._to = sockets.place(server, port)
        self._sock = sockets.udp()
        self._poller = select.poll()
        self._poller.register(self._sock, select.POLLIN)
        self.began_ms = self._asked_ms = now
        self._turns = 0

    def step(self, now):
        """The address, or None as yet. OSError."""
        for _ in self._poller.ipoll(0):
            packet, sender = self._sock.recvfrom(512)
            found = answer(packet, self._packet) if sender == self._to else None
            if isinstance(found, str):
                return found
            if found in _FINAL:
                raise OSError("no address for %s" % self._host)
        if not self._turns or ticks_diff(now, self._asked_ms) > _TRY_MS:
            if self._turns == _TRIES:
                raise OSError("no answer from the name server")
            self._turns += 1
            self._asked_ms = now
            self._sock.sendto(self._packet, self._to)
        return None

    def close(self):
        self._sock.close()
