"""An LMS key in a folder of its own (RFC 8554; n = 24, w = 8 of NIST SP 800-208): made, loaded, one leaf signing.

    key       JSON: types, I, seed, root; never changed once it is there
    leaves    24 bytes each: what would take seconds to compute again

What was used already is none of its business: gridmote/sign/ledger.py hands out each leaf once.
"""

import contextlib
import json
import os
import secrets
from hashlib import sha256
from pathlib import Path

from pyhsslms import pyhsslms

from gossip.lms import Verifier, length
from gridmote.fault import Fault
from gridmote.provision.folder import settle, write_durably

_N = 24
_LMS = {5: 10, 10: 11, 15: 12, 20: 13}  # height: type (SP 800-208, table 4)
_OTS = pyhsslms.lmots_sha256_n24_w8


def u32(number):
    return number.to_bytes(4, "big")


class Key:
    """`height`, `size` (signatures in all), `public` (RFC 8554, 5.3), `epoch`: the first byte of I."""

    def __init__(self, height, i, seed, leaves):
        self.height, self.size, self.epoch = height, 1 << height, i[0]
        self._i, self._seed = i, seed
        self._nodes = nodes = [b""] * self.size + leaves
        for r in range(self.size - 1, 0, -1):
            nodes[r] = sha256(i + u32(r) + b"\x83\x83" + nodes[2 * r] + nodes[2 * r + 1]).digest()[:_N]
        self.public = u32(_LMS[height]) + _OTS + i + nodes[1]

    def sign(self, leaf, message):
        """The signature (RFC 8554, 5.4). A leaf that signs two messages can be forged by everyone who has both."""
        ots = pyhsslms.LmotsPrivateKey(self._i, u32(leaf), self._seed, _OTS).sign(message)
        path, r = [], self.size + leaf
        while r > 1:
            path.append(self._nodes[r ^ 1])
            r >>= 1
        signature = u32(leaf) + ots + u32(_LMS[self.height]) + b"".join(path)
        if not verify(self.public, signature, message):  # a fault of this computer must not get out
            raise Fault(f"epoch {self.epoch}: a wrong signature came out; its key file is damaged, or this machine")
        return signature


def verify(public, signature, message):
    """As a node does."""
    verifier = Verifier()
    if not verifier.begin(public, signature, message):
        return False
    while (good := verifier.step(1 << 20)) is None:
        pass
    return good


def signature_size(height):
    return length(u32(_LMS[height]) + _OTS + bytes(16 + _N))


def _leaf(height, i, seed, q):
    ots = pyhsslms.LmotsPrivateKey(i, u32(q), seed, _OTS).publicKey()
    return sha256(i + u32((1 << height) + q) + b"\x82\x82" + ots.K).digest()[:_N]


def _leaves(height, i, seed, watch):
    return [_leaf(height, i, seed, q) for q in watch(range(1 << height))]


def create(folder, epoch, height, watch):
    """Make a key in the new folder and return it; all of it is on the disk, the folder's own name is not.
    watch: as `watch_nothing`; takes 7 ms a leaf."""
    folder = Path(folder)
    i, seed = bytes([epoch]) + secrets.token_bytes(15), secrets.token_bytes(_N)
    leaves = _leaves(height, i, seed, watch)
    key = Key(height, i, seed, leaves)
    os.mkdir(folder, 0o700)
    said = {"lms": _LMS[height], "ots": int.from_bytes(_OTS, "big"), "i": i.hex(), "seed": seed.hex(),
            "root": key.public[24:].hex()}
    write_durably(folder / "key", (json.dumps(said) + "\n").encode())
    write_durably(folder / "leaves", b"".join(leaves))
    settle(folder)
    return key


def load(folder, watch):
    """The key of a folder; leaves that are damaged or missing are computed again. Fault."""
    path = Path(folder) / "key"
    try:
        said = json.loads(path.read_bytes())
        height = {number: height for height, number in _LMS.items()}[said["lms"]]
        i, seed, root = (bytes.fromhex(said[name]) for name in ("i", "seed", "root"))
        if said["ots"] != int.from_bytes(_OTS, "big") or [len(i), len(seed), len(root)] != [16, _N, _N]:
            raise ValueError
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Fault(f"{path}: not an LMS key of this program, or damaged") from None
    try:
        data = (path.parent / "leaves").read_bytes()
    except OSError:
        data = b""
    for again in (False, True):
        if again:
            data = b"".join(_leaves(height, i, seed, watch))
        if len(data) == _N << height:
            key = Key(height, i, seed, [data[at : at + _N] for at in range(0, len(data), _N)])
            if key.public[24:] == root:
                if again:
                    with contextlib.suppress(OSError):  # next time it takes as long again
                        write_durably(path.parent / "leaves", data)
                return key
    raise Fault(f"{path}: damaged: its seed does not give its root")


def watch_nothing(leaves):
    """In place of a progress bar: takes the leaves to be made and gives them out."""
    return leaves


def watch_on(console):
    """A progress bar there, while a key is made."""
    from rich.progress import track

    return lambda leaves: track(leaves, "making a key", console=console, transient=True)
