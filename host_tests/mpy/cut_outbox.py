"""A life of the outbox, its power cut at each flash operation: `cut_outbox.py many|wide rp2|esp32 STRIDE FIRST`.

Each STRIDE-th program or erase from the FIRST on is cut before, in the middle and after: the image of that moment
is mounted on a flash of its own and a node boots on it, goes on, and must have everything that it should have.
One in four of these is cut a second time; for one in four, bytes are spoilt that no file system spoils. The life
itself goes on uncut, but for its own reboots. Prints one JSON object; "broken" lists what does not hold.
"""

import gc
import json
import os
import random
import sys

import vfs
from flash_device import BLOCKS, PROG_SIZES, FlashDevice, PowerCut
from life_node import Many, Node, Wide
from life_script import Life
from life_world import FOUND, GONE, Broken, World, missing, missing_there

FRAMES_MOST = 8000
MODES = ("before", "in", "after")
LIVES = {"many": Many, "wide": Wide}
CUT, SPOIL = 0, 2  # remainders of a check's number by 4
FILES_MOST = 4  # that may be left when everything has arrived


class Cutter:
    """Watches the flash of a life and checks what each cut leaves."""

    def __init__(self, life, kind, stride, first):
        self.prog_size = PROG_SIZES[kind]
        self.stride, self.first, self.sizes = stride, first, LIVES[life]
        self.world = World(self.sizes.frame_size, FRAMES_MOST)
        self.device = FlashDevice(self.prog_size).mkfs().mount("/flash")
        self.figures = {"cuts": 0, "second_cuts": 0, "spoilt": 0, "failed_mounts": 0, "loss": 0, "loss_most": 0}
        self.broken = []
        self._pending = []  # what is missing after a cut, until the call that was cut has counted what it left out
        self._dropped = 0  # so many are no longer marked as being on flash
        self.life = Life(self.world, "/flash/outbox", self.sizes, self.judge, self.reboot)
        self._script = getattr(self.life, life)

    def run(self):
        self.device.watch = self.watch
        self._script()
        self.device.watch = None
        vfs.umount("/flash")
        if self.device.violations:
            self.broken.append("%d programs onto what was not erased" % self.device.violations)
        self.figures["programs"] = self.device.programs
        self.figures["erases"] = self.device.erases
        self.figures["frames"] = self.world.made
        self.figures["durable"] = len(self.world.offered)
        self.figures["life"] = self.life.seen
        self.figures["broken"] = self.broken
        return self.figures

    def watch(self, device):
        n = device.programs + device.erases
        if n % self.stride == self.first:
            for mode in range(3):
                name = "%s operation %d of boot %d" % (MODES[mode], n, len(self.world.boots))
                self.check(name, device.torn(mode), self.figures["cuts"])

    def judge(self):
        """What was missing after the cuts of this step was in RAM, or is counted, and is no more than is stated."""
        node = self.life.node
        outbox = node.outbox
        for name, lost, lost_there, cost in self._pending:
            lost -= outbox.thinned + outbox.dropped
            if not cost:
                self.figures["loss"] = max(self.figures["loss"], lost)
            if lost - cost > min(outbox.loss_most, node.ram + 1):
                self.broken.append("%s: %d frames lost, %d were in RAM" % (name, lost, node.ram))
            if lost_there - cost > outbox.dropped - self._dropped:
                self.broken.append("%s: %d frames lost that were on flash" % (name, lost_there))
        self._pending.clear()
        self.figures["loss_most"] = outbox.loss_most
        if outbox.dropped != self._dropped:
            self._dropped = outbox.dropped
            world = self.check("drop", bytearray(self.device.image), 1)
            self._pending.clear()
            for i in range(self.world.made):
                if not world.state[i]:
                    self.world.flash[i] = 0

    def reboot(self):
        """The life loses its RAM: what a node finds on a copy of the flash is all there is from here on."""
        self.judge()
        world = self.check("reboot %d" % len(self.world.boots), bytearray(self.device.image), 1)
        self.judge()
        self._dropped = 0
        state = self.world.state
        for i in range(self.world.made):
            if not world.state[i]:
                state[i] |= GONE

    def check(self, name, image, lot):
        """Boot on the image and go on; the world as it is afterwards. lot: what else happens, see CUT."""
        self.figures["cuts"] += 1
        watch, self.device.watch = self.device.watch, None
        world = self.world.fork()
        world.arrived = set()
        cost = 0  # frames that may be missing for another reason than the cut
        try:
            if lot % 4 == CUT:
                image = self.go_on_and_cut(world, image, lot)
            device = FlashDevice(self.prog_size, image)
            if lot % 4 == SPOIL:
                cost = self.spoil(device, lot)
            cost += self.go_on(world, device, lot % 4 == SPOIL)
            missed = missing(world.state, self.world.made)
            missed_there = missing_there(world.state, world.flash, self.world.made)
            self._pending.append((name, missed, missed_there, cost))
            if missing(world.state, world.made) > missed:
                raise Broken("frames made after the cut are missing")
            lost = world.promised - world.arrived
            if lost:
                raise Broken("durable records are lost: %s" % lost)
        except Exception as e:
            self.broken.append("%s: %s" % (name, e if isinstance(e, Broken) else repr(e)))
        gc.collect()
        self.device.watch = watch
        return world

    def spoil(self, device, lot):
        """What littlefs never leaves, but a folder elsewhere or a worn block may: a torn end of the newest files,
        and a changed byte in a file of the stream. How many frames that may cost."""
        self.figures["spoilt"] += 1
        self.mount(device)
        random.seed(lot)
        try:
            return self._spoil("/cut/outbox/") if "outbox" in os.listdir("/cut") else 0
        except OSError as e:
            if e.errno != 28:  # no space left
                raise
            return 4096 // self.sizes.frame_size
        finally:
            vfs.umount("/cut")

    def _spoil(self, path):
        names = sorted(os.listdir(path))
        durable, stream = [[name for name in names if name[0] == kind] for kind in "ds"]
        if stream:
            name = path + random.choice(stream)
            at = random.randrange(max(1, os.stat(name)[6]))
            with open(name, "r+b") as file:
                file.seek(at)
                was = file.read(1)
                file.seek(at)
                file.write(bytes((was[0] ^ 1 << random.randrange(8),)) if was else b"")
        for some in durable, stream:
            if some:
                with open(path + some[-1], "ab") as file:
                    file.write(bytes(random.getrandbits(8) for _ in range(random.randrange(1, 900))))
        return 4096 // self.sizes.frame_size if stream else 0  # a block, if its head was hit

    def go_on_and_cut(self, world, image, lot):
        """A second cut soon after the first; the image that it leaves."""
        device = FlashDevice(self.prog_size, image)
        device.cut(lot * 7 % 61, lot // 4 % 3)
        made = world.made
        try:
            self.go_on(world, device, False)
        except (PowerCut, OSError, Broken):
            if not device.dead:
                raise
            self.figures["second_cuts"] += 1
            for i in range(made, world.made):
                world.state[i] |= GONE
        return device.image

    def mount(self, device):
        try:
            device.mount("/cut")
        except OSError as e:
            if not device.dead:
                self.figures["failed_mounts"] += 1
            raise Broken("no mount: %s" % e)

    def go_on(self, world, device, spoilt):
        """A node boots, measures, keeps, and sends all there is but the frames that had to make room: how many."""
        self.mount(device)
        try:
            node = Node(world, "/cut/outbox", self.sizes, world.state, FOUND, version=3)
            node.arrived = world.arrived
            node.keep()
            node.step()
            node.connect()
            node.steps(5)
            node.drain()
            outbox = node.outbox
            full = self.sizes.budget + self.sizes.durable >= BLOCKS
            dropped = outbox.dropped and not full or outbox.durable.dropped
            if outbox.corrupt and not spoilt or dropped or outbox.thinned or outbox.storage != "ok":
                raise Broken(
                    "corrupt %d, dropped %d, thinned %d, storage %s"
                    % (outbox.corrupt, outbox.dropped, outbox.thinned, outbox.storage)
                )
            if len(node.storage.names()) > FILES_MOST:
                raise Broken("files are left: %s" % node.storage.names())
            if device.violations:
                raise Broken("a program onto what was not erased")
            return outbox.dropped
        finally:
            vfs.umount("/cut")


random.seed(3)
print(json.dumps(Cutter(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])).run()))
