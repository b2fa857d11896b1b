"""One node on MicroPython: messages it relays a second, and the memory of a peer, an origin and the whole stack."""

import gc
import json
import sys
from hashlib import sha256
from struct import pack
from time import ticks_diff, ticks_us

sys.path.append("host_tests/mpy")
from gossip_net import CountingTrust, dice  # noqa: E402
from lms_signer import Key  # noqa: E402

from gossip.lms import Verifier  # noqa: E402
from gossip.peers import Peers  # noqa: E402
from gossip.seal import Seal  # noqa: E402
from gossip.seen import Seen  # noqa: E402
from gossip.stack import Stack  # noqa: E402

_N = 300


def heap(make):
    """Bytes that what make() returns takes."""
    make()
    gc.collect()
    before = gc.mem_alloc()
    kept = make()
    gc.collect()
    return gc.mem_alloc() - before if kept else 0


roll = dice(1)
figures = {
    "bytes_per_peer": (heap(lambda: Peers(1, 2, 116, roll)) - heap(lambda: Peers(1, 2, 52, roll))) / 64,
    "bytes_per_origin": (heap(lambda: Seen(72)) - heap(lambda: Seen(8))) / 64,
    "bytes_64_peers_8_origins": heap(lambda: (Peers(1, 2, 52, roll), Seen(8))),
}

sent = []
seal = Seal(b"bench")


def stack(number, send):
    return Stack(number, 2, 1, seal, CountingTrust(), send, roll, 0)


figures["bytes_of_a_stack"] = heap(lambda: stack(100, None))
sender = stack(100, lambda address, buf, n, tcp: sent.append(bytes(memoryview(buf)[:n])))
relay = stack(101, lambda address, buf, n, tcp: None)
for one, other in ((sender, 101), (relay, 100)):
    one.peers.learn(other, b"\x0a\0\0\x01\x1f\x90", 1, 2)
for number in range(200, 212):
    relay.peers.learn(number, b"\x0a\0\0\x02\x1f\x90", 1, 2)

for name, size in (("small", 40), ("full", 1195)):
    del sent[:]
    for k in range(_N):
        payload = bytes([10 if size < 100 else 1]) + bytes(size - 5) + b"good"
        # as the sender's relay would send it: signed ones by their origin
        out = sender.end.out
        out[25 : 25 + size] = payload
        seq = 20000 + k if size < 100 else k + 1
        sender.end.post(0, 1, 2, 9, 4, 100 if size < 100 else 1, seq, 600, size)
    gc.collect()
    us = 0
    taken = 0
    for k in range(_N):
        began = ticks_us()
        reason = relay.received(sent[k], len(sent[k]), b"\x0a\0\0\x01\x1f\x90", 100 * k)
        while relay.verify(1000, 100 * k):
            pass
        us += ticks_diff(ticks_us(), began)
        relay.tick(100 * k)
        taken += reason < 2
    assert taken == _N, taken
    figures["relayed_%s_per_s" % name] = _N * 1000000 / us

def verification(key, payload, head):
    """(us in all, us of the longest call) of a verification as the firmware slices it: 48 hashes a step."""
    verifier = Verifier()
    at = len(payload) - 900
    began = ticks_us()
    assert verifier.begin(key.public, memoryview(payload)[at:], head, memoryview(payload)[:at])
    longest = ticks_diff(ticks_us(), began)
    us, good = longest, None
    while good is None:
        began = ticks_us()
        good = verifier.step(48)
        last = ticks_diff(ticks_us(), began)
        us, longest = us + last, max(longest, last)
    assert good
    return us, longest


key = Key(1, h=10, real=1)
payload = key.message(0, 1, body=bytes(250))
head = b"gridmote1" + pack(">BIIH", 7, 1, 1, 60)
gc.collect()
# the best of some: what else the computer does lengthens any of them
runs = [verification(key, payload, head) for _ in range(20)]
figures["lms_verify_ms"] = min([run[0] for run in runs]) / 1000
figures["lms_longest_block_ms"] = min([run[1] for run in runs]) / 1000
began = ticks_us()
for _ in range(1000):
    sha256(head).digest()
figures["lms_verify_in_hashes"] = figures["lms_verify_ms"] * 1000 / (ticks_diff(ticks_us(), began) / 1000)
print(json.dumps(figures))
