"""Power cuts where littlefs moves the worn blocks of /outbox and says so in the root folder's: each one mounts."""

import gc
import os

import vfs
from flash_device import BLOCK, FlashDevice

WRITES = 1500  # the first such move comes after some 1,200
BLOCKS = 48  # a small flash: its copies are to fit into RAM


def life(device):
    device.mkfs().mount("/flash")
    for name in ("node", "app", "outbox"):
        os.mkdir("/flash/" + name)
    device.watch = watch
    for i in range(WRITES):
        with open("/flash/outbox/s%08x" % (i // 8), "a") as file:
            file.write(DATA)
        if i % 8 == 7 and i > 80:
            os.remove("/flash/outbox/s%08x" % (i // 8 - 9))
    device.watch = None
    vfs.umount("/flash")


def watch(device):
    n = device.programs + device.erases
    if cut_at is None:
        if device._at < 2 * BLOCK:
            root.append(n)
    elif n in cut_at:
        for mode in range(3):
            FlashDevice(256, device.torn(mode), BLOCKS).mount("/cut")
            assert set(os.listdir("/cut")) == {"node", "app", "outbox"} and len(os.listdir("/cut/outbox")) >= 9
            vfs.umount("/cut")
            cuts.append(n)
            gc.collect()


DATA = "y" * 600
cut_at, root, cuts = None, [], []
life(FlashDevice(256, None, BLOCKS))
assert root, "nothing was written to the root folder's blocks"
cut_at = {n + off for n in root for off in range(-30, 20)}
life(FlashDevice(256, None, BLOCKS))
assert set(root) < set(cuts) and len(cuts) >= 100, (root, len(cuts))
