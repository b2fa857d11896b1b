"""Files of one folder, durable when a call returns: on littlefs as on a POSIX file system."""

import errno
import os

from micropython import const

_ENOSPC = const(28)  # MicroPython's errno does not name it


class Folder:
    """path: a folder; it is made if it is not there (its parent must be). Names are those of files in it.

    Every method may raise OSError. What was written is on the medium when `write`, `replace` or `remove` returns,
    as far as the file system promises that: littlefs does for all three, POSIX for the content of files.
    """

    def __init__(self, path):
        self._path = path.rstrip("/") + "/"
        try:
            if not os.stat(self._path[:-1])[0] & 0x4000:
                raise OSError("not a folder")
        except OSError as e:
            if e.errno != errno.ENOENT:
                raise
            os.mkdir(self._path[:-1])

    def names(self):
        return [entry[0] for entry in os.ilistdir(self._path[:-1])]

    def size(self, name):
        return os.stat(self._path + name)[6]

    def write(self, name, at, buf, n):
        """buf[:n] is at byte `at` of the file, which is made if it is not there; at == size(name) appends.

        After an OSError what was there before `at` still is; the same call may be tried again.
        """
        try:
            file = open(self._path + name, "r+b")
        except OSError as e:
            if e.errno != errno.ENOENT:
                raise
            file = open(self._path + name, "wb")
        try:
            if at:
                file.seek(at)
            if file.write(buf if n == len(buf) else memoryview(buf)[:n]) != n:
                raise OSError(_ENOSPC)
            file.flush()
        finally:
            file.close()

    def read(self, name, at, buf):
        """Fill the whole of buf from byte `at` on, as far as the file goes: the bytes read."""
        file = open(self._path + name, "rb")
        try:
            if at:
                file.seek(at)
            return file.readinto(buf)
        finally:
            file.close()

    def read_each(self, name, places, buf):
        """As `read` from each place in turn, but the file is opened only once: yields the bytes read each time."""
        file = open(self._path + name, "rb")
        try:
            for at in places:
                file.seek(at)
                yield file.readinto(buf)
        finally:
            file.close()

    def remove(self, name):
        """The file is gone; no error if it was not there."""
        try:
            os.remove(self._path + name)
        except OSError as e:
            if e.errno != errno.ENOENT:
                raise

    def replace(self, name, data):
        """The file holds `data`, whole; until then, whatever happens, what it held before."""
        with open(self._path + name + "~", "wb") as file:
            if file.write(data) != len(data):
                raise OSError(_ENOSPC)
            file.flush()
        os.rename(self._path + name + "~", self._path + name)
