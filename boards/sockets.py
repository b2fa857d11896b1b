"""What the networks of all boards do alike: sockets that never block, plain or TLS."""

import errno
import socket

from boards.once import once

_NODELAY = getattr(socket, "TCP_NODELAY", 1)  # a number that each port has for itself


class Sockets:
    """broker: its part of the configuration, for TLS. ValueError for certificates and keys that are none."""

    station = None  # the radio, where there is one

    def __init__(self, broker):
        self._context = once("boards.tls", "trusting", broker) if broker["ca"] else None

    def connect(self, address, port):
        """A non-blocking TCP socket on its way there, TCP_NODELAY set. address: of look_up. OSError: no way."""
        sock = socket.socket()
        try:
            sock.setsockopt(6, _NODELAY, 1)  # IPPROTO_TCP
            sock.setblocking(False)
            sock.connect(self.place(address, port))
        except OSError as e:
            if e.errno != errno.EINPROGRESS:
                sock.close()
                raise
        return sock

    def secure(self, sock, host):
        """`sock` in TLS; the handshake goes on with every read and write. The certificate must name `host`."""
        return self._context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)

    def udp(self):
        """A UDP socket that does not block."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        return sock

    def listen(self, port):
        """A TCP socket that listens and does not block, for `accept`. OSError, where the port is in use."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(self.place("0.0.0.0", port))
        sock.listen(2)
        return sock

    def accept(self, listener):
        """(socket, its address: IPv4 and port, six bytes) of who has come, as `connect` makes them. OSError."""
        from boards.datagrams import six

        sock, place = listener.accept()
        sock.setblocking(False)
        sock.setsockopt(6, _NODELAY, 1)
        return sock, six(place)

    def datagrams(self, port, group=""):
        """boards.datagrams.Datagrams; OSError, where the port is in use."""
        from boards.datagrams import Datagrams

        return Datagrams(port, group)

    def place(self, address, port):
        """What `sendto` takes."""
        return socket.getaddrinfo(address, port)[0][-1]  # of an address, asks nobody
