"""Reaching a broker's TCP port without waiting: several tries on their way at once."""

import select
from time import ticks_diff

from micropython import const

_TIMEOUT_MS = const(3000)  # the network's answer, to one of the tries
_TRY_MS = const(700)  # a path that was cut is open again before the kernel asks again by itself
_TRIES = const(3)  # on their way at once: the earlier ones arrive where the path is merely slow


class Unreachable(OSError):
    """The network refused, or nothing answers."""


class Dial:
    """net: `look_up(host, now_ms)` gives an address, None while it is asked for; `connect(address, port)` a socket
    that does not block and is on its way.

    `open` begins, `step(now_ms)` gives the first socket that arrived, or None; both raise Unreachable.
    `close` ends what is still on its way. `tried_ms`: when the latest try began.
    """

    def __init__(self, net):
        self._net = net
        self._socks = []
        self._began_ms = self.tried_ms = 0
        self._address = None

    def open(self, host, port, now):
        self._host = host
        self._port = port
        self._address = None
        self._began_ms = now
        self._poller = select.poll()
        self._try(now)

    def _try(self, now):
        self.tried_ms = now
        if not self._address:
            try:
                self._address = self._net.look_up(self._host, now)
            except OSError as e:
                raise Unreachable(e)
            if not self._address:
                return
            self._began_ms = now
        if len(self._socks) == _TRIES:
            sock = self._socks.pop(0)
            self._poller.unregister(sock)
            sock.close()
        try:
            sock = self._net.connect(self._address, self._port)
        except OSError as e:
            raise Unreachable(e)
        self._socks.append(sock)
        self._poller.register(sock, select.POLLOUT)

    def step(self, now):
        for sock, event in self._poller.ipoll(0):
            if event & (select.POLLERR | select.POLLHUP):
                try:
                    sock.readinto(bytearray(1))  # gives the reason
                except OSError as e:
                    raise Unreachable(e)
                raise Unreachable("connection refused")
            self._socks.remove(sock)
            self.close()
            return sock
        if self._address and ticks_diff(now, self._began_ms) > _TIMEOUT_MS:
            raise Unreachable("no answer within %d ms" % _TIMEOUT_MS)
        if not self._address or ticks_diff(now, self.tried_ms) > _TRY_MS:
            self._try(now)

    def close(self):
        self._poller = None
        while self._socks:
            self._socks.pop().close()
