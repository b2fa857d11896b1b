"""Small values that survive power cuts: each whole, or as it was before."""

from binascii import crc32

from micropython import const

_HEAD = const(4)  # CRC-32 of what follows
_ENOENT = const(2)
_MOST = const(8192)  # bytes; a file that has more is none of these


class Shelf:
    """storage: see boards/storage.py, or None: then values last until the next start (`durable` is False).

    `get(name)`: bytes; None: there is no such value; False: what is there is not whole, or cannot be read.
    `put(name, data)`: durable when it returns; OSError: the old value stays. name: up to 15 characters that file
    names may have.
    """

    def __init__(self, storage):
        self._storage = storage
        self.durable = storage is not None
        self._ram = {}

    def get(self, name):
        if not self.durable:
            return self._ram.get(name)
        name = "_" + name  # the outbox has files of its own in the same folder
        try:
            size = self._storage.size(name)
            if not _HEAD <= size <= _HEAD + _MOST:
                return False
            buf = bytearray(size)
            n = self._storage.read(name, 0, buf)
        except OSError as e:
            return None if e.errno == _ENOENT else False
        data = bytes(buf[_HEAD:n])
        return crc32(data).to_bytes(_HEAD, "big") == buf[:_HEAD] and data

    def put(self, name, data):
        if self.durable:
            self._storage.replace("_" + name, crc32(data).to_bytes(_HEAD, "big") + data)
        else:
            self._ram[name] = bytes(data)
