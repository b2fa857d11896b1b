"""The power goes at every flash operation of keeping the last good configuration, and of mending it."""

import json
import os

import vfs
from flash_device import AFTER, BEFORE, MIDDLE, PROG_SIZES, FlashDevice, PowerCut, cut

from firmware import lastgood
from firmware.lastgood import GIVEN, GOOD, VAULT

OLD = (b'{"old": 1}', b'{"secret": "old"}')
NEW = (b'{"new": "%s"}' % (b"x" * 900), b'{"secret": "new"}')
NODE = "/flash/node"
BLOCKS = 24


class Vault:
    most = 1984

    def __init__(self):
        self.kept, self.puts, self.left, self.torn = {}, 0, -1, None

    def get(self, name):
        return self.kept.get(name)

    def put(self, name, data):
        assert len(name) <= 15 and len(data) <= self.most
        if not self.left:  # the power goes
            if self.torn is not None:
                self.kept[name] = self.torn(data)
            raise PowerCut()
        self.left -= 1
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
assert lastgood.read(board, VAULT) == NEW and board.vault.puts == 1
keep()
assert board.vault.puts == 1
# No secrets are none; a file without end is none.
os.remove(NODE + "/secrets.json")
assert lastgood.read(board, GIVEN) == (NEW[0], b"{}")
put("config.json", bytes(20000))
try:
    lastgood.read(board, GIVEN)
    raise AssertionError("20000 bytes are read")
except ValueError:
    pass

# The power goes at every put: the vault has the pair from before or the new one, with the files of that one.
FOLDER = "/flash/node/keys"


def pair_of(name, size):
    paths = {"ca": "%s/ca-%s" % (FOLDER, name), "certificate": FOLDER + "/certificate", "key": FOLDER + "/key"}
    return json.dumps({"broker": paths, "long": name * size}).encode(), b'{"secret": "%s"}' % name.encode()


def files_of(name):
    return {"ca-" + name: b"\0ca of " + name.encode(), "certificate": name.encode() * 700, "key": name.encode()}


def settle(name, size):
    pair = pair_of(name, size)
    give(pair, "json")
    for file, data in files_of(name).items():
        put("keys/" + file, data)
    lastgood.keep(board, lastgood.mark(pair))


def kept():
    try:
        return lastgood.read(board, VAULT)
    except OSError:
        return None


def lose():
    """The file system, which is formatted then."""
    vfs.umount("/flash")
    FlashDevice(PROG_SIZES["esp32"], blocks=BLOCKS).mkfs().mount()


def whole(name, size):
    """Whether the vault has that pair, with which its files come back."""
    if kept() != pair_of(name, size):
        return False
    lose()
    for harm in (None, b"", b"x" * 900):
        if harm is not None:
            put("keys/key", harm)
        assert lastgood.restore(board) and not lastgood.restore(board)
        for file, data in files_of(name).items():
            with open("%s/%s" % (FOLDER, file), "rb") as opened:
                assert opened.read() == data, file
        assert sorted(os.listdir(FOLDER)) == sorted(files_of(name))
    return True


vfs.umount("/flash")
for before, old_size in ((None, 0), ("a", 100), ("a", 3800)):
    for size in (100, 2000, 3800):
        n, through = 0, False
        while not through:
            for torn in (None, lambda data: data[:-1], lambda data: b"", lambda data: b"\0" + data[1:]):
                begin("esp32", None)
                os.mkdir(FOLDER)
                board.vault = Vault()
                assert not lastgood.restore(board)
                if before:
                    settle("c", 500)  # so that neither place is empty
                    settle(before, old_size)
                board.vault.left, board.vault.torn = n, torn
                try:
                    settle("b", size)
                    through = True
                except PowerCut:
                    assert not through
                board.vault.left = -1
                if through:
                    assert whole("b", size)
                elif before:
                    assert whole(before, old_size)
                else:
                    assert kept() is None and not lastgood.restore(board)
                vfs.umount("/flash")
            n += 1
        assert n == {100: 2, 2000: 3, 3800: 4}[size], (n, size)

# Too much of it: nothing is written, and the one from before stays.
begin("esp32", None)
os.mkdir(FOLDER)
board.vault = Vault()
settle("a", 100)
puts = board.vault.puts
try:
    settle("b", 6000)
    raise AssertionError("more than there is room for")
except ValueError:
    pass
assert board.vault.puts == puts and kept() == pair_of("a", 100) and good() == pair_of("b", 6000)
# A file system that takes nothing is no reason to fail.
settle("b", 10)
vfs.umount("/flash")
device = FlashDevice(PROG_SIZES["esp32"], blocks=BLOCKS).mkfs().mount()
device.cut(0, BEFORE)
try:
    os.mkdir("/flash/dead")
except PowerCut:
    pass
assert device.dead
assert not lastgood.restore(board) and kept() == pair_of("b", 10)
