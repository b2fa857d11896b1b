"""A folder laid out like a device's /node. Nothing is in its place before it is on the disk."""

import contextlib
import fcntl
import os
from pathlib import Path

from gridmote.fault import Fault

_OPEN = {"config.json": 0o644, "config.good": 0o644}  # the rest is for the owner alone


def write_durably(path, data, mode=0o600):
    """A new file with these bytes, on the disk when this returns. OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    held = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(held, left):]
        os.fsync(held)
    finally:
        os.close(held)


def settle(folder):
    """Names that were made, changed or removed in `folder` are on the disk when this returns."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


@contextlib.contextmanager
def locked(folder):
    """Fault if another run has locked it. OSError."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Fault(f"{folder}: in use by another gridmote provision") from None
    finally:
        os.close(held)


class FolderPlace:
    """The files of one node below `folder`, by their names on the device. OSError from everything."""

    def __init__(self, folder):
        self._folder = Path(folder)

    def __str__(self):
        return str(self._folder)

    def path(self, name):
        """What a file is called in messages."""
        return str(self._folder / name)

    @contextlib.contextmanager
    def held(self):
        """For the one run that changes it; Fault for a second."""
        self._make()
        with locked(self._folder):
            yield

    def read(self, name):
        """Bytes, or None if there is no such file."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self):
        """Of the files that can be ours."""
        return [str(path.relative_to(self._folder))
                for part in (self._folder, self._folder / "keys") if part.is_dir()
                for path in sorted(part.iterdir()) if path.is_file()]

    def write(self, name, data):
        """The whole file, on the disk."""
        path = self._folder / name
        self._make()
        if path.parent != self._folder and not path.parent.is_dir():
            os.mkdir(path.parent, 0o700)
        write_durably(path, data, _OPEN.get(name.removesuffix("~"), 0o600))

    def _make(self):
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            settle(self._folder.parent)

    def rename(self, old, new):
        os.rename(self._folder / old, self._folder / new)

    def remove(self, name):
        os.unlink(self._folder / name)

    def settle(self):
        """All renames and removals so far are on the disk."""
        for part in (self._folder / "keys", self._folder):
            if part.is_dir():
                settle(part)
