"""What all sources of sample blocks have in common: the blocks and the time of their first sample."""

from array import array

from waveform import MAX_FS_HZ

_NS_PER_S = 1_000_000_000


class BlockSource:
    """Two blocks handed over in turn, stamped with the time of their first sample.

    `channels`: list of dicts with name, kind ("V" or "I"), phase ("A", "B", "C", "N" or "") and scale
    (volts or amperes a count). `block`: array('h') of block_samples * len(channels) counts, sample by
    sample; it stays untouched until the next fill but one. `sec`: SOC - 2**31, `ns`: 0..999999999.
    A subclass writes `fill() -> int`: samples a channel in the new block, 0 at the end; no heap there.
    """

    def __init__(self, channels, fs_hz, block_samples):
        if not 1 <= fs_hz <= MAX_FS_HZ:
            raise ValueError("fs_hz %r: 1 to %d allowed" % (fs_hz, MAX_FS_HZ))
        if not 1 <= block_samples <= fs_hz:
            raise ValueError("block_samples %r: 1 to fs_hz (one second) allowed" % (block_samples,))
        self.channels = channels
        self.fs_hz = fs_hz
        self.block_samples = block_samples
        size = block_samples * len(channels)
        self._blocks = (array("h", bytes(2 * size)), array("h", bytes(2 * size)))
        self._turn = 0
        self.block = self._blocks[0]
        self._ns_whole = _NS_PER_S // fs_hz
        self._ns_rest = _NS_PER_S % fs_hz
        self.start(0)

    def start(self, sec):
        """The next block's first sample is the first of all, taken at the whole second sec = SOC - 2**31."""
        self.sec = sec
        self.ns = 0
        self._next_sec = sec
        self._next_i = 0  # index of the next block's first sample in its second

    def _next_block(self):
        """The block that the consumer does not have."""
        self._turn ^= 1
        return self._blocks[self._turn]

    def _hand_over(self, samples):
        """Make the filled block the current one and stamp it."""
        i = self._next_i
        self.block = self._blocks[self._turn]
        self.sec = self._next_sec
        self.ns = self._ns_whole * i + self._ns_rest * i // self.fs_hz
        i += samples
        if i >= self.fs_hz:
            i -= self.fs_hz
            self._next_sec += 1
        self._next_i = i
        return samples
