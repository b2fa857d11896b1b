"""Certain delivery: consecutive signed messages through a net that loses a quarter, with a tenth of the nodes dead.

Run by MicroPython or imported on CPython. Arguments: nodes, f, messages, seed, a file with a line in hexadecimal
for the public key and for each payload that it signed. Prints one JSON object.
"""

import json
import sys
from binascii import unhexlify

from gossip_net import Net, percentile, signed
from plain_shelf import Shelf

from gossip.trust import Trust

PERIOD_MS = 2000
LATE_MS = 2 * PERIOD_MS  # after the start its validity begins: who has it not knows that it is late
EVERY = 20  # periods between messages
REPAIRS = (1, 2, 3, 4, 5)  # kinds that a message causes


class _Trust(Trust):
    """count: verifications that began."""

    count = 0

    def begin(self, *message):
        reason = super().begin(*message)
        if not reason:
            self.count += 1
        return reason


def proof(n, f, messages, seed, loss=250, crashed_percent=10, tick_ms=500, public=b"", payloads=(), **options):
    """Node 0 starts them all, as the utility does. Figures by node that lives, and message.

    public, payloads: an LMS key and what it signed; without, signatures are not computed but counted.
    """
    if public:
        options["trust"] = lambda i: _Trust(public, b"", None, Shelf(), lambda: 0)
    net = Net(n, seed=seed, loss=loss, tick_ms=tick_ms, defaults={"f": f, "r": 16}, **options)
    for i in range(1, 1 + n * crashed_percent // 100):
        net.nodes[i].crash()
    live = net.live()
    net.warm(0)
    times, missed = [], 0
    for seq in range(1, messages + 1):
        payload = payloads[seq - 1] if public else signed(b"%d" % seq)
        id = net.start(0, payload, origin=1, seq=seq, lifetime_s=3600)
        net.run(LATE_MS)
        for node in live:
            if node.i not in net.times(id):
                node.late()
        net.run(EVERY * PERIOD_MS - LATE_MS)
        found = net.times(id)
        missed += len(live) - len(found)
        times += [found[i] for i in found]
        net.forget(id)
    all_sent = [sum([node.sent[kind] for kind in REPAIRS]) for node in live]
    received = sum([sum(node.counters()) for node in net.nodes])
    assert received == sum([node.received for node in net.nodes])
    per = len(live) * messages
    return {
        "live": len(live),
        "missed": missed,
        "datagrams": sum(all_sent) / per,
        "payloads": net.payloads() / per,
        "bytes": sum([node.bytes for node in live]) / per,
        "background": net.sent((6, 7)) / per,  # PROBE and MATCH: the peer service
        "verifications": sum([node.trust.count for node in live]) / per,
        "p50_periods": percentile(times, 500) / PERIOD_MS,
        "p99_periods": percentile(times, 990) / PERIOD_MS,
        "max_periods": max(times) / PERIOD_MS,
        "max_mean": max(all_sent[1:]) / (sum(all_sent[1:]) / (len(live) - 1)),
        "reasons": [sum(found) for found in zip(*[node.counters() for node in net.nodes])],
        "initiator": all_sent[0] / messages,
    }


if __name__ == "__main__":
    with open(sys.argv[5]) as file:
        lines = [unhexlify(line.strip()) for line in file]
    print(json.dumps(proof(*[int(word) for word in sys.argv[1:5]], public=lines[0], payloads=lines[1:])))
