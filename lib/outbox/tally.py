"""Counts records that were given up, with the time of the first and of the last."""

from outbox.record import get_u32


class Tally:
    """`add` allocates nothing. A record that begins with a C37.118 head has its SOC at byte 6."""

    def __init__(self):
        self._socs = bytearray(8)  # of the first and of the last, 0: not known
        self.count = 0

    def add(self, buf, off, timed):
        """One more: the record at buf[off], `timed` if it carries a time that is known."""
        self.count += 1
        if timed and off + 10 <= len(buf):
            self.mark(buf, off + 6)

    def mark(self, buf, off):
        """The SOC at buf[off:off + 4] belongs to it."""
        socs = self._socs
        unset = not (socs[0] or socs[1])  # no time before 1970 and a day
        for i in range(4):
            socs[4 + i] = buf[off + i]
            if unset:
                socs[i] = buf[off + i]

    def span(self):
        """(SOC of the first, of the last), None where not known."""
        return get_u32(self._socs, 0) or None, get_u32(self._socs, 4) or None

    def clear(self):
        self.count = 0
        for i in range(8):
            self._socs[i] = 0
