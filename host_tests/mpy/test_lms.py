"""The LMS verifier on this word size: the published signatures, slices within their budget, damage, little heap."""

import gc
import hashlib

from lms_published import CASES

from gossip import lms


class Counted:
    """hashlib.sha256, counted."""

    calls = 0

    def __init__(self, *data):
        Counted.calls += 1
        self._inner = hashlib.sha256(*data)
        self.update, self.digest = self._inner.update, self._inner.digest


verifier = lms.Verifier()


def verify(public, signature, *parts):
    if not verifier.begin(public, memoryview(signature), *parts):
        return False
    while True:
        before = Counted.calls
        found = verifier.step(48)
        assert Counted.calls - before <= 48
        if found is not None:
            assert verifier.step(48) is False  # it is over
            return found


def levels(public, message, signature, count):
    """HSS (RFC 8554, algorithm 3): each level signs the public key of the next."""
    assert signature[:4] == bytes([0, 0, 0, count - 1])
    at = 4
    for _ in range(count - 1):
        n = lms.length(public)
        key = signature[at + n : at + n + len(public)]
        if not verify(public, signature[at : at + n], key):
            return False
        at += n + len(key)
        public = key
    return verify(public, signature[at:], message[:7], memoryview(message)[7:])


lms.sha256 = Counted
for count, public, message, signature in CASES:
    assert levels(public, message, signature, count)
    assert not levels(public, message + b"x", signature, count)
lms.sha256 = hashlib.sha256

_, public, message, signature = CASES[2]
signature = bytearray(signature[4:])
for at in list(range(0, 36)) + list(range(36, len(signature), 97)) + [len(signature) - 1]:
    signature[at] ^= 1
    assert not verify(public, signature, message), at
    signature[at] ^= 1
assert verify(public, signature, message)
for n in range(0, len(signature), 13):
    assert not verify(public, signature[:n], message)
    assert not verify(public[: n % 49 or 1][:47], signature, message)

assert verifier.begin(public, signature, message)
verifier.step(48)
gc.collect()
before = gc.mem_alloc()
while verifier.step(48) is None:
    pass
gc.collect()
assert gc.mem_alloc() - before < 512, gc.mem_alloc() - before
