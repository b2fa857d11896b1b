"""What the world around an outbox knows: every record ever made, what was promised, what the broker has."""

import json
import struct

import micropython

ACKED, GONE, FOUND = 1, 2, 4  # of a frame: the broker has it; excused at a reboot; seen by a check
SOC = 1800000000
NO_TIME = 1609459200  # where the stamps of a boot without time begin
FRAME, UNTIMED, CONFIG, METER, EVENT = 1, 2, 3, 4, 5  # kinds of records


class Broken(Exception):
    """A promise of the outbox does not hold."""


@micropython.viper
def fill(buf: ptr8, off: int, end: int, index: int):
    for at in range(off, end):
        buf[at] = index * 31 + (index >> 8) + (at - off) * 17


@micropython.viper
def differs(buf: ptr8, off: int, end: int, index: int) -> int:
    for at in range(off, end):
        if buf[at] != (index * 31 + (index >> 8) + (at - off) * 17) & 0xFF:
            return 1
    return 0


class Moved:
    """Stands for c37118.restamp: moves SOC only and marks it, so that the rest can be compared."""

    def __init__(self, config):
        if bytes(config[:2]) != b"\xaa\x31":
            raise ValueError("no CFG-2 frame")
        self.size = 0

    def move(self, buf, off, offset):
        soc = struct.unpack_from(">I", buf, off + 6)[0] + offset[0]
        struct.pack_into(">I", buf, off + 6, soc & 0xFFFFFFFF)
        buf[off + 14] |= 2  # STAT bit 9: data modified
        return True

    move_config = move


class World:
    """All frames, numbered by `made`, and all durable records, by their number.

    state: a byte a frame (ACKED, GONE); flash: 1 for frames that were seen to be on flash.
    used: every number a record had; boots: all boot numbers.
    offsets: seconds by which a boot's stamps are moved, once they are; learned: boots for which this is on flash.
    """

    def __init__(self, frame_size, frames_most):
        self.frame_size = frame_size
        self.state = bytearray(frames_most)
        self.flash = bytearray(frames_most)
        self.numbers = [0] * frames_most
        self.boot_of = [0] * frames_most
        self.made = 0
        self.used = set()  # numbers, and chunks of them
        self.chunks = set()
        self.boots = []
        self.versions = {}  # of the configuration, by boot
        self.offsets = {}
        self.learned = set()
        self.untimed = set()  # boots
        self.offered = {}  # durable records by number
        self.promised = set()  # numbers of those that `keep` said to be durable, until they arrived

    def begin(self, boot, chunks, timed, version):
        """A boot begins, with numbers from these chunks, and `version` of the configuration."""
        if boot in self.boots:
            raise Broken("boot number %d again" % boot)
        for chunk in chunks:
            if chunk in self.chunks:
                raise Broken("numbers from %d << 20 on again" % chunk)
        self.boots.append(boot)
        self.versions[boot] = version
        if not timed:
            self.untimed.add(boot)

    def fork(self):
        """The world from here on, as it might go: what happens there does not happen here."""
        other = World(self.frame_size, 0)
        other.state = bytearray(self.state)
        other.flash = bytearray(self.flash)
        other.numbers, other.boot_of = self.numbers, self.boot_of  # written from `made` on, which is free here
        other.made = self.made
        other.chunks = set(self.chunks)
        other.boots = list(self.boots)
        other.versions = dict(self.versions)
        other.offsets = dict(self.offsets)
        other.learned = set(self.learned)
        other.untimed = set(self.untimed)
        other.offered = dict(self.offered)
        other.promised = set(self.promised)
        return other

    def config(self, version):
        """A CFG-2 frame."""
        data = bytearray(94)
        struct.pack_into(">HHHIIIH", data, 0, 0xAA31, 94, 7, SOC, 0, 1000000, 1)
        fill(data, 20, 94, version)
        return data

    def write(self, buf, off, boot):
        """The next frame into buf; returns its index. It is made when `own` has been told its number."""
        index = self.made
        soc = (NO_TIME if boot in self.untimed else SOC) + index // 50
        struct.pack_into(">HHHIIHI", buf, off, 0xAA01, self.frame_size, 7, soc, index % 50 * 20000, 0, index)
        fill(buf, off + 20, off + self.frame_size, index)
        return index

    def own(self, number, boot):
        self._use(number)
        self.numbers[self.made] = number
        self.boot_of[self.made] = boot
        self.made += 1

    def _use(self, number):
        if number in self.used:
            raise Broken("number %d again" % number)
        self.used.add(number)
        self.chunks.add(number >> 20)

    def event(self, number, boot):
        """Bytes of a durable record of that number, sizes of all kinds."""
        return b'{"seq":%d,"boot":%d,"x":"%s"}' % (number, boot, b"abcdefghij" * (number * 7 % 30))

    def offer(self, number, data):
        """A durable record is about to be kept: it may arrive."""
        self._use(number)
        self.offered[number] = data

    def promise(self, number):
        """It was kept: it must arrive."""
        self.promised.add(number)

    def identify(self, buf, off):
        """Index of the frame at buf[off], or Broken if one bit of it is not as it was made."""
        head = struct.unpack_from(">HHHIIHI", buf, off)
        index = head[6]
        if index >= self.made:
            raise Broken("a frame that was never made: %s" % (head,))
        boot = self.boot_of[index]
        soc = (NO_TIME if boot in self.untimed else SOC) + index // 50
        stat = 0
        if head[5] & 0x200:
            stat, soc = 0x200, soc + self.offsets[boot]
        if head != (0xAA01, self.frame_size, 7, soc, index % 50 * 20000, stat, index) or differs(
            buf, off + 20, off + self.frame_size, index
        ):
            raise Broken("frame %d altered: %s" % (index, head))
        return index


@micropython.viper
def missing(state: ptr8, n: int) -> int:
    """How many of the first n frames are neither with the broker nor marked otherwise."""
    count = 0
    for i in range(n):
        if not state[i]:
            count += 1
    return count


@micropython.viper
def missing_there(state: ptr8, flash: ptr8, n: int) -> int:
    """How many of them were on flash."""
    count = 0
    for i in range(n):
        if not state[i] and flash[i]:
            count += 1
    return count


class Reader:
    """Takes the messages of a backlog apart: `take(kind, buf, size)` -> (indices of frames, number or None).

    Broken if a record is altered, or goes before the configuration that describes it.
    """

    def __init__(self, world, announced):
        self.world = world
        self.announced = announced  # the CFG-2 frame that was sent last; the live one at first

    def take(self, kind, buf, size):
        if kind in (METER, EVENT):
            number = json.loads(bytes(buf[:size]))["seq"]
            if bytes(buf[:size]) != self.world.offered.get(number):
                raise Broken("durable record %d altered" % number)
            return (), number
        if kind == CONFIG:
            self.announced = bytes(buf[:size])
            return (), None
        return (self._untimed if kind == UNTIMED else self._frames)(buf, size), None

    def _frames(self, buf, size):
        world, found = self.world, []
        if size % world.frame_size:
            raise Broken("a message of %d bytes" % size)
        for off in range(0, size, world.frame_size):
            index = world.identify(buf, off)
            if world.boot_of[index] in world.untimed and not buf[off + 14] & 2:
                raise Broken("frame %d without time among those with it" % index)
            if not same_config(self.announced, world.config(world.versions[world.boot_of[index]])):
                raise Broken("frame %d after another configuration" % index)
            found.append(index)
        return found

    def _untimed(self, buf, size):
        world, found = self.world, []
        boot = struct.unpack_from(">I", buf)[0]
        if boot in world.learned:
            raise Broken("boot %d knew its time" % boot)
        off = 4
        while off < size:
            high, low, _ticks = struct.unpack_from(">HII", buf, off)
            index = world.identify(buf, off + 10)
            if world.numbers[index] != high << 32 | low or world.boot_of[index] != boot:
                raise Broken("frame %d: boot %d, number %d" % (index, boot, high << 32 | low))
            found.append(index)
            off += 10 + world.frame_size
        return found


def same_config(a, b):
    """Whether two CFG-2 frames differ in their stamps only."""
    return bytes(a[20:]) == bytes(b[20:])
