"""A relay of UDP datagrams between many sockets on loopback that loses, delays, doubles and partitions.

Each member has a face, an address of the relay's that stands for it: what is sent to the face of B arrives at B
from the face of A, so that members know each other by their faces alone.
"""

import contextlib
import heapq
import random
import selectors
import socket
import threading
import time


class Mesh:
    """`with Mesh(ports, seed) as mesh:` for members at these ports of 127.0.0.1.

    faces: their ports, in the same order. loss: share of datagrams lost; delay_s: (least, most) each; doubled:
    share delivered twice. allowed(a, b): whether a datagram may pass from member a to member b. carried, lost:
    datagrams; carried_bytes. tap(a, b, datagram): what member a sent to b, lost or not.
    send(a, b, datagram): hand it to b now, as if from a.
    """

    def __init__(self, ports, seed, loss=0.0, delay_s=(0.0, 0.02), doubled=0.0):
        self._ports = list(ports)
        self._member = {port: i for i, port in enumerate(self._ports)}
        self._random = random.Random(seed)
        self.loss, self.delay_s, self.doubled = loss, delay_s, doubled
        self.allowed = lambda a, b: True
        self.tap = lambda a, b, datagram: None
        self.carried = self.lost = self.carried_bytes = 0
        self._faces = []
        self._waiting = []  # heap of (due, tie, from, to, datagram)
        self._tie = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._selector = selectors.DefaultSelector()
        for i in range(len(self._ports)):
            face = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            face.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            face.bind(("127.0.0.1", 0))
            face.setblocking(False)
            self._selector.register(face, selectors.EVENT_READ, i)
            self._faces.append(face)
        self.faces = [face.getsockname()[1] for face in self._faces]
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(5)
        for face in self._faces:
            face.close()
        self._selector.close()

    def _run(self):
        while not self._ended.is_set():
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                _, _, a, b, datagram = heapq.heappop(self._waiting)
                self.carried += 1
                self.carried_bytes += len(datagram)
                self.send(a, b, datagram)
            patience = min(0.05, self._waiting[0][0] - now) if self._waiting else 0.05
            for key, _ in self._selector.select(max(0, patience)):
                self._take(key.fileobj, key.data)

    def _take(self, face, b):
        for _ in range(50):
            try:
                datagram, (_, port) = face.recvfrom(4096)
            except OSError:  # nothing there, or the news that a member is gone
                return
            a = self._member.get(port)
            if a is None:
                continue
            self.tap(a, b, datagram)
            if not self.allowed(a, b) or self._random.random() < self.loss:
                self.lost += 1
                continue
            for _ in range(2 if self._random.random() < self.doubled else 1):
                self._tie += 1
                due = time.monotonic() + self._random.uniform(*self.delay_s)
                heapq.heappush(self._waiting, (due, self._tie, a, b, datagram))

    def send(self, a, b, datagram):
        with contextlib.suppress(OSError):  # the member is down
            self._faces[a].sendto(datagram, ("127.0.0.1", self._ports[b]))


def free_ports(count):
    """So many ports of 127.0.0.1 that nobody has just now."""
    held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for sock in held:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in held]
    finally:
        for sock in held:
            sock.close()
