"""The flash in RAM is strict, counts right, and littlefs lives on it through cuts."""

import os

import vfs
from flash_device import AFTER, BEFORE, BLOCK, MIDDLE, PROG_SIZES, FlashDevice, PowerCut


def raises(error, function, *args):
    try:
        function(*args)
    except error:
        return True
    return False


def operations(device):
    return device.programs + device.erases


def test_nor_flash():
    device = FlashDevice(256, blocks=16)
    ones, data = bytearray(b"\xff" * 512), bytearray(range(256)) + bytearray(range(256))
    device.writeblocks(3, data, 256)
    assert device.programs == 2 and device.violations == 0  # two pages
    assert device.image[3 * BLOCK + 256 : 3 * BLOCK + 768] == data
    device.writeblocks(3, bytearray(b"\xf0" * 256), 512)  # bits can be cleared, not set
    assert device.violations == 1 and device.image[3 * BLOCK + 512 + 0x9F] == 0x90
    assert raises(ValueError, device.writeblocks, 3, bytearray(100), 0)
    assert raises(ValueError, device.writeblocks, 3, bytearray(256), 32)
    device.ioctl(6, 3)
    assert device.erases == 1 and device.wear[3] == 1 and sum(device.wear) == 1
    found = bytearray(512)
    device.readblocks(3, found, 256)
    assert found == ones


def test_torn_operations():
    old, new = bytearray(b"\xff" * 256), bytearray(range(256))
    for mode in (BEFORE, MIDDLE, AFTER):
        device = FlashDevice(256, blocks=16)
        device.cut(1, mode)
        device.writeblocks(0, new, 0)
        seen = []
        device.watch = lambda d, seen=seen, mode=mode: seen.append(d.torn(mode))
        assert raises(PowerCut, device.writeblocks, 0, bytearray(new), 256)
        page = device.image[256:512]
        assert seen[0] == device.image and device.image[:256] == new
        if mode == MIDDLE:
            assert page[:128] == new[:128] and page[128:] not in (new[128:], old[128:])
        else:
            assert page == (old if mode == BEFORE else new)
        assert device.readblocks(0, new, 0) == -5 and device.ioctl(6, 0) == -5, "without power"
        device = FlashDevice(256, bytearray(device.image), 16)
        device.cut(0, mode)
        assert raises(PowerCut, device.ioctl, 6, 0)
        block = device.image[:BLOCK]
        if mode == MIDDLE:
            assert block[:2048] == b"\xff" * 2048 and block[2048:] != b"\xff" * 2048
        else:
            assert (block == b"\xff" * BLOCK) == (mode == AFTER)


def test_littlefs_survives_every_cut():
    """An append is there wholly or not at all, and a rename leaves the old or the new."""
    for prog_size in PROG_SIZES.values():
        clean = FlashDevice(prog_size, blocks=16).mkfs().mount()
        with open("/flash/log", "wb") as file:
            file.write(b"a" * 5000)
        vfs.umount("/flash")
        n = 0
        while True:
            for mode in (BEFORE, MIDDLE, AFTER):
                device = FlashDevice(prog_size, bytearray(clean.image), 16).mount()
                device.cut(n, mode)
                try:
                    with open("/flash/log", "ab") as file:
                        file.write(b"b" * 3000)
                    with open("/flash/new", "wb") as file:
                        file.write(b"c" * 300)
                    os.rename("/flash/new", "/flash/log")
                except (PowerCut, OSError):
                    pass
                vfs.umount("/flash")
                after = FlashDevice(prog_size, device.image, 16).mount()
                with open("/flash/log", "rb") as file:
                    found = file.read()
                vfs.umount("/flash")
                assert found in (b"a" * 5000, b"a" * 5000 + b"b" * 3000, b"c" * 300), (n, mode, len(found))
                assert not after.violations and not device.violations
            if not device.dead:
                break
            n += 1 if prog_size == 256 else 7
        assert found == b"c" * 300 and n > 15


test_nor_flash()
test_torn_operations()
test_littlefs_survives_every_cut()
