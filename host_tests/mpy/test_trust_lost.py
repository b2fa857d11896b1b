"""What came is on the shelf twice: damage to one copy loses nothing, damage to both is told and opens no window."""

from struct import pack

from fake_storage import Storage
from flash_device import AFTER, BEFORE, MIDDLE, FlashDevice, cut
from lms_signer import Key

from boards.storage import Folder
from firmware.shelf import Shelf
from gossip import wire
from gossip.seal import Seal
from gossip.trust import Trust

OK, OLD, WINDOW, STORAGE = wire.OK, wire.OLD, wire.WINDOW, wire.STORAGE
NODE_KEY = bytes(range(32))
DAY_S = 86400
NOW = 1_800_000_000
key, recovery = Key(1), Key(0, secret=b"in the safe")


class Node:
    """A Trust on a shelf in `storage`, whose clock is at `now`."""

    def __init__(self, storage, now=NOW):
        self.now = now
        self.trust = Trust(key.public, recovery.public, Seal(NODE_KEY), Shelf(storage), lambda: self.now)

    def order(self, seq, since=NOW, until=NOW + 90 * DAY_S):
        payload = pack(">BIII", 8, 77, since, until) + b"off"
        seal = Seal(NODE_KEY).mac(b"gridmote2", pack(">II", 1, seq), payload)[:16]
        return self.trust.order(payload + seal, 1, seq)

    def hear(self, payload, seq):
        reason = self.trust.begin(memoryview(payload), 7, 1, seq, 60)
        if not reason:
            while self.trust.step(200) is None:
                pass
            reason = self.trust.accept()
        return reason


def flip(storage, name, at):
    storage.files[name][at] ^= 1 << at % 8


def test_one_copy_is_enough():
    storage = Storage()
    node = Node(storage)
    assert [node.order(seq) for seq in (5, 6, 8)] == [OK] * 3
    whole = storage.files["_trust"].bytes()
    assert storage.files["_trust2"].bytes() == whole
    for name in ("_trust", "_trust2"):
        for at in range(0, len(whole), 7):
            flip(storage, name, at)
            node = Node(storage)
            assert not node.trust.lost and [node.order(seq) for seq in (5, 6, 8)] == [OLD] * 3, (name, at)
            if name == "_trust":
                assert storage.files[name].bytes() == whole  # repaired, before the other goes, too
            else:
                flip(storage, name, at)
        for size in (0, 3, 4, 100, len(whole) - 1):
            storage.files[name].cut(size)
            assert [Node(storage).order(seq) for seq in (5, 6, 8)] == [OLD] * 3, (name, size)
            storage.replace(name, whole)
        storage.remove(name)
        node = Node(storage)
        assert not node.trust.lost and node.order(8) == OLD
        storage.replace(name, whole)


def test_nothing_is_lost_where_nothing_was():
    assert not Node(Storage()).trust.lost and Node(Storage(), 0).order(1) == OK


def lose(storage):
    for name in ("_trust", "_trust2"):
        flip(storage, name, 40)


def test_both_damaged():
    message = key.message(0, 9, since=NOW - DAY_S - 1, until=NOW + 90 * DAY_S)
    fresh = key.message(1, 10, since=NOW - DAY_S, until=NOW + 90 * DAY_S)
    back = recovery.message(0, 1, wire.KEY, key.public, since=NOW - 2 * DAY_S, until=NOW + 90 * DAY_S)
    storage = Storage()
    node = Node(storage)
    assert node.hear(message, 9) == OK and node.order(5, NOW - 2 * DAY_S) == OK
    assert node.hear(message, 9) == OLD
    for _ in range(2):
        lose(storage)
        for start in range(3):
            node = Node(storage, 0)  # without the time, whatever comes
            assert node.trust.lost == (start == 0)  # told once
            assert node.hear(message, 9) == node.hear(fresh, 10) == node.hear(back, 1) == WINDOW
            assert node.order(5, NOW - 2 * DAY_S) == node.order(99, NOW + DAY_S) == WINDOW
    node.now = NOW
    assert node.hear(message, 9) == node.hear(back, 1) == node.order(5, NOW - 2 * DAY_S) == WINDOW
    assert node.hear(fresh, 10) == OK and node.order(6) == OK
    for seq, now in ((7, NOW), (8, NOW + 30 * DAY_S), (9, 0)):  # what was older stays out
        node = Node(storage, now)
        assert not node.trust.lost
        assert node.hear(message, 9) == node.hear(back, 1) == node.order(5, NOW - 2 * DAY_S) == WINDOW
        assert node.hear(fresh, 10) == node.order(6) == OLD
        assert node.order(seq) == OK


def test_one_damaged_before_there_were_two():
    storage = Storage()
    assert Node(storage).order(5) == OK
    storage.remove("_trust2")
    flip(storage, "_trust", 9)
    assert Node(storage).trust.lost


def test_a_failing_disk():
    storage = Storage()
    node = Node(storage)
    assert node.order(5) == OK
    storage.fail = 5
    assert node.order(6) == STORAGE and Node(storage).order(5) == OLD
    lose(storage)
    for _ in range(2):  # it cannot be repaired: as careful each time
        node = Node(storage)
        assert node.trust.lost and node.order(5, NOW - 2 * DAY_S) == WINDOW and node.order(6) == STORAGE
    storage.deaf, storage.fail = True, 0
    assert Node(storage).trust.lost
    storage.deaf = False
    assert not Node(storage).trust.lost and Node(storage).order(5, NOW - 2 * DAY_S) == WINDOW


def test_power_cuts():
    import vfs

    device = FlashDevice(256, blocks=16).mkfs().mount()
    assert Node(Folder("/flash/outbox")).order(5) == OK
    vfs.umount("/flash")
    image, n, through = bytes(device.image), 0, False
    while not through:
        for mode in (BEFORE, MIDDLE, AFTER):
            device = FlashDevice(256, bytearray(image), 16).mount()
            device, through = cut(device, n, mode, lambda: Node(Folder("/flash/outbox")).order(6))
            taken = through
            for name in (None, "_trust", "_trust2"):  # and one copy goes with it
                folder = Folder("/flash/outbox")
                if name and name in folder.names():
                    folder.replace(name, b"\xff" * 50)
                node = Node(folder)
                assert not node.trust.lost and node.order(5) == OLD, (n, mode)
                again = node.order(6)
                assert again == OLD or not taken and again == OK, (n, mode)
                taken = taken or again == OK
            vfs.umount("/flash")
        n += 1
    assert n > 10


test_one_copy_is_enough()
test_nothing_is_lost_where_nothing_was()
test_both_damaged()
test_one_damaged_before_there_were_two()
test_a_failing_disk()
test_power_cuts()
