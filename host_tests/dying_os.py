"""An os module that dies at its n-th change of the disk, as in a power cut, or whose disk is full from then on."""

import errno
import os


class PowerCut(BaseException):
    """Nothing of the program runs after it that could change the disk."""


class DyingOs:
    """Stands for `os` in a module. after: how many changes it makes; full: OSError (ENOSPC) then, not PowerCut.

    Half of a write() is made when it dies. What was not synced is lost: lose() empties those files. Syncs are only
    counted, not made.
    """

    _CHANGES = ("open", "write", "fsync", "rename", "unlink", "mkdir")

    def __init__(self, after, full=False):
        self._left, self._full = after, full
        self._unsynced = {}
        self.died = False

    def __getattr__(self, name):
        function = getattr(os, name)
        if name not in self._CHANGES:
            return function

        def change(*args, **options):
            self._count(name, args)
            if name == "fsync":
                self._unsynced.pop(args[0], None)
                return None
            made = function(*args, **options)
            if name == "open" and args[1] & os.O_WRONLY:
                self._unsynced[made] = args[0]
            return made

        return change

    def _count(self, name, args):
        if self._left > 0:
            self._left -= 1
            return
        if name == "write" and not self.died:
            os.write(args[0], bytes(args[1])[: len(args[1]) // 2])
        self.died = True
        if not self._full or name == "unlink":  # a full disk lets go
            if not self._full:
                raise PowerCut
            return
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def lose(self):
        for path in self._unsynced.values():
            if os.path.exists(path):
                os.truncate(path, 0)
