"""Trust against a model of histories, against bytes of any kind, and with what pyhsslms signs."""

import random
from struct import pack

from hypothesis import given
from hypothesis import strategies as st
from pyhsslms import pyhsslms

from gossip import trust, windows, wire
from host_tests.mpy.lms_signer import Key
from host_tests.mpy.plain_shelf import Shelf
from host_tests.property import examples


class Believing:
    """A verifier that is not the subject: every signature is good."""

    def begin(self, *_):
        return True

    def step(self, _):
        return True


def hear(node, payload, seq, origin=1):
    reason = node.begin(memoryview(payload), 7, origin, seq, 60)
    if reason:
        return reason
    while node.step(1000) is None:
        pass
    return node.accept()


def test_signed_by_pyhsslms():
    types = pyhsslms.lms_sha256_m24_h5, pyhsslms.lmots_sha256_n24_w8
    private = pyhsslms.LmsPrivateKey(*types, I=b"\x01" + bytes(15))
    public = private.publicKey()
    node = trust.Trust(public.lms_type + public.lmots_type + public.I + public.K, b"", None, Shelf(), lambda: 0)
    payload = pack(">BBIIH", 1, 1, 10, 20, 5) + b"table"
    payload += private.sign(b"gridmote1" + pack(">BIIH", 7, 1, 9, 60) + payload)
    assert hear(node, payload, 9) == wire.OK
    assert hear(node, payload, 9) == wire.OLD
    assert node.floor == 10


@examples(200)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 120), st.booleans()), max_size=80))
def test_nothing_twice(history):
    """history: (origin, sequence, whether the node starts again before). Whatever the order: no message is accepted
    twice, and none that is new and less than 32 behind is refused."""
    key, shelf = Key(1, real=0), Shelf()
    node, highest, came, leaves = None, {}, set(), {}
    for origin, seq, again in history:
        if again or not node:
            node = trust.Trust(key.public, b"", None, shelf, lambda: 0)
            node._verifier = Believing()
        leaf = leaves.setdefault((origin, seq), len(leaves))
        payload = pack(">BBIIH", 1, 1, 10, 20, 0) + pack(">III", leaf, 8, leaf) + bytes(780 - 12)
        reason = hear(node, payload, seq, origin)
        if (origin, seq) in came or seq <= highest.get(origin, 0) - 32:
            assert reason == wire.OLD
        elif leaf // 40 > max((s for _, s in came), default=0):
            assert reason == wire.OK
        if reason == wire.OK:
            came.add((origin, seq))
            highest[origin] = max(highest.get(origin, 0), seq)


def test_window():
    """Against a plain set, for windows as such."""
    rng = random.Random(32)
    for _ in range(300):
        rows, came, top = bytearray(24), set(), 0
        for _ in range(60):
            number = max(1, top + rng.choice((-40, -33, -32, -31, -5, -1, 0, 1, 2, 31, 32, 33, 40, 1 << 20)))
            expected = number in came or number < top - 31
            assert bool(windows.known(rows, 1, number)) == expected
            if not expected:
                windows.mark(rows, 1, number)
                came.add(number)
                top = max(top, number)
        assert rows[:8] == rows[16:] == bytes(8)


def test_any_bytes():
    rng = random.Random(5)
    key = Key(1, real=1)
    node = trust.Trust(key.public, b"", None, Shelf(), lambda: 0)
    good = key.message(0, 1)
    for _ in range(20000):
        payload = bytearray(rng.randbytes(rng.choice((0, 5, 11, 12, 13, 792, 800, 1199))))
        kept = min(rng.randrange(20), len(payload))
        payload[:kept] = good[:kept]
        assert hear(node, payload, rng.randrange(1, 1 << 30), rng.randrange(1 << 30)) not in (wire.OK, wire.REUSE)
        assert node.order(payload, rng.randrange(20), rng.randrange(1 << 30)) != wire.OK
    for data in (b"", bytes(10), bytes(392), rng.randbytes(392), b"\x01" + rng.randbytes(391), bytes(393)):
        shelf = Shelf()
        shelf.files["trust"] = data
        node = trust.Trust(key.public, b"", None, shelf, lambda: 0)
        assert hear(node, good, 1) in (wire.OK, wire.OLD, wire.WINDOW, wire.SIGNATURE)
