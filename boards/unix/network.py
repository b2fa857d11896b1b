"""The unix port's network: sockets that never block, plain or TLS."""

import socket


class Network:
    """Sockets that never block. A name look-up does: `longest_block_ms` of the board allows for it."""

    _LOOK_UP_EVERY = 20  # attempts: an address is kept, for asking is what blocks, but it may change

    def __init__(self, ca):
        self._addresses = {}  # by host and port
        self._attempts = 0
        self._context = _trusting(ca) if ca else None

    def connect(self, host, port):
        """A non-blocking TCP socket on its way to host:port, TCP_NODELAY set. OSError if there is no way."""
        self._attempts += 1
        place = (host, port)
        if place not in self._addresses or self._attempts % self._LOOK_UP_EVERY == 0:
            try:
                found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][-1]
                self._addresses[place] = found
            except OSError as e:
                if place not in self._addresses:
                    raise OSError("no address is known for this name: %s" % e)
        sock = socket.socket()
        try:
            sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY
            sock.setblocking(False)
            sock.connect(self._addresses[place])
        except OSError as e:
            if e.errno != 115:  # EINPROGRESS
                sock.close()
                raise
        return sock

    def secure(self, sock, host):
        """`sock` in TLS; the handshake goes on with every read and write. The certificate must name `host`."""
        return self._context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


def _trusting(ca):
    """A TLS context that accepts what the certificate file `ca` has signed. ValueError if it is none."""
    import tls

    try:
        with open(ca, "rb") as file:
            authority = file.read()
    except OSError as e:
        raise ValueError("broker.ca: %s cannot be read: %s" % (ca, e))
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    try:
        context.load_verify_locations(authority)
    except ValueError as e:
        raise ValueError("broker.ca: %s holds no certificate: %s" % (ca, e))
    return context
