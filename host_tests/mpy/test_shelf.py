"""A shelf's values survive power cuts at any instant of a write, whole or as before, and rot is no value."""

from fake_storage import Storage
from flash_device import AFTER, BEFORE, MIDDLE, FlashDevice, cut

from boards.storage import Folder
from firmware.shelf import Shelf

OLD, NEW = b"old" * 30, bytes(range(256)) * 12


def test_ram_only():
    shelf = Shelf(None)
    assert not shelf.durable and shelf.get("a") is None
    value = bytearray(b"x")
    shelf.put("a", value)
    value[0] = 0
    assert shelf.get("a") == b"x"


def test_rot_is_no_value():
    storage = Storage()
    shelf = Shelf(storage)
    for data in (b"", OLD, NEW):
        shelf.put("value", data)
        assert Shelf(storage).get("value") == data
    file = storage.files["_value"]
    for at in range(0, file.size, 97):
        file[at] ^= 4
        assert shelf.get("value") is False, at
        file[at] ^= 4
    assert shelf.get("value") == NEW
    for size in (len(NEW) + 3, 4, 3, 0):
        file.cut(size)
        assert shelf.get("value") is False, size
    storage.deaf = True
    assert shelf.get("value") is False
    assert shelf.get("other") is None  # that was never there


def test_what_cannot_be_written_is_told_and_the_old_stays():
    storage = Storage()
    shelf = Shelf(storage)
    shelf.put("value", OLD)
    for fail in (5, 28):
        storage.fail = fail
        try:
            shelf.put("value", NEW)
            raise AssertionError("no OSError")
        except OSError as e:
            assert e.errno == fail
        assert shelf.get("value") == OLD
    assert Storage().names() == []  # names of others' files stay free
    assert storage.names() == ["_value"]


def test_power_cuts():
    for prog_size in (256, 32):
        device = FlashDevice(prog_size, blocks=16).mkfs().mount()
        Shelf(Folder("/flash/outbox")).put("value", OLD)
        import vfs

        vfs.umount("/flash")
        image, n, through = bytes(device.image), 0, False
        while not through:
            for mode in (BEFORE, MIDDLE, AFTER):
                device = FlashDevice(prog_size, bytearray(image), 16).mount()
                device, through = cut(device, n, mode, lambda: Shelf(Folder("/flash/outbox")).put("value", NEW))
                shelf = Shelf(Folder("/flash/outbox"))
                found = shelf.get("value")
                assert found == NEW if through else found in (OLD, NEW), (n, mode, found)
                shelf.put("value", b"next")  # and it goes on
                assert shelf.get("value") == b"next"
                vfs.umount("/flash")
            n += 1
        assert n > 5


test_ram_only()
test_rot_is_no_value()
test_what_cannot_be_written_is_told_and_the_old_stays()
test_power_cuts()
