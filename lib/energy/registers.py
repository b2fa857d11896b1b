"""Energy registers: what each phase took in and gave out, integrated frame by frame without loss."""

import array
import struct
from binascii import crc32

from phasor.kernel import ABSENT, to_rectangular

try:
    import micropython
    from micropython import const
except ImportError:  # CPython: the same source as plain Python
    from plainviper import const, micropython, ptr16, ptr32

# words a phase in `sums`: four limbs (15, 30, 30, 31 bits, lowest first) in, four out, frames missing
_SUM = const(9)
_FRACTION = const(96)  # bits of a register behind the Wh


@micropython.viper
def _integrate(work: ptr16, sums: ptr32, count: int):
    """Add each phase's active power to its sum in or out, in 2^-13 square counts.

    The product of two values of 30 bits is made of 15-bit ones; only its lowest 15 bits are cut off.
    """
    p = 0
    for i in range(count):
        high = 0
        low = 0
        for _ in range(2):
            a = (((int(work[p + 1]) ^ 0x8000) - 0x8000) << 16) | int(work[p])
            b = (((int(work[p + 5]) ^ 0x8000) - 0x8000) << 16) | int(work[p + 4])
            p += 2
            m = (a >> 15) * (b & 32767) + (a & 32767) * (b >> 15) + (((a & 32767) * (b & 32767)) >> 15)
            high += (a >> 15) * (b >> 15) + (m >> 15)
            low += m & 32767
        p += 4
        high += low >> 15
        low &= 32767
        s = i * 9
        if high < 0:
            s += 4
            high = -1 - high
            low = 32768 - low
        low += int(sums[s])
        sums[s] = low & 32767
        high += int(sums[s + 1]) + (low >> 15)
        sums[s + 1] = high & 0x3FFFFFFF
        high = int(sums[s + 2]) + (high >> 30)
        sums[s + 2] = high & 0x3FFFFFFF
        sums[s + 3] = int(sums[s + 3]) + (high >> 30)


class Registers:
    """Active energy in (current in phase with the voltage) and out of each of the phases A, B and C.

    channels: of the source, in the order of `values`; the first voltage ("V") and the first current ("I") of
    a phase make a pair. values: what the Estimator writes, `rectangular` as it was told. rate: frames per second.

    phases: those that have a pair, such as "ABC"; without any there is nothing to register.
    missing: for each phase, frames in which voltage or current had no angle (none, or below the estimator's
    floor: no load) up to the last `wh` or `state`. They count as no power, and so do frames never estimated.

    The sums are whole multiples of 2^-13 square counts. Each frame's power is rounded to them once, 1e-5 of it
    at the floor of 8 counts and less above, and nothing else ever is: no drift. A register holds 2^64 Wh.
    """

    def __init__(self, channels, values, rate, rectangular=False):
        self._values = values
        self.phases = ""
        self._factors = []  # 2^-96 Wh in a sum's unit
        self._pairs = []  # (places of voltage and current in `values`, of the phase in `sums`)
        for phase in "ABC":
            pair = [
                [i for i, channel in enumerate(channels) if channel["kind"] == kind and channel["phase"] == phase]
                for kind in "VI"
            ]
            if pair[0] and pair[1]:
                self._pairs.append((4 * pair[0][0], 4 * pair[1][0], _SUM * len(self.phases)))
                self.phases += phase
                scale = channels[pair[0][0]]["scale"] * channels[pair[1][0]]["scale"]
                self._factors.append(int(scale / (3600 * rate) * 2.0 ** (_FRACTION - 13)))
        count = len(self.phases)
        self._polar = not rectangular
        self._work = array.array("i", bytes(16 * count))
        self._sums = array.array("i", bytes(4 * _SUM * count))
        self._registers = [0] * (2 * count)  # in, out of each phase, in 2^-96 Wh
        self.missing = [0] * count

    def add(self):
        """Integrate `values` over one frame interval; allocates nothing."""
        values, work, sums = self._values, self._work, self._sums  # of four, a tuple would be made
        polar = self._polar
        w = 0
        for v, c, s in self._pairs:
            angle_v = values[v + 1]
            angle_c = values[c + 1]
            work[w + 2] = values[v]
            if angle_v == ABSENT or angle_c == ABSENT:
                sums[s + 8] += 1
                work[w] = work[w + 1] = work[w + 3] = 0
            elif polar:  # the voltage is the reference; work[w + 3] stays 0
                work[w] = values[c]
                work[w + 1] = (angle_c - angle_v) & 0x3FFFFFFF
            else:
                work[w] = values[c]
                work[w + 1] = angle_c
                work[w + 3] = angle_v
            w += 4
        if polar:
            to_rectangular(work, w >> 2)
        _integrate(work, sums, w >> 2)

    def wh(self):
        """(Wh in, Wh out) of each phase, whole; what is left over stays in the registers."""
        self._carry()
        whole = [register >> _FRACTION for register in self._registers]
        return whole[::2], whole[1::2]

    def state(self):
        """The registers as bytes, to 2^-32 Wh, with a checksum."""
        self._carry()
        state = b"E" + self.phases.encode()
        for register in self._registers:
            state += struct.pack(">QI", register >> _FRACTION, register >> (_FRACTION - 32) & 0xFFFFFFFF)
        return state + struct.pack(">I", crc32(state))

    def restore(self, state):
        """Go on from a `state`: its phases replace those here. ValueError if it is damaged."""
        count = (len(state) - 5) // 25
        if count < 0 or len(state) != 5 + 25 * count or state[:1] != b"E":
            raise ValueError("no state of energy registers")
        if struct.unpack_from(">I", state, len(state) - 4)[0] != crc32(state[:-4]):
            raise ValueError("damaged state of energy registers")
        self._carry()
        for i in range(count):
            here = self.phases.find(chr(state[1 + i]))
            if here >= 0:
                for k in range(2):
                    whole, part = struct.unpack_from(">QI", state, 1 + count + 24 * i + 12 * k)
                    self._registers[2 * here + k] = (whole << 32 | part) << (_FRACTION - 32)

    def _carry(self):
        """Move the sums into the registers, exactly."""
        sums = self._sums
        for i in range(len(self.phases)):
            at = _SUM * i
            for k in range(2):
                total = 0
                for limb, shift in enumerate((0, 15, 45, 75)):
                    total += sums[at + 4 * k + limb] << shift
                self._registers[2 * i + k] += total * self._factors[i]
            self.missing[i] += sums[at + 8]
            for word in range(at, at + _SUM):
                sums[word] = 0
