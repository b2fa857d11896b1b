"""The power goes at every flash operation of keeping the last good configuration, and of mending it."""

import os

import vfs
from flash_device import AFTER, BEFORE, MIDDLE, PROG_SIZES, FlashDevice, PowerCut

from firmware import lastgood
from firmware.lastgood import GIVEN, GOOD, VAULT

OLD = (b'{"old": 1}', b'{"secret": "old"}')
NEW = (b'{"new": "%s"}' % (b"x" * 900), b'{"secret": "new"}')
NODE = "/flash/node"
BLOCKS = 24


class Vault:
    def __init__(self):
        self.kept, self.puts = {}, 0

    def get(self, name):
        return self.kept.get(name)

    def put(self, name, data):
        self.kept[name] = data
        self.puts += 1


class Board:
    node_folder = NODE
    vault = None


board = Board()


def put(name, data):
    with open("%s/%s" % (NODE, name), "wb") as file:
        file.write(data)


def give(pair, suffix):
    put("config." + suffix, pair[0])
    if pair[1] is not None:
        put("secrets." + suffix, pair[1])


def good():
    try:
        return lastgood.read(board, GOOD)
    except OSError:
        return None


def begin(kind, before):
    device = FlashDevice(PROG_SIZES[kind], blocks=BLOCKS).mkfs().mount()
    os.mkdir(NODE)
    if before:
        give(before, "good")
    give(NEW, "json")
    return device


def cut(device, n, mode, work):
    """Do that with the power gone at its n-th flash operation: what is left, and whether it came to its end."""
    device.cut(n, mode)
    try:
        work()
        through = not device.dead
    except (PowerCut, OSError):
        assert device.dead
        through = False
    device.cut(-1, mode)
    vfs.umount("/flash")
    return FlashDevice(device.prog_size, device.image, BLOCKS).mount(), through


def keep():
    lastgood.keep(board, lastgood.mark(NEW))


def mend():
    lastgood.mend(NODE)


def check(before, what):
    mend()
    assert good() in (before, NEW), (what, good())
    assert lastgood.read(board, GIVEN) == NEW
    keep()
    assert good() == NEW
    assert sorted(os.listdir(NODE)) == ["config.good", "config.json", "secrets.good", "secrets.json"], what


def all_cuts(kind, before):
    n = cuts = states = 0
    through = False
    while not through:
        for mode in (BEFORE, MIDDLE, AFTER):
            device, through = cut(begin(kind, before), n, mode, keep)
            image = bytearray(device.image)
            states |= 1 if good() == NEW else 2 if good() == before else 4  # 4: to be mended
            check(before, ("keep", kind, n, mode))
            vfs.umount("/flash")
            cuts += 1
            if n % 3 == 0:  # and once more, while it is mended
                m, mended = 0, False
                while not mended:
                    flash = FlashDevice(PROG_SIZES[kind], bytearray(image), BLOCKS).mount()
                    device, mended = cut(flash, m, mode, mend)
                    check(before, ("mend", kind, n, m, mode))
                    vfs.umount("/flash")
                    m += 1
        n += 1
    assert cuts > 15 and states == (7 if before else 3), (cuts, states)


all_cuts("rp2", OLD)
all_cuts("rp2", None)
all_cuts("esp32", OLD)

# What was given while the node ran has not proved anything yet.
begin("rp2", OLD)
worked = lastgood.mark(NEW)
give((b"{}", NEW[1]), "json")
lastgood.keep(board, worked)
assert good() == OLD
# The same again costs no flash. The vault is written only where it differs.
give(NEW, "json")
board.vault = Vault()
keep()
assert lastgood.read(board, VAULT) == NEW and board.vault.puts == 2
keep()
assert board.vault.puts == 2
# No secrets are none; a file without end is none.
os.remove(NODE + "/secrets.json")
assert lastgood.read(board, GIVEN) == (NEW[0], b"{}")
put("config.json", bytes(20000))
try:
    lastgood.read(board, GIVEN)
    raise AssertionError("20000 bytes are read")
except ValueError:
    pass
