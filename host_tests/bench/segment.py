"""The gossip: datagrams, bytes and time a message costs in each variant, memory, and how fast a node relays."""

import sys
import time
from math import ceil, log10

from host_tests.bench.codec import node
from host_tests.conftest import ROOT

_N = 100
_MESSAGES = 20
_PERIOD_MS = 2000
_VARIANTS = {"eager": (0, 0), "lazy": (1, 0), "pull": (2, 1), "push_pull": (3, 0)}  # and periods between pulls


def _variant(number, pull):
    """Figures of one variant at 25 % loss and 10 % crashed, repair included."""
    from gossip_net import Net, percentile, signed

    net = Net(_N, seed=1, loss=250, tick_ms=500, defaults={"f": 4, "r": 16, "variant": number}, pull=pull)
    for i in range(1, 1 + _N // 10):
        net.nodes[i].crash()
    live = net.live()
    net.warm(0)
    times, background = [], 0
    for seq in range(1, _MESSAGES + 1):
        id = net.start(0, signed(b"%d" % seq), origin=1, seq=seq, lifetime_s=3600)
        net.run(2 * _PERIOD_MS)
        for each in live:
            if each.i not in net.times(id):
                each.late()
        net.run(18 * _PERIOD_MS)
        background += len(live) - len(net.times(id))
        times += net.times(id).values()
    per = len(live) * _MESSAGES
    return {
        "datagrams": net.sent() / per,
        "payloads": net.payloads() / per,
        "bytes": sum(each.bytes for each in live) / per,
        "periods_p50": percentile(times, 500) / _PERIOD_MS,
        "periods_p99": percentile(times, 990) / _PERIOD_MS,
        "missed": background,
    }


def run(_folder):
    sys.path.insert(0, str(ROOT / "host_tests/mpy"))
    from gossip_proof import proof

    figures, notes = {}, []
    for name, (number, pull) in _VARIANTS.items():
        found = _variant(number, pull)
        if found.pop("missed"):
            notes.append(f"gossip {name}: not everybody had every message after 20 periods")
        figures |= {f"gossip_{name}_{key}": value for key, value in found.items()}
    figures["gossip_memberlist_datagrams"] = 4 * ceil(log10(_N + 1))
    began = time.monotonic()
    found = proof(10_000, 4, 3, 1, tick_ms=1000)
    notes.append(
        f"gossip: 10,000 nodes, 3 messages, 25 % loss, 10 % crashed, f 4: {found['missed']} of "
        f"{3 * found['live']} missed, simulated in {time.monotonic() - began:.0f} s"
    )
    for key in ("datagrams", "bytes", "p50_periods", "p99_periods", "max_periods"):
        figures[f"gossip_10000_{key}"] = found[key]
    for name, word in (("micropython", ""), ("micropython32", "_32")):
        one = node(name, "node_gossip.py", heapsize="8M")
        figures |= {f"gossip_{key}{word}": value for key, value in one.items()}
    notes.append(
        f"gossip variants: {_N} nodes, 25 % loss, 10 % crashed, f 4, {_MESSAGES} signed messages of 1,195 bytes "
        "from one node, late pull after 2 periods included; pull: its periodic questions, too"
    )
    return figures, notes
