"""Many nodes with the firmware's gossip in one process: a network that loses, delays, repeats, parts, kills.

Runs on CPython for size and on MicroPython for truth. Everything follows from `seed`. Times are in ms.
"""

import heapq

from gossip.seal import Seal
from gossip.stack import Stack
from gossip.wire import DATA, METER, OK, OLD, REASON_COUNT, SIGNATURE

try:
    from random import Random

    def dice(seed):
        """randrange(n) of its own sequence."""
        roll = Random(seed).random
        return lambda n: int(roll() * n)

except ImportError:  # MicroPython has one for all
    import random

    def dice(seed):
        random.seed(seed)
        return random.randrange


MASK = 0x3FFFFFFF
NEVER_MS = 1 << 28  # longer than any run


def address_of(i):
    return bytes((10, i >> 16 & 255, i >> 8 & 255, i & 255, 0x1F, 0x90))


def index_of(address):
    return address[1] << 16 | address[2] << 8 | address[3]


def signed(text=b"", good=True, kind=1):
    """A message of a signed type for CountingTrust, as long as one with its LMS signature."""
    return bytes([kind]) + text + bytes(1190 - len(text)) + (b"good" if good else b"evil")


class CountingTrust:
    """In place of Trust: a signature is its last four bytes; `count`: how many were verified, each of so many
    hashes."""

    suspect = False

    def __init__(self, hashes=0):
        self.count = self.left = 0
        self._hashes = hashes
        self._known = set()
        self.orders = 0

    def check(self, payload, reach, origin, seq, lifetime_s):
        return OLD if (origin, seq) in self._known else OK

    def heard(self, origin):
        numbers = [seq for known, seq in self._known if known == origin]
        high = max(numbers) if numbers else 0
        return high, sum([1 << high - seq for seq in numbers if high - seq < 32])

    def over(self, payload):
        return False

    def begin(self, payload, reach, origin, seq, lifetime_s):
        self._job = (origin, seq)
        self._good = bytes(payload[-4:]) == b"good"
        self.left = self._hashes
        self.count += 1
        return OK

    def step(self, hashes):
        self.left -= hashes
        return self._good if self.left <= 0 else None

    def accept(self):
        if self._job in self._known:
            return OLD
        self._known.add(self._job)
        return OK

    def order(self, payload, origin, seq):
        self.orders += 1
        return OK if bytes(payload[-4:]) == b"good" else SIGNATURE


class Node:
    """One node and what survives its crashes: `trust` and `kept`, the signed messages that were delivered."""

    def __init__(self, net, i, role):
        self.net, self.i, self.role = net, i, role
        self.number = i + 100
        self.address = address_of(i)
        self.boot = 0
        self.alive = False
        self.trust = net.trust(i)
        self.kept = []
        self.came = []  # (ms, type, origin, seq) of what was delivered
        self.sent = [0] * 11  # datagrams by kind, over all boots
        self.bytes = 0
        self.reasons = [0] * REASON_COUNT  # of earlier boots
        self.received = 0
        self.on_deliver = None

    def start(self):
        net = self.net
        self.boot += 1
        self.alive = True
        self.stack = Stack(
            self.number,
            self.role,
            self.boot,
            net.seal,
            self.trust,
            self._send,
            net.random,
            self.clock(),
            **net.options,
        )
        if self.boot == 1 and not net.discover:
            self.stack.repair._gap = 0  # there was nothing before
        self.stack.relay.on_deliver = self._deliver
        for key, value in net.defaults.items():
            setattr(self.stack.relay, key, value)
        for message in self.kept[-4:]:
            self.stack.relay.adopt(*message, self.clock())
        if net.ready:
            net.ready(self)
        net.at(net.now + net.random(net.tick_ms), self._tick, self.boot)

    def crash(self):
        self.alive = False
        for reason in range(REASON_COUNT):
            self.reasons[reason] += self.stack.end.counters[reason]

    def restart(self):
        """Up again, knowing that it may have missed something."""
        self.start()
        if not self.net.discover:
            self.net.acquaint((self,))
        self.stack.repair.late()

    def clock(self):
        """This node's ticks: each has its own, and many wrap soon."""
        return self.net.now + MASK - 1000 * self.i & MASK

    def late(self):
        if self.alive:
            self.stack.repair.late()

    def counters(self):
        now = self.stack.end.counters if self.alive else [0] * REASON_COUNT
        return [self.reasons[reason] + now[reason] for reason in range(REASON_COUNT)]

    def _tick(self, boot):
        if self.alive and boot == self.boot:
            self.stack.tick(self.clock())
            if self.net.verifies:
                self.verify()
            self.net.at(self.net.now + self.net.tick_ms, self._tick, boot)

    def verify(self):
        while self.stack.verify(1 << 20, self.clock()):
            pass

    def take(self, data, source):
        """A datagram arrives."""
        if self.alive:
            self.received += 1
            self.stack.received(data, len(data), source, self.clock())
            if self.net.verifies:
                self.verify()

    def _send(self, address, buf, n, tcp):
        self.sent[buf[1] & 15] += 1
        self.bytes += n
        self.net.carry(self.i, index_of(address), bytes(memoryview(buf)[:n]))

    def _deliver(self, item):
        if item.buf[0] <= 4:
            payload = bytes(memoryview(item.buf)[: item.size])
            self.kept.append((item.flags & 7, item.origin, item.seq, item.lifetime_s, payload))
            del self.kept[:-4]
        self.net.delivered(self, item)
        if self.on_deliver:
            self.on_deliver(self, item)


class Net:
    """n nodes, all METER or as `roles` say (a list). loss, twice: of 1000 datagrams. delay_ms: (least, most), so
    that they overtake each other. tick_ms: how often a node's time goes on. defaults: of each relay, options: of
    each Stack. discover: nodes learn of each other by themselves, from node 0; else they know `view` random ones.

    `at(ms, call, *args)`, `run(ms)`: events. `start(i, payload, ...)`: a message; `times(id)`: {node: ms after the
    start}. `parted(a, b)`: whether no datagram gets from node a to b. `tap(source, target, data)`: sees all.
    """

    def __init__(
        self,
        n,
        seed=1,
        loss=0,
        twice=0,
        delay_ms=(5, 100),
        tick_ms=250,
        roles=None,
        trust=None,
        discover=False,
        defaults=None,
        ready=None,
        **options,
    ):
        self.random = dice(seed)
        self.now = self._order = 0
        self._events = []
        self.loss, self.twice, self.delay_ms, self.tick_ms = loss, twice, delay_ms, tick_ms
        self.seal = Seal(b"the key of this segment")
        self.trust = trust or (lambda i: CountingTrust())
        self.defaults = defaults or {}
        self.options = {"probe_ms": 10000 if discover else NEVER_MS, "view": 16, "pull": 0, "period_ms": 2000}
        if discover:
            self.options["seeds"] = [(address_of(0), False)]
        self.options.update(options)
        self.ready, self.discover = ready, discover
        self.verifies = True
        self.parted = self.tap = None
        self.lost = self.carried = 0
        self._begun = {}
        self._times = {}
        self.nodes = [Node(self, i, roles[i] if roles else METER) for i in range(n)]
        for node in self.nodes:
            node.start()
        if not discover:
            self.acquaint()

    def acquaint(self, nodes=None):
        """Each of these, or of all, knows as many random others as its view holds."""
        n = len(self.nodes)
        for node in nodes or self.nodes:
            order = list(range(n)) if n <= 64 else [self.random(n) for _ in range(2 * self.options["view"])]
            for k in range(len(order)):
                j = k + self.random(len(order) - k)
                order[k], order[j] = order[j], order[k]
                other = self.nodes[order[k]]
                if len(node.stack.peers.some()) < self.options["view"] and other is not node:
                    node.stack.peers.learn(other.number, other.address, other.boot, other.role)

    def at(self, ms, call, *args):
        self._order += 1
        heapq.heappush(self._events, (ms, self._order, call, args))

    def run(self, ms):
        """Go on for so long."""
        end = self.now + ms
        while self._events and self._events[0][0] <= end:
            self.now, _, call, args = heapq.heappop(self._events)
            call(*args)
        self.now = end

    def carry(self, source, target, data):
        self.carried += 1
        if self.tap:
            self.tap(source, target, data)
        if not 0 <= target < len(self.nodes) or self.parted and self.parted(source, target):
            return
        for _ in range(2 if self.twice and self.random(1000) < self.twice else 1):
            if self.loss and self.random(1000) < self.loss:
                self.lost += 1
                continue
            least, most = self.delay_ms
            ms = self.now + least + self.random(most - least + 1)
            self.at(ms, self.nodes[target].take, data, self.nodes[source].address)

    def start(self, i, payload, **given):
        """Node i starts a message; its id."""
        node = self.nodes[i]
        origin = given.get("origin", node.number)
        expected = given.get("seq") or node.stack.relay.seq
        self._begun[origin, expected] = self.now
        self._times[origin, expected] = {}
        seq = node.stack.relay.start(node.clock(), payload, **given)
        if seq != expected:
            raise ValueError("it could not be started")
        return origin, seq

    def delivered(self, node, item):
        found = self._times.get((item.origin, item.seq))
        if found is None:
            return
        if node.i in found:
            raise AssertionError("node %d: delivered twice" % node.i)
        found[node.i] = self.now - self._begun[item.origin, item.seq]

    def times(self, id):
        return self._times[id]

    def forget(self, id):
        del self._times[id], self._begun[id]

    def live(self):
        return [node for node in self.nodes if node.alive]

    def sent(self, kinds=(1, 2, 3, 4, 5)):
        """Datagrams of these kinds that all nodes have sent; by default all but those of the peer service and of
        queries."""
        return sum([sum([node.sent[kind] for kind in kinds]) for node in self.nodes])

    def payloads(self):
        return self.sent((DATA,))

    def warm(self, ms=0):
        """Let time pass, then forget what was counted."""
        self.run(ms)
        for node in self.nodes:
            node.sent = [0] * 11
            node.bytes = 0


def percentile(values, share):
    """The value at `share` of 1000 of the sorted ones."""
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * share // 1000)]
