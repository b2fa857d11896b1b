"""An MQTT broker that does as it is told, for what mosquitto never does."""

import contextlib
import socket
import struct
import threading


class FakeBroker:
    """Greets, acknowledges and answers pings on `port`; one thread a connection. Use it as a context manager.

    greeting: bytes of CONNACK; b"" for none. drops: close right after the greeting. wrong: called as
    wrong(connection number from 1, PUBLISHes heard on it) before each acknowledgement; bytes that it returns are
    sent instead. hold: PUBACKs wait until that many are due, or until nothing comes for 50 ms. acks: called with
    the list of packet ids that are due; takes out those whose turn it is, returns what is to be acknowledged.
    `heard` is [(connection, packet id, dup, retain, topic, payload)], `most` the most ever unacknowledged.
    """

    def __init__(self, greeting=b"\x20\x02\x00\x00", drops=False, wrong=None, hold=1, acks=None):
        self.greeting, self.drops, self.wrong, self.hold = greeting, drops, wrong, hold
        self.acks = acks
        self.heard, self.connections, self.most, self.errors = [], 0, 0, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads, self._socks = [], []

    def __enter__(self):
        self._spawn(self._accept)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, target, *args):
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._socks.append(sock)
            self._spawn(self._serve, sock, self.connections)

    def _serve(self, sock, number):
        with sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(0.05)
            data, due, count = b"", [], 0
            while True:
                try:
                    chunk = sock.recv(65536)
                    if not chunk:
                        return
                    data += chunk
                except TimeoutError:
                    self._acknowledge(sock, due)
                    continue
                while True:
                    first, body, data = take(data)
                    if body is None:
                        break
                    kind = first & 0xF0
                    if kind == 0x10:
                        sock.sendall(self.greeting)
                        if self.drops:
                            return
                    elif kind == 0x80:
                        sock.sendall(b"\x90\x03" + body[:2] + b"\x01")
                    elif kind == 0xC0:
                        sock.sendall(b"\xd0\x00")
                    elif kind == 0x30:
                        count += 1
                        pid = self._publish(number, first, body)
                        if pid in due:
                            self.errors.append(f"packet id {pid} is in flight already")
                        due.append(pid)
                        self.most = max(self.most, len(due))
                        answer = self.wrong and self.wrong(number, count)
                        if answer:
                            sock.sendall(answer)
                        elif len(due) >= self.hold:
                            self._acknowledge(sock, due)

    def _publish(self, number, first, body):
        n = int.from_bytes(body[:2], "big")
        pid = int.from_bytes(body[2 + n : 4 + n], "big")
        self.heard.append((number, pid, first >> 3 & 1, first & 1, body[2 : 2 + n].decode(), body[4 + n :]))
        return pid

    def _acknowledge(self, sock, due):
        ids = self.acks(due) if self.acks else due.copy()
        if not self.acks:
            due.clear()
        sock.sendall(b"".join(struct.pack(">BBH", 0x40, 2, pid) for pid in ids))


def take(data):
    """(first byte, body, rest) of the packet at the begin of `data`; body is None if it is not whole yet."""
    size = shift = 0
    for at in range(1, len(data)):
        size |= (data[at] & 127) << shift
        shift += 7
        if not data[at] & 128:
            end = at + 1 + size
            return (data[0], data[at + 1 : end], data[end:]) if end <= len(data) else (0, None, data)
    return 0, None, data
