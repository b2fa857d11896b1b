"""As /main.py does in its simplest form: mounts the pack of the slot and starts it."""

import sys
from binascii import crc32
from struct import pack, unpack

import vfs


class Pack:
    """Read-only files in one file (gridmote.flash.pack)."""

    def __init__(self, name):
        self._name = name
        with open(name, "rb") as file:
            magic, size, n = unpack("<4sII", file.read(12))
            if magic != b"GM1\n" or file.seek(0, 2) != size:
                raise OSError(5)
            file.seek(12)
            self._index = file.read(12 * n)

    def _find(self, path):
        key, at = pack("<I", crc32(path.strip("/").encode())), -1
        while True:
            at = self._index.find(key, at + 1)
            if at < 0:
                raise OSError(2)
            if at % 12 == 0:
                return unpack("<II", self._index[at + 4 : at + 12])

    def stat(self, path):
        return (0x8000 if self._find(path)[0] else 0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    def open(self, path, mode):
        at, _ = self._find(path)
        file = open(self._name, "rb")
        file.seek(at)
        return file

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass


try:
    with open("/app/slot") as f:
        slot = f.read()
    vfs.mount(Pack("/app/" + slot), "/pack")
    sys.path[:] = ["/pack/lib", "/pack", ".frozen"]
    from firmware.main import main
except (OSError, ImportError) as e:
    print("nothing to start:", e)
else:
    main()
