"""Signs tables, and tells what the keys that sign have left."""

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from gossip.wire import HEAD, KEY, REVOKE, SEAL, SIGNERS, TARIFF
from gridmote.fault import Fault
from gridmote.sign.key import signature_size, watch_on
from gridmote.sign.recovery import Recovery
from gridmote.sign.signer import EPOCH_MOST, HEIGHT, Signer
from gridmote.tariff.issue import summary
from gridmote.tariff.messages import Message

_EVERYWHERE = 7
_LIFETIME_MOST_S = 65535
_ANNOUNCED_S = 90 * 86400  # how long a node that was off may learn of a key that the recovery key brings
_ENVELOPE = HEAD + 12 + SEAL  # bytes of a datagram besides body and signature
_ANOTHER = "gridmote tariff keys --replace --recovery FOLDER"
_RENEWED = (4, 5)  # of a key's signatures: then the next key is made


class Left(NamedTuple):
    """What the key that signs has left."""

    epoch: int
    used: int
    size: int
    made_s: float  # when, POSIX
    live: tuple  # epochs of all live keys
    revoked: bool = False

    @property
    def renewal(self):
        """At how many used ones the next key is made."""
        return self.size * _RENEWED[0] // _RENEWED[1]

    def renewal_s(self, now_s):
        """POSIX seconds at which that is, at the rate since the key was made; None where none can be told."""
        if not self.used or self.used >= self.renewal or now_s - self.made_s < 3600:
            return None
        return now_s + (self.renewal - self.used) * (now_s - self.made_s) / self.used


def left(signer):
    """-> Left; Fault."""
    epoch, rest, size = signer.left()
    made_s = (signer.folder / str(epoch) / "key").stat().st_mtime  # it is never written again
    live = tuple(sorted(int(each.name) for each in signer.folder.iterdir() if each.name.isdigit()))
    return Left(epoch, size - rest, size, made_s, live, signer.revoked())


def told(left):
    """One line for a person."""
    if left.revoked:
        return f"key {left.epoch}: revoked, it signs no more; {_ANOTHER} makes another"
    text = f"key {left.epoch}: {left.used:,} of {left.size:,} signatures used, {left.size - left.used:,} left"
    if left.epoch == EPOCH_MOST:
        return f"{text}; no epoch comes after it: {_ANOTHER} begins anew, before it is used up"
    if left.used >= left.renewal:
        return f"{text}; the next key is {'made' if len(left.live) > 1 else 'made with the next signature'}"
    at_s = left.renewal_s(time.time())
    when = f", about {datetime.fromtimestamp(at_s, UTC).date()} at this rate" if at_s is not None else ""
    return f"{text}; the next key is made at {left.renewal:,}{when}"


def watch():
    """A progress bar while a key is made."""
    return watch_on(Console(stderr=True))


def existing(folder, watch):
    """-> the Signer of a folder that has a key; Fault."""
    signer = Signer(folder, watch)
    if not signer.exists():
        raise Fault(f"{folder}: no tariff key in it; gridmote tariff keys --new --keys {folder} makes one")
    return signer


def signature_bytes(folder):
    """Of the key that signs there, or will once it is made."""
    signer = Signer(folder)
    return signature_size(signer.left()[2].bit_length() - 1 if signer.exists() else HEIGHT)


def datagram_bytes(issue, signature):
    return _ENVELOPE + issue.size + signature


def signed(signer, found, lifetime_s, zone, unit):
    """[Message] of Issues, numbered by the signer, and before one the next key where that is due.

    lifetime_s: how long they are passed on; None: as long as they are valid, if a datagram can say that.
    """
    now, origin = int(time.time()), signer.origin()
    messages = []
    for issue in found:
        life_s = lifetime_s or min(max(issue.until - now, 1), _LIFETIME_MOST_S)
        body = partial(_numbered, issue)
        made = signer.sign(TARIFF, _EVERYWHERE, origin, 0, life_s, issue.since, issue.until, body)
        said = summary(issue, zone, unit)  # its number is known now
        messages += [_message(each, said) for each in made]
    return messages


def _numbered(issue, seq):
    """A table's number is the sequence number that it is signed with."""
    issue.table.number = seq
    return issue.body()


def _message(given, said):
    if given.kind == KEY:
        said = f"the next key, epoch {given.payload[12 + 8]}"
    elif given.kind == REVOKE:
        said = f"keys below epoch {given.payload[12]} end"
    return Message(given.origin, given.seq, given.reach, given.lifetime_s, given.payload, said)


def replaced(folder, recovery, watch, height, origin=None):
    """[Message]: the KEY that brings nodes a new tariff key, which is made, signed by the recovery key. origin: as
    which tariffs are signed from now on, None: as before. Fault."""
    place = Recovery(Path(recovery), watch)
    place.public()  # Fault before anything is changed
    signer = Signer(folder, watch)
    return _recovered(signer, place, KEY, signer.replace(height, origin=origin))


def revoked(folder, recovery, watch, epoch, origin=None):
    """[Message]: the REVOKE that ends the keys up to this epoch, signed by the recovery key; here they sign no more
    from now on. Fault."""
    place = Recovery(Path(recovery), watch)
    place.public()
    signer = existing(folder, watch)
    made = _recovered(signer, place, REVOKE, bytes([epoch + 1]), origin or SIGNERS)
    signer.revoke(epoch)  # before anybody has the message
    return made


def _recovered(signer, place, kind, body, origin=SIGNERS):
    """As the last origin: nodes count it by its leaf, and it leaves no hole in the numbers of tariffs."""
    now, seq = int(time.time()), signer.reserve(origin)
    made = place.sign(kind, _EVERYWHERE, origin, seq, _LIFETIME_MOST_S, now, now + _ANNOUNCED_S, body)
    return [_message(each, "") for each in made]
