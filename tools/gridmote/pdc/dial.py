"""Reaching the broker again at once: several tries on their way, and when to try anew."""

import errno
import os
import random
import select
import socket
import time

import paho.mqtt.client as mqtt

_TRY_S = 0.5  # a path that was cut is open again before the kernel asks again by itself
_TRIES = 6  # on their way at once: the earlier ones arrive where the path is merely slow
_PATIENCE_S = 600  # a network that is away for longer is asked less and less often
_CAP_S = 30
_STABLE_S = 5  # a connection that lived this long makes the broker trusted again
_ANSWER_LEAST_S, _ANSWER_MOST_S = 0.5, 5  # to wait for TLS and CONNACK


def dial(host, port, timeout_s, wanted):
    """-> TCP socket of the first try that arrives, blocking; a new one begins every half second.

    All addresses of `host` take their turns. Raises OSError when each of them refuses, after `timeout_s`, or as
    soon as wanted() is no longer true.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    end_s = time.monotonic() + timeout_s
    tries, poller = {}, select.poll()  # by file descriptor
    begun, next_s, refusal = 0, 0.0, None

    def end(fd):
        poller.unregister(fd)
        return tries.pop(fd)

    try:
        while wanted():
            now_s = time.monotonic()
            if now_s >= end_s:
                raise refusal or TimeoutError("no answer within %g s" % timeout_s)
            outcomes = []
            if now_s >= next_s:
                if len(tries) == _TRIES:
                    end(next(iter(tries))).close()
                fd, error = _begin(addresses[begun % len(addresses)], tries, poller)
                begun, next_s = begun + 1, now_s + _TRY_S
                if error not in (0, errno.EINPROGRESS):
                    outcomes.append((fd, error))
            if not outcomes:
                outcomes = [(fd, tries[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
                            for fd, _ in poller.poll(50)]
            for fd, error in outcomes:
                sock = end(fd)
                if not error:
                    sock.setblocking(True)
                    return sock
                sock.close()
                refusal = OSError(error, os.strerror(error))
                if begun < len(addresses):
                    next_s = 0.0
                elif not tries:
                    raise refusal
        raise OSError("ended")
    finally:
        for sock in tries.values():
            sock.close()


def _begin(address_info, tries, poller):
    """-> (file descriptor, error number) of a socket that is on its way."""
    family, kind, protocol, _, address = address_info
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    tries[sock.fileno()] = sock
    poller.register(sock, select.POLLOUT)
    return sock.fileno(), sock.connect_ex(address)


class SocketClient(mqtt.Client):
    """paho's client over sockets made elsewhere; it has no other place to put them in.

    make_socket() -> (connected TCP socket, seconds for the TLS handshake).
    """

    def __init__(self, make_socket, **options):
        super().__init__(mqtt.CallbackAPIVersion.VERSION2, **options)
        self._make_socket = make_socket
        self.on_socket_register_write = lambda *_: None  # else ack() writes in the thread that calls it

    def _create_socket_connection(self):
        sock, self._connect_timeout = self._make_socket()
        return sock


class Pause:
    """Seconds between the begins of two attempts, and how long to wait for an answer in one.

    The network failed: 0.2 to 0.4 s, so that live data is back at once; beyond ten minutes a 600th of the outage
    more. The broker refused, or took the connection and soon dropped it: it may be overloaded, or someone else
    has the same client id; so twice as long each time. Neither exceeds half a minute by more than its jitter.
    """

    def __init__(self):
        self._outage_since_s = None
        self._refusals = 0
        self._answer_s = None

    def connected(self, answer_s):
        """The broker took the connection, `answer_s` after its TCP port did."""
        self._outage_since_s = None
        self._answer_s = answer_s

    def patience_s(self):
        """As a broker answered before, so it will again; longer where none is known, or after a long outage."""
        if self._answer_s is None or self._outage_s() > _PATIENCE_S:
            return _ANSWER_MOST_S
        return min(max(_ANSWER_LEAST_S, 4 * self._answer_s), _ANSWER_MOST_S)

    def network_failed(self):
        if self._outage_since_s is None:
            self._outage_since_s = time.monotonic()
        return min(0.2 + max(0, self._outage_s() - _PATIENCE_S) / 600, _CAP_S) + 0.2 * random.random()

    def broker_failed(self, lived_s):
        """lived_s: how long the connection was there, 0 if the broker refused it."""
        if lived_s >= _STABLE_S:
            self._refusals = 0
            return 0.0
        delay_s = min(0.5 * 2**self._refusals, _CAP_S)
        self._refusals += delay_s < _CAP_S
        return delay_s * (0.75 + random.random() / 2)

    def _outage_s(self):
        return 0 if self._outage_since_s is None else time.monotonic() - self._outage_since_s
