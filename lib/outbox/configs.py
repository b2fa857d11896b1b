"""Which CFG-2 frame describes the frames at a reader's cursor, and what moves these in time."""

from binascii import crc32

from outbox.record import BLOCK_HEAD, CONFIG, CONTEXT, RECORD, crc, get_u32, is_head, shift

UNKNOWN = -1  # in place of a signature: there is none to be found


def signature(buf, off, size):
    """A number that tells CFG-2 frames apart: of their bytes without SOC, FRACSEC and CHK."""
    view = memoryview(buf)
    return crc32(view[off + 14 : off + size - 2], crc32(view[off : off + 6]))


class Configs:
    """reader: of the stream log, at most `most` bytes of a CONFIG are taken. boot: the present one.

    A reader's `config` is the signature of the CFG-2 frame of the boot that it is in, `described` its place.
    restamp: see Backlog. stamper: what it made, None if it could not; for the configuration that `is_loaded`.
    """

    def __init__(self, reader, boot, restamp, most):
        self._reader = reader
        self._log = reader.log
        self._boot = boot
        self._restamp = restamp
        self._most = most
        self.stamper = None
        self._stamper_of = None  # the signature of its configuration
        self._sought = None  # the boot that `look` looks for, and up to where it did
        self._seen = None

    def note(self):
        """The reader has just met a CONFIG."""
        reader = self._reader
        if reader.size <= self._most:
            reader.described = reader.number, reader.mark
            reader.config = signature(reader.buf, reader.off, reader.size)

    def look(self):
        """The reader met none, so it rotted: look for another copy, which later blocks may begin with. As far as
        the reader may read now: its `config` stays None until another call comes to an end."""
        reader, buf = self._reader, self._reader.buf
        if self._sought != reader.boot:
            self._sought = reader.boot
            self._seen = reader.number, reader.at
        context = bytearray(CONTEXT)
        for place in self._log.blocks_on_flash():
            if place <= self._seen:
                continue
            n = reader.read(place[0], place[1])
            if n < 0:
                return
            self._seen = place
            if n < BLOCK_HEAD + RECORD or not is_head(buf, 0, context):
                continue
            if get_u32(context, 0) != reader.boot:
                break  # a boot's blocks follow each other
            if buf[BLOCK_HEAD] >> 4 == CONFIG:
                size = (buf[BLOCK_HEAD] & 15) << 8 | buf[BLOCK_HEAD + 1]
                if size <= min(self._most, n - BLOCK_HEAD - RECORD) and crc(buf, BLOCK_HEAD, context, 0):
                    reader.described = place[0], place[1] + BLOCK_HEAD
                    reader.config = signature(buf, BLOCK_HEAD + RECORD, size)
                    self._sought = None
                    return
        reader.config = UNKNOWN
        self._sought = None

    def load(self):
        """Bring the CFG-2 frame to the front of the reader's buffer: its bytes; 0 if it cannot be had now, or, then
        the reader's `config` is None, from there any more."""
        reader, buf = self._reader, self._reader.buf
        if reader.boot == self._boot:
            size = len(self._log.config)
            buf[:size] = self._log.config
            return size
        if reader.config is None:
            return 0
        n = reader.read(reader.described[0], reader.described[1])
        if n < 0:
            return 0
        size = (buf[0] & 15) << 8 | buf[1]
        if n >= RECORD + size and signature(buf, RECORD, size) == reader.config:
            shift(buf, 0, RECORD, size)
            return size
        reader.config = reader.described = None
        return 0

    def is_loaded(self):
        """Whether `stamper` is for the frames at the cursor; if not, `load_stamper()`, which uses the buffer."""
        return self._stamper_of == self._reader.config

    def load_stamper(self):
        self.stamper = self._stamper_of = None
        size = self.load()
        if not size:
            return
        try:
            self.stamper = self._restamp(bytes(memoryview(self._reader.buf)[:size]))
        except ValueError:
            pass
        self._stamper_of = self._reader.config
