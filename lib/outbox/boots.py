"""Which boot this is, which numbers are its own, and how far each boot's own time was from the true one."""

import json
from binascii import crc32

from outbox.log import RANDOM_BOOT, RANDOM_CHUNK

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_FILE = "boot"
_OFFSETS = const(8)  # boots of which the offset is known
_MARGIN = const(1024)  # boots and chunks that nothing on flash may tell of, when the state is lost


class Boots:
    """Counts boots and hands out chunks of 2^20 record numbers, each of them once in the life of the storage.

    storage: see boards/storage.py, or None. rng: has getrandbits(n). logs: what they found stands in when the
    state is lost. boot: number of this boot; chunk: the first of its stream; durable_chunk: of its durable log.
    What is handed out was reserved on flash before. Without storage, or if it fails (`error` tells), numbers are
    drawn by lot from above RANDOM_BOOT and RANDOM_CHUNK, where no counter gets to. chunk < 2^28, boot < 2^30.
    """

    def __init__(self, storage, rng, *logs):
        self._storage = storage
        self._rng = rng
        self._offsets = []  # [boot, offset], oldest first
        self.dirty = False  # an offset is not on flash yet
        self.error = ""
        self._boot = self._chunk = 0  # highest that were given out
        try:
            if not storage:
                raise OSError
            self._load(storage, logs)
            self.boot = self._boot = self._boot + 1
            self.durable_chunk = self._chunk + 1
            self.chunk = self._chunk = self._chunk + 2
            self._save()
        except OSError as e:
            if storage:
                self.error = "boot not counted: %s" % e
            self._storage = None
            self.boot = RANDOM_BOOT | rng.getrandbits(28)
            self.durable_chunk = self.lot(rng.getrandbits(9))
            self.chunk = self.lot(rng.getrandbits(9))

    def _load(self, storage, logs):
        boot = max([log.boot_found for log in logs] + [0])
        chunk = max([log.chunk_found for log in logs] + [0])
        state = self._read(storage)
        if state:
            self._boot, self._chunk, self._offsets = state
            self._boot = max(self._boot, boot)
            self._chunk = max(self._chunk, chunk)
        else:  # a new board, or one whose past can only be guessed
            self._boot = boot + _MARGIN if boot else 0
            self._chunk = chunk + _MARGIN + self._rng.getrandbits(25)

    def _read(self, storage):
        """[boot, chunk, offsets] of the state file, None if it is not there or not whole."""
        if _FILE not in storage.names():
            return None
        buf = bytearray(storage.size(_FILE))
        storage.read(_FILE, 0, buf)
        try:
            if int(bytes(buf[:8]), 16) != crc32(buf[8:]):
                return None
            return json.loads(bytes(buf[8:]).decode())
        except ValueError:  # UnicodeError included
            return None

    def _save(self):
        text = json.dumps([self._boot, self._chunk, self._offsets]).encode()
        self._storage.replace(_FILE, b"%08x" % crc32(text) + text)
        self.dirty = False

    def lot(self, like):
        """A chunk that is drawn by lot, with the low 9 bits of `like`: for when none can be reserved."""
        return RANDOM_CHUNK | self._rng.getrandbits(18) << 9 | like & 0x1FF

    def reserve(self, like):
        """A fresh chunk that equals `like` in its low 9 bits, so that sequence numbers go on from one to the next.

        OSError: not reserved. Without storage it is drawn by lot.
        """
        if not self._storage:
            return self.lot(like)
        before = self._chunk
        self._chunk = before + 1 + ((like - before - 1) & 0x1FF)
        try:
            self._save()
        except OSError:
            self._chunk = before
            raise
        return self._chunk

    def learn(self, offset):
        """The time offset of this boot: (sec, us, at_sec, error_us, drift_ppm). `dirty` until it is on flash."""
        self._offsets = [o for o in self._offsets if o[0] != self.boot][1 - _OFFSETS :] + [[self.boot, offset]]
        self.dirty = True

    def save(self):
        """Write what is dirty; OSError."""
        if self._storage:
            self._save()
        self.dirty = False

    def offset(self, boot):
        """The offset that was learned for a boot, or None."""
        for known, offset in self._offsets:
            if known == boot:
                return offset
        return None
