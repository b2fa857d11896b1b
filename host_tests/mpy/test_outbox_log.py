"""The logs on flash: their bytes, and what is left of them when bytes are torn, rotten or gone."""

import struct
import sys
from binascii import crc32

from fake_storage import CONFIG, FRAME, METER, SOC, Lot, Node, Storage, config, frame, numbers

from outbox.log import STARTS

TIMES = int(sys.argv[1]) if len(sys.argv) > 1 else 25  # corrupted logs
A_BLOCK = 58  # frames in the first block of a segment: (4096 - 28 - 12 - 300) // 64
OTHERS = 63


def layout():
    """A block, byte by byte, by other means than the code's own."""
    node = Node(Storage(), cfg=config(size=100))
    node.boots.learn((0, 0, 0, 0, 0))
    node.now = 0x05123456
    for n in range(3):
        node.frame(n, SOC, FRAME)
        node.now += 20
    assert node.box.save()
    data = node.storage.files["s00000000"].bytes()
    assert len(data) == 4096 and sum(STARTS[1:2]) == 4096
    context = struct.pack(">III", node.boots.boot, node.boots.chunk, 5)

    def record(kind, number, ticks, payload):
        head = struct.pack(">HBH", kind << 12 | len(payload), number >> 16, number & 0xFFFF)
        head += struct.pack(">BH", ticks >> 16, ticks & 0xFFFF)
        return head + struct.pack(">I", crc32(context + head + payload)) + payload

    expected = record(15, 3, 0x474D01, context + struct.pack(">I", SOC))
    expected += record(CONFIG, 0, 0, config(size=100))
    for n in range(3):
        expected += record(FRAME, n, 0x123456 + 20 * n, frame(n))
    assert data[: len(expected)] == expected
    assert not any(data[len(expected) :])


def block_sizes():
    """Block i of a file leaves room for littlefs' ctz(i) + 1 pointers."""
    at = 0
    for i in range(8):
        assert STARTS[i] == at
        ctz = 0
        while i and not i >> ctz & 1:
            ctz += 1
        at += 4096 - (4 * (ctz + 1) if i else 0)
    assert STARTS[8] == at
    node = Node(Storage())
    node.frames(range(1200))
    for name, at, n in node.storage.writes:
        if name[0] == "s":
            assert at in STARTS and at + n in STARTS, (at, n)
    assert max(f.size for f in node.storage.files.values()) == STARTS[8]


def filled(frames=1100, keeps=20):
    """A storage with two full segments and a bit, and durable records, left by a boot."""
    storage = Storage()
    node = Node(storage)
    node.frames(range(frames))
    for i in range(keeps):
        assert node.box.keep(METER, b"durable %4d" % i, node.now)
    assert node.box.save()
    return storage


def after(storage, **options):
    """(node, frame numbers, durable payloads) of the next boot."""
    node = Node(storage, **options)
    got = node.drain()
    node.tend()
    assert node.box.waiting == 0, (node.box.flash_waiting, node.box.durable_waiting)
    assert list(storage.files) == ["boot"], storage.names()
    return node, numbers(got), [data for kind, data in got if kind == METER]


def recovery():
    storage = filled()
    storage.largest = 0
    node = Node(storage)
    assert storage.largest <= 100, storage.largest  # the state file, and heads
    assert node.box.flash_waiting == 1100 and node.box.durable_waiting == 20
    node, got, kept = after(storage)
    assert got == list(range(1100)) and kept == [b"durable %4d" % i for i in range(20)]
    assert node.box.corrupt == 0


def torn_tail():
    """Cut anywhere in the last block: every record before the cut is there."""
    for size in (1, 27, 28, 100, 339, 340, 346, 404, 470, 2000, 4030):
        storage = filled(100, 0)  # the high-water mark and `save`: two blocks
        file = storage.files["s00000000"]
        file.cut(4096 + size)
        node, got, _ = after(storage)
        whole = min(100, A_BLOCK + (max(0, size - 28) // 64))
        assert got == list(range(whole)), (size, len(got), whole)
        # and the first block torn: what follows is a new segment
        storage = filled(50, 0)
        storage.files["s00000000"].cut(size)
        node = Node(storage)
        node.frames(range(500, 600))
        node.box.save()
        got = numbers(node.drain())
        assert got == list(range(min(50, max(0, size - 340) // 64))) + list(range(500, 600)), (size, got)


def torn_durable():
    for size in range(1, 23 * 2 + 28, 3):
        storage = filled(0, 2)
        storage.files["d00000000"].cut(size)
        node = Node(storage)
        assert node.box.keep(METER, b"another one", 5)
        kept = [data for kind, data in node.drain()]
        expected = [b"durable %4d" % i for i in range(max(0, size - 28) // 24)] + [b"another one"]
        assert kept == expected, (size, kept)


def corrupt_middle():
    """Bytes that rot: what they belong to is lost and counted, nothing else is, and nothing is made up."""
    lot = Lot(7)
    reference = filled(600, 8)
    sizes = {name: reference.files[name].size for name in reference.names()}
    for _ in range(TIMES):
        storage = filled(600, 8)
        hit = set()
        for _ in range(1 + lot.below(3)):
            name = ("s00000000", "s00000001", "d00000000")[lot.below(3)]
            at = lot.below(sizes[name])
            length = (1, 2, 20, 300)[lot.below(4)]
            for i in range(at, min(sizes[name], at + length)):
                byte = (0, 255, lot.below(256))[lot.below(3)]
                if storage.files[name][i] != byte:
                    storage.files[name][i] = byte
                    hit.add((name, i))
        node, got, kept = after(storage)
        expected = [n for n in range(600) if not lost(n, hit)]
        assert sorted(got) == got and set(got) <= set(range(600)) and len(set(got)) == len(got)
        assert set(got) >= set(expected), (hit, [n for n in expected if n not in got])
        assert len(kept) <= 8 and (node.box.corrupt or len(got) == 600 and len(kept) == 8), hit


def lost(n, hit):
    """Whether damage may have cost frame n: its own bytes, or the HEAD of the first block of all."""
    if n < A_BLOCK:
        name, start, index = "s00000000", 340, n
    else:
        block, index = (n - A_BLOCK) // OTHERS + 1, (n - A_BLOCK) % OTHERS
        name, start = "s00000000", STARTS[block % 8] + 28
        if block >= 8:
            index = n - A_BLOCK - 7 * OTHERS
            name, start = "s00000001", 340
            if index >= A_BLOCK:
                index -= A_BLOCK
                start = STARTS[1 + index // OTHERS] + 28
                index %= OTHERS
    first = start + 64 * index
    for other, at in hit:
        if other == name and first <= at < first + 64:
            return True
        if other == "s00000000" and at < 28 and name == other:
            return True  # without it nobody knows which boot these are of
    return False


def every_byte():
    """One byte inverted, each in turn, of a small log: at most one record is lost, never one altered."""
    for name, size in (("s00000000", 28 + 112 + 3 * 64), ("d00000000", 28 + 2 * 23)):
        for at in range(size):
            storage = Storage()
            node = Node(storage, cfg=config(size=100))
            for n in range(3):
                node.frame(n)
            for i in range(2):
                node.box.keep(METER, b"durable %3d" % i, 0)
            node.box.save()
            storage.files[name][at] ^= 255
            node, got, kept = after(storage, cfg=config(b"B", 100))
            head = at < 28 or name[0] == "s" and at < 28 + 112  # HEAD, or the only CFG-2 frame
            assert len(got) + len(kept) >= (2 if head else 4), (name, at, got, kept)
            assert node.box.corrupt, (name, at)


def foreign_boot():
    """A record under another boot's HEAD is no record, even if every byte of it is one."""
    storage = filled(50, 0)
    other = Storage()
    node = Node(other, seed=9)
    node.frames(range(900, 950))
    node.box.save()
    mine, alien = storage.files["s00000000"], other.files["s00000000"]
    for i in range(340 + 64 * 10, 340 + 64 * 12):
        mine[i] = alien[i]
    node, got, _ = after(storage)
    assert got == [n for n in range(50) if n not in (10, 11)] and node.box.corrupt == 1


def unreadable():
    """A segment that cannot be read at the start is left alone; one that fails later is given three tries."""
    storage = filled()
    read, broken = storage.read, ["s00000001"]

    def failing(name, at, buf):
        if name in broken:
            raise OSError(5)
        return read(name, at, buf)

    storage.read = failing
    node = Node(storage)
    assert node.box.corrupt == 1 and node.box.flash_waiting == 1100 - 499
    assert "s00000001" in storage.files
    broken.clear()
    node = Node(storage)
    assert node.box.flash_waiting == 1100
    broken.append("s00000001")
    tries, got = 0, []
    for _ in range(200):
        part = node.drain()
        got += numbers(part)
        tries += not part
    assert set(range(499)) <= set(got) and set(range(998, 1100)) <= set(got) and node.box.corrupt


def alien_names():
    storage = filled()
    for name in ("s0000000", "s0000000g", "sxxxxxxxx", "x00000001", "boot~", "d", ""):
        storage.replace(name, b"something else entirely, longer than a HEAD")
    node = Node(storage)
    assert node.box.flash_waiting == 1100 and node.box.corrupt == 0
    assert numbers(node.drain()) == list(range(1100))


def reader_follows_the_writer():
    """The block in RAM is read while it fills, written while it is being read, and emptied without a write."""
    node = Node(Storage(), high_water=8, slots=16)
    got, n = [], 0
    for _ in range(700):
        node.frames(range(n, n + 3))
        n += 3
        message = node.take()
        if message:
            got += numbers([message[:2]])
            node.backlog.ack(message[2])
    assert got == list(range(len(got))) and len(got) > 2000
    assert not [w for w in node.storage.writes if w[0][0] == "s"]
    assert node.stream.writes == 0 and list(node.storage.files) == ["boot"]


for test in (
    layout,
    block_sizes,
    recovery,
    torn_tail,
    torn_durable,
    corrupt_middle,
    every_byte,
    foreign_boot,
    unreadable,
    alien_names,
    reader_follows_the_writer,
):
    test()
