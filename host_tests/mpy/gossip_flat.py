"""Memory of one node over many messages of all kinds, valid and not. Argument: messages. Prints one JSON object."""

import gc
import json
import sys

from gossip_net import CountingTrust, Net, signed

from gossip.wire import ACK, DATA, DIGEST, HEAD, IHAVE, IWANT


class Forgetful(CountingTrust):
    """Its memory is flat as well."""

    def accept(self):
        self._known = {self._job}
        return 0


net = Net(3, tick_ms=100, trust=lambda i: Forgetful(), pull=4)
node = net.nodes[0]
senders = [other.stack.end for other in net.nodes[1:]]
caught = []
net.carry = lambda source, target, data: caught.append(data) if target == 0 else None


def feed(k):
    end = senders[k % 2]
    i = end.peers.index(node.number)
    origin = 1000 + k // 50 % 20  # more than there is room for
    kind = k % 8
    if kind < 3:
        payload = bytes((10,)) + b"words" * (k % 100)
        put = (DATA, 7 | k % 4 << 3, 9, 8, origin, k + 1, 600)
    elif kind == 3:
        payload = signed(b"%d" % k)
        put = (DATA, 7, 9, 8, 1, k + 1, 600)
    elif kind == 4:
        payload = signed(b"%d" % k, good=False)
        put = (DATA, 7, 9, 8, 2, k + 1, 600)
    elif kind == 5:
        payload = bytes((0, 0, 0, 1)) + (k * 3).to_bytes(4, "big")
        put = (IHAVE if k & 16 else IWANT, 7, 9, 8, 0, 0, 0)
    elif kind == 6:
        payload = bytes((3, 0, 0, 0, 1)) + (k * 2).to_bytes(4, "big") + bytes(4)
        put = (DIGEST, 7, 0, 0, 0, 0, 0)
    else:
        payload = bytes(10)
        put = (ACK, 7, 0, 0, 7, 7, 0)
    end.out[HEAD : HEAD + len(payload)] = payload
    del caught[:]
    end.post(i, *put, len(payload))
    data = caught.pop()
    node.take(data, net.nodes[1 + k % 2].address)
    net.run(30)


def used():
    del caught[:]
    node.kept = []
    net._events.sort()
    gc.collect()
    return gc.mem_alloc()


count = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
for k in range(2000):
    feed(k)
before = used()
most = 0
for k in range(2000, 2000 + count):
    feed(k)
    if k % 1000 == 999:
        most = max(most, used() - before)
relay = node.stack.relay
print(
    json.dumps(
        {
            "grown": used() - before,
            "most": most,
            "ok": node.counters()[0],
            "verified": node.trust.count,
            "reasons": [reason for reason, n in enumerate(node.counters()) if n],
        }
    )
)
assert most <= 1024, most
assert node.trust.count > count // 50 and relay.faults == 0
