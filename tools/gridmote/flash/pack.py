"""A pack: the application in one file, as /main.py mounts it. A file of its own would take each module 4 KiB.

b"GM1\\n", u32 length of the whole, u32 n, n times (u32 CRC-32 of the path, u32 offset, u32 size), then the bodies.
A folder has the offset 0. The last entry is of the folder of them all, whose size is the CRC-32 of the pack without
these four bytes; packs of before had none. Little-endian.
"""

import struct
from binascii import crc32
from hashlib import sha256
from pathlib import PurePosixPath

from gridmote.fault import Fault

MAGIC = b"GM1\n"
_HEAD, _ENTRY = struct.Struct("<4sII"), struct.Struct("<III")


class Pack:
    """`head`: bytes before the bodies. `bodies`: [(path, bytes)] in their order. `data`: the whole."""

    def __init__(self, files):
        """files: {path: bytes}."""
        folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
        self.bodies = sorted(files.items())
        entries, at = [], _HEAD.size + _ENTRY.size * (len(files) + len(folders) + 1)
        for path, body in self.bodies:
            entries.append((crc32(path.encode()), at, len(body)))
            at += len(body)
        entries += [(crc32(folder.encode()), 0, 0) for folder in [*sorted(folders), ""]]
        if len({key for key, *_ in entries}) < len(entries):
            raise Fault("two modules have names with the same CRC-32: rename one")
        self.head = _HEAD.pack(MAGIC, at, len(entries)) + b"".join(_ENTRY.pack(*entry) for entry in entries)
        rest = b"".join(body for _, body in self.bodies)
        self.head = self.head[:-4] + struct.pack("<I", crc32(self.head[:-4] + rest))
        self.data = self.head + rest

    @property
    def digest(self):
        return sha256(self.data).hexdigest()


def unpack(data):
    """{CRC-32 of the path: bytes} of a pack; ValueError if it is none."""
    magic, size, n = _HEAD.unpack_from(data)
    if magic != MAGIC or size != len(data):
        raise ValueError("not a pack")
    entries = [_ENTRY.unpack_from(data, _HEAD.size + _ENTRY.size * i) for i in range(n)]
    return {key: data[at : at + length] for key, at, length in entries if at}
