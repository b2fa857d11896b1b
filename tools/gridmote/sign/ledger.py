"""What of a folder of one-time keys is used, so that none ever signs twice.

    state                                          JSON and its digest: what was handed out
    ~/.local/state/gridmote/signers/ID/count       the witness: how often that changed, outside of the folder

What is handed out is on the disk, in state and witness, before it is used: a crash at any instant loses numbers and
never repeats one. One run at a time has both locked. Refused with a Fault is

- a key without its state, or a state that is damaged;
- a state that is older than its witness: restored from a backup, or a copy whose twin has signed since;
- a state on another machine (by its machine-id), or whose key files are other files (by their inode): a copy;
- one that has no witness here: another user's, or a home that was made anew.

What cannot be seen: a whole machine set back (an image, a snapshot of it) or doubled, since all of its files agree.
No file can tell that. The nodes can: who receives two messages that one leaf signed refuses the second and raises
the alarm (lib/gossip/trust.py). After such a restore make new keys with the recovery key, as after every refusal.

A folder that is not `bound` (the recovery key, on a medium that is carried about) is not tied to machine and files,
and a witness it lacks is made: its copies on other machines go unseen, so it must not be copied.
"""

import contextlib
import fcntl
import json
import os
import secrets
import time
from hashlib import sha256
from pathlib import Path

from gridmote.fault import Fault
from gridmote.provision.folder import settle, write_durably

_WAIT_S = 30  # the other one may be making a key
_REMEDY = ("signing here could use a one-time key twice, which lets others forge. Sign where it was used last, or "
           "make new keys with the recovery key")


def witnesses():
    """The folder of all witnesses of this user."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "gridmote/signers"


def machine():
    """What tells this machine from others."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            if text := Path(path).read_text().strip():
                return sha256(f"gridmote {text}".encode()).hexdigest()[:16]
    return os.uname().nodename


def put(path, data):
    """A file, atomically, on the disk when this returns. OSError."""
    staged = path.with_name(path.name + "~")
    write_durably(staged, data)
    os.rename(staged, path)
    settle(path.parent)


def _seal(value):
    text = json.dumps(value).encode() + b"\n"
    return text + sha256(text).hexdigest().encode() + b"\n"


def _opened(data):
    """The value, None if it is damaged."""
    text, _, digest = data.removesuffix(b"\n").rpartition(b"\n")
    if sha256(text + b"\n").hexdigest().encode() != digest:
        return None
    return json.loads(text)


def _read(path):
    """The bytes of a file, None if there is none. OSError."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()


@contextlib.contextmanager
def locked(folder):
    """Fault if another run has it for long. OSError."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end = time.monotonic() + _WAIT_S
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Fault(f"{folder}: another run is signing with it; try again when that is over") from None
            time.sleep(0.02)
        yield
    finally:
        os.close(held)


def guess(folder):
    """What the state of a folder says, {} if nothing can be read: to be trusted with nothing that matters."""
    with contextlib.suppress(OSError):
        return _opened((Path(folder) / "state").read_bytes()) or {}
    return {}


class Ledger:
    """The state of the keys in `folder`; bound: to this machine and these files."""

    def __init__(self, folder, bound=True):
        self.folder, self._bound = Path(folder), bound
        self._path = self.folder / "state"

    def create(self, state):
        """The first state of a folder that nobody uses yet. OSError."""
        state = {**state, "id": secrets.token_hex(16), "count": 0, "machine": machine() if self._bound else ""}
        put(self._path, _seal(state))
        self._witness(state, make=True)

    @contextlib.contextmanager
    def held(self):
        """-> the state, a dict that commit() takes when it was changed; nobody else has it meanwhile. Fault."""
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(locked(self.folder))
                state = self._load()
                self._check_place(state)
                witness = self._witness(state, make=not self._bound)
                if not witness.exists():
                    raise Fault(f"{witness}: is missing, which tells when {self.folder} was used last; {_REMEDY}")
                stack.enter_context(locked(witness.parent))
                self._check_age(state, witness)
                yield state
        except OSError as error:
            raise Fault(f"{error.filename or self.folder}: {error.strerror}") from None

    def commit(self, state):
        """Both on the disk when this returns; whatever it raises, nothing of `state` may be used. OSError."""
        state["count"] += 1
        put(self._path, _seal(state))
        put(self._witness(state), _seal({"count": state["count"]}))

    def inode(self, name):
        """What a key file is known by."""
        return os.stat(self.folder / name).st_ino

    def _load(self):
        data = _read(self._path)
        if data is None:
            raise Fault(f"{self._path}: is missing, so nobody knows which one-time keys are used; {_REMEDY}")
        state = _opened(data)
        if state is None:
            raise Fault(f"{self._path}: is damaged, so nobody knows which one-time keys are used; {_REMEDY}")
        return state

    def _witness(self, state, make=False):
        path = witnesses() / state["id"] / "count"
        if make and not path.exists():
            missing = [one for one in (path.parent, *path.parent.parents) if not one.exists()]
            for one in reversed(missing):
                os.mkdir(one, 0o700)
                settle(one.parent)
            put(path, _seal({"count": state["count"]}))
        return path

    def _check_place(self, state):
        if not self._bound:
            return
        if state["machine"] != machine():
            raise Fault(f"{self.folder}: was made on another machine, this is a copy; {_REMEDY}")
        for key in state["keys"]:
            if self.inode(f"{key['epoch']}/key") != key["file"]:
                raise Fault(f"{self.folder}/{key['epoch']}/key: is a copy or was restored; {_REMEDY}")

    def _check_age(self, state, path):
        witness = _opened(path.read_bytes())
        if witness is None:
            raise Fault(f"{path}: is damaged, which tells when {self.folder} was used last; {_REMEDY}")
        if state["count"] < witness["count"]:
            raise Fault(f"{self.folder}: is older than when it signed last: a copy, or restored from a backup; "
                        f"{_REMEDY}")
