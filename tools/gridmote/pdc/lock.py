"""One adapter a client id, and one an archive.

A second one with a client id would take over the first one's MQTT session, and its messages. A second one on an
archive would have every message counted as a duplicate and, elsewhere in a node's backlog than the first one, could
make configurations hold from a wrong frame on.
"""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

from gridmote.fault import Fault

_THIS_COMPUTER = ("localhost", "::1")


@contextlib.contextmanager
def only_one(client_id, address):
    """While open no other process of this computer, of whatever user, has the same client id at the same broker.

    Fault when another one has it. The lock ends with the process, however that ends.
    """
    host = "127.0.0.1" if address.host in _THIS_COMPUTER else address.host
    key = hashlib.sha256(("%s %s:%d" % (client_id, host, address.port)).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / ("gridmote-pdc-%s.lock" % key)
    refusal = (
        "another `gridmote pdc` on this computer has client id %s at %s: end it, or give this one a base "
        "--port or a --client-id of its own" % (client_id, address))
    with _held(path, refusal):
        yield


@contextlib.contextmanager
def only_writer(archive):
    """While open no other process that sees the folder of this archive file writes to it; Fault when one does.

    Beside the file, as SQLite's own: temporary folders are not shared by containers and services that share it.
    """
    path = Path(archive).resolve()
    refusal = "another `gridmote pdc` writes to %s: end it, or give this one an --archive of its own" % archive
    with _held(path.with_name(path.name + "-lock"), refusal):
        yield


@contextlib.contextmanager
def _held(path, refusal):
    """The lock of the file `path`, which is there meanwhile; Fault(refusal) when another process has it."""
    lock = _locked(path)
    if lock is None:
        raise Fault(refusal)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # another user's file stays
            path.unlink()
        os.close(lock)


def _locked(path):
    """-> file descriptor that holds the lock, None if another process does."""
    while True:
        lock = _opened(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            pass
        os.close(lock)  # whoever had it has just ended and taken the file away


def _opened(path):
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_CREAT, 0o644)
    except PermissionError:  # Linux creates nothing over another user's file there, but lets it be opened
        return os.open(path, flags)
