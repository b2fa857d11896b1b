"""The LMS verifier against published signatures and pyhsslms; damage, slices, and what a verification costs."""

import hashlib
import random

import pytest
from pyhsslms import pyhsslms

from gossip import lms
from host_tests.mpy.lms_published import CASES

TYPES = {(32, 5): 5, (32, 10): 6, (24, 5): 10, (24, 10): 11, (24, 15): 12}  # (n, h): LMS type
MESSAGE = b"gridmote1" + bytes(range(256)) + b"end"


@pytest.fixture
def counted(monkeypatch):
    """The number of hashes so far, at [0]."""
    calls = [0]

    def count(*data):
        calls[0] += 1
        return hashlib.sha256(*data)

    monkeypatch.setattr(lms, "sha256", count)
    return calls


def verify(public, signature, *parts, budget=48):
    verifier = lms.Verifier()
    if not verifier.begin(public, signature, *parts):
        return False
    while (found := verifier.step(budget)) is None:
        pass
    return found


def key(n, h, w, q, monkeypatch):
    """A private key of pyhsslms whose leaf q is real; the others, of which only the path is needed, are not."""
    make = pyhsslms.LmotsPrivateKey.publicKey

    def public_key(self):
        if int.from_bytes(self.q, "big") == q:
            return make(self)
        return pyhsslms.LmotsPublicKey(self.I, self.q, random.randbytes(n), self.type)

    ots = {1: 1, 2: 2, 4: 3, 8: 4}[w] + (4 if n == 24 else 0)
    with monkeypatch.context() as patch:
        patch.setattr(pyhsslms.LmotsPrivateKey, "publicKey", public_key)
        return pyhsslms.LmsPrivateKey(TYPES[n, h].to_bytes(4, "big"), ots.to_bytes(4, "big"), q=q)


def serialized(private):
    public = private.publicKey()
    return public.lms_type + public.lmots_type + public.I + public.K


@pytest.mark.parametrize("levels, public, message, signature", CASES, ids=["RFC 8554 1", "RFC 8554 2", "RFC 9858"])
def test_published(levels, public, message, signature):
    whole = pyhsslms.HssPublicKey.deserialize(levels.to_bytes(4, "big") + public)
    assert whole.verify(message, signature)  # nothing was changed in copying
    at = 4
    for _ in range(levels - 1):
        n = lms.length(public)
        signed, public = public, signature[at + n : at + n + len(public)]
        assert verify(signed, signature[at : at + n], public)
        at += n + len(public)
    assert verify(public, signature[at:], message)
    assert not verify(public, signature[at:], message + b"x")


@pytest.mark.parametrize("n", [24, 32])
@pytest.mark.parametrize("w", [1, 2, 4, 8])
def test_every_width(n, w, monkeypatch, counted):
    for q in (0, 21, 31):
        private = key(n, 5, w, q, monkeypatch)
        public, signature = serialized(private), private.sign(MESSAGE)
        assert lms.length(public) == len(signature)
        for budget in (1, 7, 48):
            verifier = lms.Verifier()
            assert verifier.begin(public, signature, MESSAGE[:9], memoryview(MESSAGE)[9:])
            found = None
            while found is None:
                before = counted[0]
                found = verifier.step(budget)
                assert counted[0] - before <= budget
            assert found is True
        assert not verify(public, signature, MESSAGE[:-1])


@pytest.mark.parametrize("h", [5, 10, 15])
def test_higher_trees(h, monkeypatch):
    for q in (0, 1, (1 << h) - 2, (1 << h) - 1) if h < 15 else (0x5A5A,):
        private = key(24, h, 8, q, monkeypatch)
        public, signature = serialized(private), private.sign(MESSAGE)
        assert private.publicKey().verify(MESSAGE, signature)
        assert verify(public, signature, MESSAGE)
        for other in (q ^ 1, q | 1 << h, q | 0xFF000000):
            assert not verify(public, other.to_bytes(4, "big") + signature[4:], MESSAGE)


def test_cost(monkeypatch, counted):
    """As the facts expect: about 3,450 hashes."""
    private = key(24, 10, 8, 700, monkeypatch)
    public, found = serialized(private), []
    for i in range(12):
        private.q = 700
        private.ots_priv[700]._signatures_remaining = 1
        signature = private.sign(MESSAGE + bytes([i]))
        before = counted[0]
        assert verify(public, signature, MESSAGE, bytes([i]))
        found.append(counted[0] - before)
    assert 3200 < sum(found) / len(found) < 3700, found
    assert max(found) <= 26 * 255 + 13


def test_damage(monkeypatch):
    private = key(24, 10, 8, 700, monkeypatch)
    public, good = serialized(private), private.sign(MESSAGE)
    assert verify(public, good, MESSAGE, budget=1 << 20)
    rng = random.Random(8554)
    places = [*range(36), *rng.sample(range(36, len(good)), 60), len(good) - 1]
    for at in places:
        bad = bytearray(good)
        bad[at] ^= 1 << rng.randrange(8)
        assert not verify(public, bad, MESSAGE, budget=1 << 20), at
    for at in range(len(public)):
        bad = bytearray(public)
        bad[at] ^= 1 << rng.randrange(8)
        assert not verify(bytes(bad), good, MESSAGE, budget=1 << 20), at
    for at in rng.sample(range(len(MESSAGE)), 20):
        bad = bytearray(MESSAGE)
        bad[at] ^= 1 << rng.randrange(8)
        assert not verify(public, good, bad, budget=1 << 20), at


def test_any_bytes():
    """Whatever comes, begin() and step() say no."""
    rng = random.Random(9858)
    good = bytes([0, 0, 0, 11, 0, 0, 0, 8]) + bytes(40)
    for _ in range(2000):
        public = rng.randbytes(rng.choice((0, 7, 24, 47, 48, 49, 56, 57)))
        if rng.random() < 0.5:
            public = bytes([0, 0, 0, rng.randrange(20), 0, 0, 0, rng.randrange(12)]) + public[8:]
        assert not verify(public, rng.randbytes(rng.randrange(60)), MESSAGE)
        assert not verify(good, rng.randbytes(rng.choice((0, 1, 899, 900, 901))), MESSAGE)
    for _ in range(20):
        signature = bytearray(rng.randbytes(900))
        signature[:8] = bytes([0, 0, 3, 9, 0, 0, 0, 8])
        signature[656:660] = bytes([0, 0, 0, 11])
        assert not verify(good, signature, MESSAGE, budget=1 << 20)
    assert lms.Verifier().step(48) is False
