"""Which messages have come already: by origin the highest sequence number and the 32 up to it, in one array.

What is not signed anybody can make: it counts by blocks of 2**14 numbers (a boot of its origin), so that one forged
far ahead says nothing of those before.
"""

from struct import pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const


_SIGNERS = const(15)  # wire.py
_OK = const(0)
_DUPLICATE = const(13)
_OLD = const(16)
_BLOCK = const(14)
_LOOSE = const(2)
_ENTRY = const(12)  # key u32, highest sequence u32, a bit for each of the 32 up to it, at its number modulo 32


class Seen:
    """size: origins. A key is an origin, or what stands for one (store.pair_of); up to SIGNERS they sign.

    The entry used last stands first. Two are for who does not sign; where there is no room, of either that goes
    which was used longest ago: what signs is known to gossip.trust for good.
    """

    _fresh = 0  # entries used since the last `age`: they are the first ones

    def __init__(self, size):
        self._array = bytearray(_ENTRY * size)
        self.count = 0

    def _find(self, key, seq):
        for at in range(0, _ENTRY * self.count, _ENTRY):
            found, high = unpack_from(">II", self._array, at)
            if found == key and (key <= _SIGNERS or high >> _BLOCK == seq >> _BLOCK):
                return at
        return -1

    def age(self):
        """Forget what was not used since the last time; not of those that sign."""
        array, kept = self._array, _ENTRY * self._fresh
        for at in range(kept, _ENTRY * self.count, _ENTRY):
            if unpack_from(">I", array, at)[0] <= _SIGNERS:
                array[kept : kept + _ENTRY] = array[at : at + _ENTRY]
                kept += _ENTRY
        self.count, self._fresh = kept // _ENTRY, 0

    def state(self, key, seq):
        """OK: it is new; DUPLICATE; OLD: below the window, nobody knows."""
        at = self._find(key, seq)
        if at < 0:
            return _OK
        back = unpack_from(">I", self._array, at + 4)[0] - seq
        if back < 0:
            return _OK
        if back > 31:
            return _OLD
        return _DUPLICATE if self._array[at + 8 + (seq >> 3 & 3)] >> (seq & 7) & 1 else _OK

    def mark(self, key, seq):
        """It came, and was new. The highest that came before, 0: none."""
        array, at, high = self._array, self._find(key, seq), 0
        if at < 0:
            at = self._room(key <= _SIGNERS)
            pack_into(">III", array, at, key, seq, 0)
        else:
            high = unpack_from(">I", array, at + 4)[0]
            for passed in range(max(high + 1, seq - 31), seq + 1):
                array[at + 8 + (passed >> 3 & 3)] &= ~(1 << (passed & 7))
            pack_into(">I", array, at + 4, max(seq, high))
        if seq > high - 32:
            array[at + 8 + (seq >> 3 & 3)] |= 1 << (seq & 7)
        self._fresh += at >= _ENTRY * self._fresh
        entry = array[at : at + _ENTRY]
        array[_ENTRY : at + _ENTRY] = array[:at]
        array[:_ENTRY] = entry
        return high

    def _room(self, signs):
        array, end = self._array, _ENTRY * self.count
        signed = [at for at in range(0, end, _ENTRY) if unpack_from(">I", array, at)[0] <= _SIGNERS]
        if signs and _ENTRY * (len(signed) + _LOOSE) >= len(array):
            return signed[-1]
        if end < len(array):
            self.count += 1
            return end
        at = end - _ENTRY
        while at in signed:
            at -= _ENTRY
        return at

    def forget(self):
        """The numbers of all that sign but the recovery key count anew: a thief may have used them up."""
        for at in range(0, _ENTRY * self.count, _ENTRY):
            if 0 < unpack_from(">I", self._array, at)[0] <= _SIGNERS:
                pack_into(">II", self._array, at + 4, 0, 0)

    def digest(self, buf, at):
        """Write the entries as they are; how many bytes."""
        size = _ENTRY * self.count
        buf[at : at + size] = self._array[:size]
        return size

    def take(self, buf, at, size):
        """Be as the one that wrote these entries."""
        self._array[:size] = buf[at : at + size]
        self.count = size // _ENTRY
