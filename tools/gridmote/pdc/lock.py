"""One adapter a client id: a second one would take over the first one's MQTT session, and its messages."""

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
    lock = _locked(path)
    if lock is None:
        raise Fault(
            "another `gridmote pdc` on this computer has client id %s at %s: end it, or give this one a base "
            "--port or a --client-id of its own" % (client_id, address))
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
