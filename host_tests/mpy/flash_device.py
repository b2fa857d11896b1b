"""NOR flash in RAM under MicroPython's own VfsLfs2: counts, refuses what silicon cannot do, loses its power."""

import array
import random

import vfs

BLOCK = 4096  # bytes that one erase sets to 0xFF
BLOCKS = 212  # 848 KiB: what the Pico W's firmware leaves
PROG_SIZES = {"rp2": 256, "esp32": 32}  # bytes a program, as the ports' boot scripts mount littlefs
BEFORE, MIDDLE, AFTER = range(3)  # where in a program or an erase the power goes
_ERASED = memoryview(b"\xff" * BLOCK)


class PowerCut(Exception):
    """The power went in the middle of an operation: nothing of the program that ran survives, the image does."""


class FlashDevice:
    """A block device with the extended interface of MicroPython; `prog_size` bytes are programmed at a time.

    image: the bytes, 0xFF when erased. reads, read_bytes, programs, erases: operations so far; wear: erases a
    block. violations: programs onto bytes that are not erased (NOR flash clears bits only, so they are ANDed).
    watch: called with the device before each program and erase, when `programs + erases` operations are done;
    `torn(mode)` is then the image that a power cut before, in the middle of or after this operation leaves.
    `cut(n, mode)` cuts the power at the n-th operation from now: PowerCut, and the device answers no more.
    """

    def __init__(self, prog_size, image=None, blocks=BLOCKS):
        self.prog_size = prog_size
        self.blocks = blocks
        self.image = bytearray(blocks * BLOCK) if image is None else image
        self._view = memoryview(self.image)
        if image is None:
            for i in range(blocks):
                self._view[i * BLOCK : (i + 1) * BLOCK] = _ERASED
        self.wear = array.array("I", [0] * blocks)
        self.reads = self.read_bytes = self.programs = self.erases = self.violations = 0
        self.watch = None
        self.dead = False
        self._left = -1  # operations until the cut
        self._mode = BEFORE
        self._at = self._end = 0  # of the operation that is under way
        self._data = None  # of the program under way, None: an erase

    def cut(self, n, mode):
        self._left = n
        self._mode = mode

    def torn(self, mode):
        """A copy of the image as a cut `mode` the operation under way leaves it: in the middle, the first half is
        done and the rest is garbage, the same garbage each time."""
        image = bytearray(self.image)
        if mode != BEFORE:
            self._apply(memoryview(image), mode)
        return image

    def readblocks(self, block, buf, off=0):
        if self.dead:
            return -5
        at = block * BLOCK + off
        buf[:] = self._view[at : at + len(buf)]
        self.reads += 1
        self.read_bytes += len(buf)

    def writeblocks(self, block, buf, off=0):
        if self.dead:
            return -5
        at = block * BLOCK + off
        data = memoryview(buf)
        step = self.prog_size
        if off % step or len(buf) % step:
            raise ValueError("program of %d bytes at %d: not aligned" % (len(buf), off))
        if self._view[at : at + len(buf)] != _ERASED[: len(buf)]:
            self.violations += 1
            for i in range(len(buf)):
                buf[i] &= self.image[at + i]
        for i in range(0, len(buf), step):
            self._data = data[i : i + step]
            self._operate(at + i, at + i + step)
            self.programs += 1

    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return BLOCK
        if op == 6:
            if self.dead:
                return -5
            self._data = None
            self._operate(arg * BLOCK, (arg + 1) * BLOCK)
            self.erases += 1
            self.wear[arg] += 1
        return 0

    def _operate(self, at, end):
        self._at = at
        self._end = end
        if self.watch:
            data = self._data  # what watches may use other devices, not this one
            self.watch(self)
            self._data = data
        if self._left >= 0:
            if not self._left:
                self.dead = True
                if self._mode != BEFORE:
                    self._apply(self._view, self._mode)
                raise PowerCut
            self._left -= 1
        self._apply(self._view, AFTER)

    def _apply(self, view, mode):
        at, end = self._at, self._end
        view[at:end] = _ERASED[: end - at] if self._data is None else self._data
        if mode == MIDDLE:
            garbage = bytearray(64)
            random.seed(at + self.programs + self.erases)
            for i in range(64):
                garbage[i] = random.getrandbits(8)
            for i in range((at + end) // 2, end, 64):
                view[i : min(i + 64, end)] = garbage[: min(64, end - i)]

    def mkfs(self):
        vfs.VfsLfs2.mkfs(self, progsize=self.prog_size)
        return self

    def mount(self, path="/flash"):
        """Mount as a board's boot script does; OSError if there is no file system to be found."""
        vfs.mount(vfs.VfsLfs2(self, progsize=self.prog_size), path)
        return self


def cut(device, n, mode, work):
    """Do that on the device, mounted at /flash, with the power gone at its n-th operation: what is left, mounted
    again, and whether it came to its end."""
    device.cut(n, mode)
    try:
        work()
        through = not device.dead
    except (PowerCut, OSError):
        assert device.dead
        through = False
    device.cut(-1, mode)
    vfs.umount("/flash")
    return FlashDevice(device.prog_size, device.image, device.blocks).mount(), through
