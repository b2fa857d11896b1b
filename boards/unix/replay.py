"""Replay of a recording that the host converted (tools/gridmote/signals/recording.py), streamed from its file."""

from array import array

try:
    import micropython
except ImportError:  # CPython: the same source as plain Python
    from plainviper import micropython, ptr16

from boards.source import BlockSource
from waveform.gmr import RecordingError, read_head


@micropython.viper
def _copy(dst: ptr16, src: ptr16, at: int, n: int):
    for i in range(n):
        dst[at + i] = src[i]


class Replay(BlockSource):
    """Blocks of a recording, repeated in its loop for ever or played once to its end."""

    def __init__(self, path, block_samples, repeat):
        self._path = path
        self._file = open(path, "rb")
        head, self._data_at = read_head(path, self._file)
        self._width = 2 * len(head["channels"])  # bytes a sample of all channels
        self._start, self._end = 0, head["samples"]
        self._repeat = repeat
        if repeat:
            if not head["loop"]:
                raise RecordingError("%s: was converted without a loop, cannot be repeated" % path)
            self._start, length = head["loop"]
            if length < 1 or self._start < 0 or self._start + length > self._end:
                raise RecordingError("%s: loop %r outside of the recording" % (path, head["loop"]))
            self._end = self._start + length
        self.f0_hz = head["f0_hz"]
        self._rest = array("h", bytes(block_samples * self._width))  # what follows a jump, before it is moved
        super().__init__(head["channels"], head["fs_hz"], block_samples)

    def start(self, sec):
        super().start(sec)
        self._go(0)

    def _go(self, sample):
        self._pos = sample
        self._file.seek(self._data_at + sample * self._width)

    def fill(self):
        """The next block. RecordingError when the file has become shorter under way."""
        block = self._next_block()
        n = 0
        while n < self.block_samples:
            if self._pos == self._end:
                if not self._repeat:
                    break
                self._go(self._start)
            m = self._end - self._pos
            if m > self.block_samples - n:
                m = self.block_samples - n
            size = m * self._width
            got = self._file.readinto(self._rest if n else block, size)
            if got != size:
                raise RecordingError("%s: cut off at sample %d" % (self._path, self._pos))
            if n:
                _copy(block, self._rest, n * self._width // 2, size // 2)
            self._pos += m
            n += m
        return self._hand_over(n)

    def close(self):
        self._file.close()
