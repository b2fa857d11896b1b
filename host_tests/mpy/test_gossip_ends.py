"""Decoder, seal, peers and discovery on this word size: noise, replays, RFC 4231, and memory that stays flat."""

import gc
import random
from binascii import hexlify, unhexlify
from struct import pack

from gossip import wire
from gossip.discovery import Discovery
from gossip.endpoint import Endpoint
from gossip.peers import Peers
from gossip.seal import Seal, same
from gossip.seen import Seen
from gossip.wire import HEAD, METER, OK, Message, decode, link_scope, put_head

gc.threshold(30000)
KEY = b"segment"
RFC_4231 = (  # sections 4.2 to 4.6: key, data, HMAC-SHA-256
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
)


def hmac_of_rfc_4231():
    for key, data, mac in RFC_4231:
        seal = Seal(key)
        assert hexlify(seal.mac(data)).decode().startswith(mac)
        assert seal.mac(data[:3], b"", data[3:]) == seal.mac(data)
        buf = bytearray(data) + bytes(8)
        assert seal.close(buf, len(data), b"") == len(buf) and seal.good(buf, len(buf), b"")
        assert hexlify(buf[len(data) :]).decode() == mac[:16]
    for key in (b"", b"\xaa" * 131):  # section 4.7: longer than a block; keys here are 32 bytes
        try:
            Seal(key)
        except ValueError:
            pass
        else:
            raise AssertionError("a key of %d bytes" % len(key))


def a_seal_is_compared_as_a_whole():
    """Each bit counts, and equally much is done wherever the first wrong one is."""

    class Counted:
        def __init__(self, data):
            self.data, self.looked = data, 0

        def __getitem__(self, i):
            self.looked += 1
            return self.data[i]

    mac = unhexlify("b0344c61d8db3853")
    for bit in range(64):
        wrong = bytearray(mac)
        wrong[bit >> 3] ^= 1 << (bit & 7)
        counted = Counted(wrong)
        assert not same(mac, counted, 0, 8) and counted.looked == 8
    assert same(mac, b"\0\0" + mac, 2, 8)


def links():
    scopes = {}
    for a, row in ((1, (1, 1, 0, 0)), (2, (1, 2, 2, 0)), (4, (0, 2, 4, 4)), (8, (0, 0, 4, 4))):
        for k in range(4):
            scopes[a, 1 << k] = row[k]
    for (a, b), scope in scopes.items():
        assert link_scope(a, b) == scope


class Node:
    """sent: the last datagram that went out, and to where."""

    def __init__(self, number, boot=1, size=16, role=METER):
        self.address = bytes([10, 0, number >> 8, number & 255, 1, 1])
        self.sent = []
        self.peers = Peers(number, role, size, self.dice)
        self.end = Endpoint(boot, Seal(KEY), self.peers, self._send)
        self.discovery = Discovery(self.end, [], 3, self.dice)

    @staticmethod
    def dice(n):
        return random.randrange(n)

    def _send(self, address, buf, n, tcp):
        self.sent.append((address, bytes(memoryview(buf)[:n])))
        del self.sent[:-4]

    def take(self, data, address):
        return self.end.received(data, len(data), address, 0)


def sealed(sender, kind, payload=b"", to=1, boot=1, role=METER, seq=1, flags=7, number=99):
    buf = bytearray(wire.MOST)
    put_head(buf, kind, role, flags, 255, 255, 5, seq, sender, boot, to, 60, len(payload))
    buf[HEAD : HEAD + len(payload)] = payload
    return bytes(memoryview(buf)[: Seal(KEY).close(buf, HEAD + len(payload), pack(">I", number))])


def noise_is_refused():
    """2 x 10^4: random bytes, changed and cut datagrams; a reason each, and all of them counted."""
    random.seed(1)
    node, message, acted = Node(99), Message(), []
    node.end.on = [lambda *a: acted.append(a)] * 11
    samples = [sealed(7, wire.DATA, bytes(300)), sealed(7, wire.PROBE, bytes(5)), sealed(7, wire.DIGEST, b"\1")]
    for k in range(20000):
        data = bytearray(samples[k % 3])
        way = random.getrandbits(2)
        if way == 0:
            data = bytearray(random.getrandbits(6))
        if way != 1:
            for i in range(len(data)):
                if i > 30 or way == 0:
                    data[i] = random.getrandbits(8)
        if data:
            data[random.randrange(len(data))] ^= 1 << random.getrandbits(3)
        reason = decode(data, len(data), message)
        assert 0 <= reason <= wire.LENGTH and reason != wire.CHECKING
        got = node.take(data, node.address)
        assert got == (reason or got) and (reason or got != OK)
    assert sum(node.end.counters) == 20000 and not acted and not node.peers.count
    for reason in (wire.SHORT, wire.BAD_VERSION, wire.FIELD, wire.LENGTH, wire.BAD_SEAL):
        assert node.end.counters[reason]


def clamped():
    message, data = Message(), sealed(7, wire.DATA, bytes(9))
    assert decode(data, len(data), message) == OK and (message.r, message.f) == (31, 8)


def old_boots_are_void():
    """A restart makes all that was sent before it stale; boots of senders go forward only, past 65535 too."""
    node, acted = Node(99, boot=7), []
    node.end.on[wire.DATA] = lambda *a: acted.append(a)
    seven = bytes([10, 0, 0, 7, 1, 1])
    for boot, to, reason in (
        (65534, 6, wire.STALE),
        (65534, 7, OK),
        (65535, 7, OK),
        (65534, 7, wire.STALE),
        (1, 7, OK),
        (65535, 7, wire.STALE),
        (1, 8, wire.STALE),
    ):
        assert node.take(sealed(7, wire.DATA, bytes(9), to, boot), seven) == reason, (boot, to)
    assert len(acted) == 3
    other = sealed(7, wire.DATA, bytes(9), 7, number=98)  # for somebody else, whose boot has the same number
    assert node.take(other, seven) == wire.BAD_SEAL
    # what is stale is answered by our boot, and nothing else, in the least of bytes
    address, answer = node.sent[-1]
    assert address == seven and len(answer) == 38 and answer[1] & 15 == wire.MATCH
    message = Message()
    assert decode(answer, 38, message) == OK and (message.boot, message.to) == (7, 1)


def a_live_peers_address_stays():
    node = Node(99)
    node.end.on[wire.DATA] = lambda *a: OK
    here, there = bytes([10, 0, 0, 7, 1, 1]), bytes([10, 0, 0, 66, 1, 1])
    data = sealed(7, wire.DATA, bytes(9))
    assert node.take(data, here) == OK
    for _ in range(2):
        assert node.take(data, there) == wire.STRANGER
        assert node.take(sealed(7, wire.DATA, bytes(9), 1, 2000), there) == wire.STRANGER  # a boot ahead, too
        assert node.peers.address(0) == here and node.peers.boot(0) == 1 and node.peers.oldest() == 0
        node.discovery.probe(0)
        assert node.sent[-1][0] == here
    assert node.take(data, there) == OK and node.peers.address(0) == there  # it did not answer there: it moved


def memory_stays_flat():
    """10^4 datagrams of 200 senders, hearsay and noise: no more memory than after the first thousand."""
    random.seed(3)
    node = Node(99, size=52)
    node.end.on[wire.DATA] = lambda *a: OK
    node.discovery.on_digest = lambda *a: None
    entry = bytearray(16)
    datagrams = []
    for k in range(40):
        number = 1000 + random.randrange(200)
        entry[0:14] = bytes([0, 0, 9, k, 10, 9, 9, k, 1, 1, 0, 1, METER, 0])
        probe = bytes([1, 3, 15, 7, 1]) + bytes(8) + bytes(entry) * 4
        datagrams.append((sealed(number, wire.PROBE, probe), bytes([10, 0, 1, k, 1, 1])))
        datagrams.append((sealed(number, wire.DATA, bytes(500)), bytes([10, 0, 1, k, 1, 1])))
        datagrams.append((sealed(number, wire.DATA, bytes(50), 2), bytes([10, 0, 1, k, 1, 1])))
    least = most = 0
    for k in range(10000):
        data, address = datagrams[k % len(datagrams)]
        node.take(data, address)
        if k % 50 == 0:
            node.end.tick(1000)
            node.discovery.tick(1000)
        if k % 1000 == 999:
            gc.collect()
            used = gc.mem_alloc()
            least, most = (min(least, used), max(most, used)) if least else (used, used)
    assert most - least <= 1024, (least, most)
    assert sum(node.end.counters) == 10000
    print("memory %d..%d, peers %d" % (least, most, node.peers.count))


def peers_in_little_memory():
    """64 peers and 8 origins: 1,120 bytes of arrays, with their objects a little more; full from the beginning."""
    gc.collect()
    before = gc.mem_alloc()
    peers, seen = Peers(99, METER, 52, Node.dice), Seen(8)
    for k in range(200):
        peers.learn(1000 + k, bytes([10, 0, 0, k, 1, 1]), 1, METER)
        seen.mark(11 + k % 8, 1 + k)
    gc.collect()
    used = gc.mem_alloc() - before
    assert peers.count == 64 and seen.count == 8
    assert len(peers._array) + len(seen._array) == 1120 and used <= 1120 + 512, used
    print("64 peers, 8 origins: %d bytes of heap" % used)


for test in (
    hmac_of_rfc_4231,
    a_seal_is_compared_as_a_whole,
    links,
    noise_is_refused,
    clamped,
    old_boots_are_void,
    a_live_peers_address_stays,
    memory_stays_flat,
    peers_in_little_memory,
):
    test()
