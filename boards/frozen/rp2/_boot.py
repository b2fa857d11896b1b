"""Mounts the file system, as the port's script of this name. Flash that holds anything is never formatted."""

import rp2
import vfs


def erased(flash):
    """Whether the two blocks are empty in which littlefs begins."""
    block = bytearray(flash.ioctl(5, 0))
    for i in range(2):
        flash.readblocks(i, block)
        if block.count(b"\xff") != len(block):
            return False
    return True


def mount(flash):
    for _ in range(3):  # a read may fail once
        try:
            return vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")
        except OSError as e:
            error = e
    if not erased(flash):
        print("the file system cannot be mounted (%r) and is left as it is" % error)
        print("to give up what is on it: import vfs, rp2; vfs.VfsLfs2.mkfs(rp2.Flash(), progsize=256)")
        return None
    vfs.VfsLfs2.mkfs(flash, progsize=256)
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")


mount(rp2.Flash())
del rp2, vfs, erased, mount
