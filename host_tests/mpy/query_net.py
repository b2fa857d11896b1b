"""Nodes that ask one another, in the network of gossip_net: what each says, whom it knows, what is asked."""

from gossip_net import NEVER_MS, Net

from gossip.needs import Needs
from gossip.query import Queries

TICK_MS = 40


class QueryNet(Net):
    """links: pairs of nodes that know each other; None: random views. values(node, function, arg): what it says; by
    default its number for every function and argument. jobs: {node: {day: (jobs, Wh, Wh, Wh)}}, what it needs.
    tend_ms: between two ticks of queries and needs.

    nodes[i].queries, .needs; .asked: how often its value was wanted. `day`: today.
    """

    def __init__(self, n, links=None, values=None, jobs=None, tend_ms=TICK_MS, **options):
        self.links, self.jobs, self.day, self.tend_ms = links, jobs, 20000, tend_ms
        self.values = values or (lambda node, function, arg: node.number)
        options.setdefault("defaults", {"r": 12})
        super().__init__(n, ready=self._ready, **options)

    def _ready(self, node):
        node.asked = 0
        if self.links is not None and self.options["probe_ms"] == NEVER_MS:
            node.stack.discovery._passed_ms = 0  # else a first probe makes more links
        take = type(node).take
        node.take = lambda data, source: take(node, bytearray(data), source)  # a buffer as a socket fills it

        def value(function, arg):
            node.asked += 1
            return self.values(node, function, arg)

        node.queries = Queries(node.stack.relay, value, self.random)
        if self.jobs is not None:
            node.needs = Needs(node.stack.relay, lambda day: self.jobs.get(node.i, {}).get(day), self.random)
        self.at(self.now + self.random(self.tend_ms), self._tend, node, node.boot)

    def _tend(self, node, boot):
        if node.alive and node.boot == boot:
            node.queries.tick(node.clock())
            if self.jobs is not None:
                node.needs.tick(node.clock(), self.day)
            self.at(self.now + self.tend_ms, self._tend, node, boot)

    def acquaint(self, nodes=None):
        if self.links is None:
            super().acquaint(nodes)
        for pair in self.links or ():
            for a, b in (pair, (pair[1], pair[0])):
                a, b = self.nodes[a], self.nodes[b]
                a.stack.peers.learn(b.number, b.address, b.boot, b.role)

    def ask(self, i, function, arg=0, ms=0, **how):
        """Ask from node i and wait for the answer, or for so long: the Query, None: no answer."""
        found = []
        node = self.nodes[i]
        if not node.queries.start(node.clock(), function, arg, found.append, **how):
            return None
        end = self.now + (ms or 125000)
        while not found and self.now < end:
            self.run(TICK_MS)
        return found[0] if found else None
