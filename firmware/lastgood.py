"""The configurations that a node has: the given one, the last with which it worked, and one beyond the file system.

Each is a pair: configuration and secrets, never one of another pair. Loaded when it is needed, then let go.
"""

import os
from binascii import crc32

from micropython import const

GIVEN, GOOD, VAULT = "given", "good", "vault"
_SUFFIX = {GIVEN: ".json", GOOD: ".good"}
_NAMES = ("config", "secrets")
_MOST = const(16384)  # bytes of one


def read(board, which):
    """(configuration, secrets) as bytes; no secrets are b"{}". OSError or ValueError: there is no such pair."""
    if which == VAULT:
        config = board.vault.get("config") if board.vault is not None else None
        if not config:
            raise OSError(2)
        return config, board.vault.get("secrets") or b"{}"
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
    fresh = [_there("%s/%s.good~" % (folder, name)) for name in _NAMES]
    if fresh[0] and not fresh[1]:  # the new secrets have taken their place already
        os.rename(folder + "/config.good~", folder + "/config.good")
        return
    for name, there in zip(_NAMES, fresh):
        if there:
            os.remove("%s/%s.good~" % (folder, name))


def _there(path):
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
        for name, data in zip(_NAMES, pair):
            if board.vault.get(name) != data:
                board.vault.put(name, data)
