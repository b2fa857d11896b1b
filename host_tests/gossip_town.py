"""Nodes that find each other, in memory: the firmware's own ends, peers and discovery; time as wanted."""

import heapq
import random

from gossip.discovery import Discovery
from gossip.endpoint import Endpoint
from gossip.peers import Peers
from gossip.seal import Seal
from gossip.wire import METER, OK

KEY = bytes(range(32))
GROUP = bytes([239, 255, 71, 13]) + (7113).to_bytes(2, "big")
STEP_MS = 500
PERIOD_MS = 10000


def address_of(number):
    return bytes([10, 0, number >> 8 & 255, number & 255]) + (7113).to_bytes(2, "big")


class Node:
    """One node of a Town. heard: digests that came, as (origin, seq, number of who told)."""

    def __init__(self, town, number, role=METER, seeds=(), boot=1, size=16, services=3, **options):
        self.town, self.number, self.boot, self.down = town, number, boot, False
        self.address = address_of(number)
        self.peers = Peers(number, role, size, town.random.randrange)
        self.end = Endpoint(boot, Seal(KEY), self.peers, self._send)
        self.discovery = Discovery(
            self.end, list(seeds), services, town.random.randrange, PERIOD_MS, **options
        )
        self.heard = []
        self.discovery.on_digest = lambda *it: self.heard.append((*it[:2], self.peers.number_at(it[2])))
        self.received = 0

    def _send(self, address, buf, n, tcp):
        self.town.send(self.address, address, bytes(buf[:n]), tcp)

    def view(self):
        return {self.peers.number_at(i) for i in self.peers.some()}


class Town:
    """loss: share of datagrams lost. passes(a, b): whether a datagram gets from address a to address b.
    log: None, or a list of all datagrams as (from, to, bytes)."""

    def __init__(self, seed=1, loss=0.0):
        self.random = random.Random(seed)
        self.loss = loss
        self.nodes = {}
        self.now = 0
        self.passes = lambda a, b: True
        self.log = None
        self.no_udp = set()  # addresses that UDP does not reach, nor leave
        self._waiting, self._tie = [], 0

    def add(self, number, *args, **options):
        """A node that starts; one of that number is gone."""
        node = self.nodes[address_of(number)] = Node(self, number, *args, **options)
        return node

    def __iter__(self):
        return iter(self.nodes.values())

    def send(self, source, to, datagram, tcp=False):
        if self.log is not None:
            self.log.append((source, to, datagram))
        for address in [a for a in self.nodes if a != source] if to == GROUP else [to]:
            blocked = not tcp and (address in self.no_udp or source in self.no_udp)
            if not blocked and self.random.random() >= self.loss and self.passes(source, address):
                self._tie += 1
                due = self.now + self.random.randrange(5, 200)
                heapq.heappush(self._waiting, (due, self._tie, source, address, datagram))

    def deliver(self, to, datagram, source):
        """Hand a datagram to a node now; its reason."""
        node = self.nodes[to]
        node.received += 1
        buf = bytearray(1300)
        buf[: len(datagram)] = datagram
        return node.end.received(buf, len(datagram), source, self.now & 0x3FFFFFFF)

    def run(self, periods):
        for _ in range(int(periods * PERIOD_MS // STEP_MS)):
            end = self.now + STEP_MS
            while self._waiting and self._waiting[0][0] <= end:
                self.now, _, source, to, datagram = heapq.heappop(self._waiting)
                if to in self.nodes and not self.nodes[to].down:
                    self.deliver(to, datagram, source)
            self.now = end
            for node in self:
                if not node.down:
                    node.end.tick(STEP_MS)
                    node.discovery.tick(STEP_MS)

    def accounted(self):
        """Every datagram that came has been counted for one reason."""
        return all(sum(node.end.counters) == node.received for node in self)

    def push(self, start, f, rounds, loss=0.0):
        """Whom a message reaches that each node passes on once, to f peers: {number}."""
        known, fresh = {start}, [start]
        for _ in range(rounds):
            told = []
            for number in fresh:
                peers = self.nodes[address_of(number)].peers
                for i in peers.pick(2, f):
                    other = peers.number_at(i)
                    node = self.nodes.get(address_of(other))
                    if node and not node.down and other not in known and self.random.random() >= loss:
                        known.add(other)
                        told.append(other)
            fresh = told
        return known


__all__ = ["GROUP", "KEY", "OK", "PERIOD_MS", "Node", "Town", "address_of"]
