"""Folders of keys: made whole or not at all; what is published of them; one leaf after the other."""

import os
import shutil
from pathlib import Path

from gossip.lms import length
from gridmote.fault import Fault
from gridmote.provision.folder import settle
from gridmote.sign import key as keys
from gridmote.sign.ledger import Ledger, put


def create(folder, epoch, height, watch, bound, state):
    """A folder with its first key and its state; nobody else makes it meanwhile. OSError."""
    staged = folder.with_name(folder.name + "~")
    shutil.rmtree(staged, ignore_errors=True)  # of a run that was interrupted: it never signed
    os.mkdir(staged, 0o700)
    made = add(staged, epoch, height, watch)
    Ledger(staged, bound).create({**state, "keys": [made]})
    os.rename(staged, folder)
    settle(folder.parent)


def add(folder, epoch, height, watch):
    """Make the key of an epoch; its entry for the state, in which it is not yet. OSError."""
    place = folder / str(epoch)
    staged = place.with_name(place.name + "~")
    for left in (staged, place):  # of a run that was interrupted: not in the state, so it never signed
        shutil.rmtree(left, ignore_errors=True)
    keys.create(staged, epoch, height, watch)
    os.rename(staged, place)
    settle(folder)
    return {"epoch": epoch, "height": height, "next": 0, "file": os.stat(place / "key").st_ino}


def take_leaf(entry):
    """The next leaf of a key; Fault if all are used."""
    if entry["next"] >= size(entry):
        remedy = ("gridmote tariff keys --replace --recovery FOLDER makes another" if entry["epoch"] else
                  "nodes have to be provisioned with another recovery key")
        raise Fault(f"epoch {entry['epoch']}: its {size(entry):,} one-time keys are all used; {remedy}")
    entry["next"] += 1
    return entry["next"] - 1


def size(entry):
    return 1 << entry["height"]


def publish(path, public):
    """A public key as a file of hexadecimal. OSError."""
    if read_public(path) != public.hex():
        put(path, public.hex().encode() + b"\n")


def read_public(path):
    """The public key in such a file, hexadecimal as in a configuration; "" if there is none. Fault."""
    try:
        text = Path(path).read_text().strip()
        good = length(bytes.fromhex(text))
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    except ValueError:
        good = False
    if not good:
        raise Fault(f"{path}: not a public LMS key (RFC 8554, 5.3) in hexadecimal")
    return text
