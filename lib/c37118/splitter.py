"""Frames out of a byte stream, cut anywhere, with garbage and broken frames between.

A candidate is a SYNC byte followed by a known frame type and a FRAMESIZE that this type can have and
`max_size` allows. The earliest candidate rules:
- complete and its CHK good: it is a frame, and what lies inside it is not looked at;
- complete and its CHK bad: only its first byte is given up, the search goes on behind that;
- not complete yet: it is waited for, unless a later candidate is complete and good already. Then
  the earlier one is taken for garbage, so that a false FRAMESIZE never holds back what follows.
Every candidate is checksummed once. A frame with another whole frame inside (in EXTFRAME, say) gives
way to that one only when the stream is cut between the two ends.
"""

from c37118.crc import crc_ccitt
from c37118.frame import MAX_SIZE, SYNC

_LEAST = (16, 16, 24, 24, 18, 26)  # bytes of a frame of each type (Tables 5, 8, 10, 13, 14)
_SYNC = bytes((SYNC,))


class Splitter:
    """max_size: the longest frame to expect; the buffer holds at most that much between two feeds.

    Counters, the same for any segmentation: frames given out; skipped_bytes, those in no frame (bytes
    of a candidate still waited for are not among them yet); bad_checksums, candidates given up,
    overlapping ones as one. on_skip(bytes) is called with every run of skipped bytes as it is given up,
    when `frames` frames have come before it.
    """

    def __init__(self, max_size=MAX_SIZE, on_skip=None):
        self.max_size = max_size
        self.on_skip = on_skip
        self.frames = 0
        self.skipped_bytes = 0
        self.bad_checksums = 0
        self._buf = bytearray()
        self._at = 0  # everything before is given out or skipped
        self._scan = 0  # the search for SYNC goes on here
        self._open = []  # [start, end, known to be bad], by start, from _at on
        self._counted = 0  # a candidate that starts before overlaps one in bad_checksums

    def feed(self, chunk):
        """List of the frames (bytes) that `chunk` completes, in the order of the stream."""
        self._buf.extend(chunk)
        out = []
        while True:
            candidate = self._earliest_good()
            if candidate is None:
                break
            start, end = candidate[0], candidate[1]
            self._give_up_before(start)
            out.append(bytes(self._buf[start:end]))
            self.frames += 1
            self._at = self._counted = end
            self._scan = max(self._scan, end)
            self._open = [c for c in self._open if c[0] >= end]
        self._trim()
        return out

    def _earliest_good(self):
        """The candidate to give out now, or None; drops the bad ones that nothing precedes."""
        i = 0
        while i < len(self._open) or self._find():
            candidate = self._open[i]
            if self._is_good(candidate):
                return candidate
            if candidate[2] and i == 0:
                self._give_up_before(self._open[1][0] if len(self._open) > 1 else self._scan)
            else:
                i += 1
        return None

    def _is_good(self, candidate):
        start, end, bad = candidate
        if bad or end > len(self._buf):
            return False
        chk = self._buf[end - 2] << 8 | self._buf[end - 1]
        candidate[2] = crc_ccitt(self._buf, start, end - 2) != chk
        return not candidate[2]

    def _find(self):
        """Appends the next candidate to _open; False when there is none in the buffer."""
        buf = self._buf
        while True:
            start = buf.find(_SYNC, self._scan)
            self._scan = len(buf) if start < 0 else start
            if start < 0 or len(buf) - start < 4:
                return False
            self._scan += 1
            kind, size = buf[start + 1] >> 4 & 7, buf[start + 2] << 8 | buf[start + 3]
            if kind < len(_LEAST) and _LEAST[kind] <= size <= self.max_size:
                self._open.append([start, start + size, False])
                return True

    def _give_up_before(self, position):
        """Counts the candidates and bytes before `position` as no frames."""
        while self._open and self._open[0][0] < position:
            start, end, _ = self._open.pop(0)
            if start >= self._counted:
                self.bad_checksums += 1
                self._counted = end
        if position > self._at:
            self.skipped_bytes += position - self._at
            if self.on_skip:
                self.on_skip(bytes(self._buf[self._at : position]))
            self._at = position

    def _trim(self):
        """Cuts off what is decided, and moves all positions accordingly."""
        if not self._open:
            self._give_up_before(self._scan)
        elif self._open[0][0] > self._at:
            self._give_up_before(self._open[0][0])
        cut = self._at
        if cut:
            self._buf = self._buf[cut:]
            self._at = 0
            self._scan -= cut
            self._counted -= cut
            for candidate in self._open:
                candidate[0] -= cut
                candidate[1] -= cut
