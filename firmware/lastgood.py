"""The configurations that a node has: the given one, the last with which it worked, and one beyond the file system.

Each is a pair: configuration and secrets, never one of another pair; beyond the file system the files that it names
for TLS are kept, too. Loaded when it is needed, then let go.
"""

import json
import os
from binascii import crc32
from struct import pack, unpack

from micropython import const

GIVEN, GOOD, VAULT = "given", "good", "vault"
_SUFFIX = {GIVEN: ".json", GOOD: ".good"}
_NAMES = ("config", "secrets")
_FILES = ("ca", "certificate", "key")  # paths, of section broker
_MOST = const(16384)  # bytes of one
# The vault has two places, written in turn, so that the older pair stays until the newer one is whole. A place is
# up to 3 values of `vault.most` bytes: u32 number (the higher one counts), u32 size and u32 CRC of what follows,
# 5 u16 sizes, configuration, secrets, files.
_PLACES = ("a", "b")
_PARTS = const(3)
_HEAD = const(12)


def read(board, which):
    """(configuration, secrets) as bytes; no secrets are b"{}". OSError or ValueError: there is no such pair."""
    if which == VAULT:
        kept = _kept(board.vault)[1]
        if not kept:
            raise OSError(2)
        return tuple(_split(kept)[:2])
    path = "%s/%%s%s" % (board.node_folder, _SUFFIX[which])
    config = _read(path % "config")
    try:
        return config, _read(path % "secrets")
    except OSError as e:
        if e.errno != 2:
            raise
        return config, b"{}"


def _read(path):
    with open(path, "rb") as file:
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise ValueError("more than %d bytes" % _MOST)
    return data


def mark(pair):
    """A number that tells one pair from another."""
    return crc32(pair[1], crc32(pair[0]))


def mend(folder):
    """What a power cut left of `keep`: both files of the pair are the new ones, or none. Before any `read`."""
    fresh = [there("%s/%s.good~" % (folder, name)) for name in _NAMES]
    if fresh[0] and not fresh[1]:  # the new secrets have taken their place already
        os.rename(folder + "/config.good~", folder + "/config.good")
        return
    for name, is_there in zip(_NAMES, fresh):
        if is_there:
            os.remove("%s/%s.good~" % (folder, name))


def there(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def keep(board, worked):
    """The given pair is the last good one from now on, if it still is the one of mark `worked`. OSError."""
    pair = read(board, GIVEN)
    if mark(pair) != worked:
        return
    try:
        same = read(board, GOOD) == pair
    except (OSError, ValueError):
        same = False
    if not same:
        folder = board.node_folder
        # The configuration last: that only it is left tells `mend` how far this came.
        for name, data in ((_NAMES[1], pair[1]), (_NAMES[0], pair[0])):
            with open("%s/%s.good~" % (folder, name), "wb") as file:
                file.write(data)
        for name in (_NAMES[1], _NAMES[0]):
            os.rename("%s/%s.good~" % (folder, name), "%s/%s.good" % (folder, name))
    if board.vault is not None:
        _store(board.vault, pair)


def restore(board):
    """Whether files that the vault's pair names were not as there, and are now. Only before that pair is used."""
    kept = _kept(board.vault)[1]
    if not kept:
        return False
    config, _, *files = _split(kept)
    done = False
    for path, data in zip(_paths(config), files):
        try:
            if not data or _read(path) == data:
                continue
        except (OSError, ValueError):
            pass
        at = path.find("/", 1)
        while at > 0:  # its folders
            try:
                os.mkdir(path[:at])
            except OSError:
                pass
            at = path.find("/", at + 1)
        try:
            with open(path + "~", "wb") as file:
                file.write(data)
            os.rename(path + "~", path)
            done = True
        except OSError:
            pass  # a file system that takes nothing; the pair may do without
    return done


def _paths(config):
    """Of the files that a configuration names, "" for none."""
    try:
        broker = json.loads(config)["broker"]
        return [broker.get(name, "") for name in _FILES]
    except Exception:  # whatever bytes can do to it
        return [""] * len(_FILES)


def _store(vault, pair):
    """ValueError, before anything is written: there is no room for it."""
    place, kept, number = _kept(vault)
    bodies = list(pair)
    for path in _paths(pair[0]):
        try:
            bodies.append(_read(path) if path else b"")
        except OSError:
            bodies.append(b"")
    data = pack("<5H", *[len(body) for body in bodies]) + b"".join(bodies)
    if data == kept:
        return
    most = vault.most
    if _HEAD + len(data) > _PARTS * most:
        raise ValueError("with its files %d bytes, at most %d" % (len(data), _PARTS * most - _HEAD))
    data = pack("<III", number + 1, len(data), crc32(data, number + 1)) + data
    other = _PLACES[0 if place == _PLACES[1] else 1]
    for i in range((len(data) + most - 1) // most):
        vault.put("%s%d" % (other, i), data[i * most : (i + 1) * most])


def _kept(vault):
    """(place, what is in it, its number) of the newest whole one; (None, None, 0): there is none."""
    found = None, None, 0
    for place in _PLACES if vault is not None else ():
        data = vault.get(place + "0") or b""
        if len(data) < _HEAD:
            continue
        number, size, crc = unpack("<III", data)
        for i in range(1, _PARTS):
            if len(data) - _HEAD >= size:
                break
            data += vault.get("%s%d" % (place, i)) or b""
        data = data[_HEAD:]
        if len(data) == size and crc32(data, number) == crc and number > found[2]:
            found = place, data, number
    return found


def _split(kept):
    """The parts of it: configuration, secrets, and the files in the order of _FILES."""
    parts, at = [], 10
    for size in unpack("<5H", kept):
        parts.append(kept[at : at + size])
        at += size
    return parts
