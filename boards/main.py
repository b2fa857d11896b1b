"""Starts the application: as /main.py, the only file of ours in the root folder of a board.

/app/a and /app/b are packs of its modules, /app/slot says which of them is to run. One that cannot be read, or does
not load, leaves it to the other; without any there is what was frozen into the image.
"""

import sys
from binascii import crc32
from struct import pack, unpack


class Pack:
    """The modules in one file, as a file system: a file of its own each would take a block of flash each.

    b"GM1\\n", u32 size of it all, u32 n, n times (u32 CRC of a path, u32 offset, 0 for a folder, u32 size), bodies.
    The last size is the CRC of all but itself; 0, in packs of before, is none.
    """

    def __init__(self, name):
        self._name = name
        with open(name, "rb") as file:
            head = file.read(12)
            magic, size, n = unpack("<4sII", head)
            if magic != b"GM1\n" or file.seek(0, 2) != size:
                raise OSError(5)
            file.seek(12)
            self._index = index = file.read(12 * n)
            crc, part = crc32(index[:-4], crc32(head)), bytearray(512)
            while n:
                n = file.readinto(part)
                crc = crc32(memoryview(part)[:n], crc)
            if index[4:8] != pack("<I", 12 + len(index)) or index[-4:] not in (bytes(4), pack("<I", crc)):
                raise OSError(5)

    def _find(self, path):
        key, at = pack("<I", crc32(path.strip("/").encode())), -1
        while True:
            at = self._index.find(key, at + 1)
            if at < 0:
                raise OSError(2)
            if at % 12 == 0:
                return unpack("<I", self._index[at + 4 : at + 8])[0]

    def stat(self, path):
        return (0x8000 if self._find(path) else 0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    def open(self, path, mode):
        at = self._find(path)
        file = open(self._name, "rb")
        file.seek(at)  # where the import begins to read; a .mpy file says itself where it ends
        return file

    def mount(self, *_):
        pass

    umount = mount


def _wanted(app):
    try:
        with open(app + "/slot", "rb") as file:
            return "b" if file.read(1) == b"b" else "a"
    except OSError:
        return "a"


def begin(root):
    """Run the application in the folders of `root`, "" on a board. False: there is none."""
    import vfs

    app = root + "/app"
    wanted, path = _wanted(app), sys.path[:]
    for slot in wanted, "b" if wanted == "a" else "a", "":
        before = set(sys.modules)
        try:
            if slot:
                vfs.mount(Pack(app + "/" + slot), "/pack")
                sys.path[:] = ["/pack/lib", "/pack", ".frozen"]
            else:  # "" is the root: its folder outbox would hide the package
                sys.path[:] = [place for place in path if place]
            from firmware.device import device

            device(app, slot, wanted if slot else "")
            return True
        except Exception as e:
            if getattr(e, "errno", 0) != 2:
                print("application %s does not start: %r" % (slot or "in the image", e))
            for name in set(sys.modules) - before:
                del sys.modules[name]
            sys.path[:] = path
            try:
                vfs.umount("/pack")
            except OSError:
                pass
    return False


def give_up():
    """Perhaps it could not be read just now; until then whoever presses Ctrl-C has the board."""
    from time import sleep

    from machine import reset

    sleep(60)
    reset()


if __name__ == "__main__" and not begin(sys.argv[1] if len(sys.argv) > 1 else ""):
    give_up()
