"""What outlives a boot: numbers that are never used twice, configurations, time that was learned late."""

import gc
import json
import struct

from fake_storage import (
    CONFIG,
    EVENT,
    FRAME,
    METER,
    SIZE,
    SOC,
    UNTIMED,
    Node,
    Stamper,
    Storage,
    config,
    frame_number,
    numbers,
)

gc.threshold(30000)  # else what stays lies scattered, and nothing large finds room on 32 bits
CHUNK = 1 << 20


def boots_count_and_never_repeat():
    storage = Storage()
    boots, chunks = [], []
    for i in range(30):
        node = Node(storage, seed=i)
        boots.append(node.boots.boot)
        chunks += [node.boots.chunk, node.boots.durable_chunk]
        if i % 3 == 0:
            like = node.boots.chunk + 1
            chunks.append(node.boots.reserve(like))
            assert (chunks[-1] - like) % 512 == 0
    assert boots == list(range(1, 31)) and len(set(chunks)) == len(chunks) and max(chunks) < 1 << 28
    # the state is lost, or rots: beyond everything that the logs know
    for spoil in (0, 5, -1, None):
        node = Node(storage, seed=3)
        node.frames(range(100))
        node.box.keep(METER, b"x", 0)
        node.box.save()
        if spoil is None:
            storage.remove("boot")
        else:
            storage.files["boot"][spoil % storage.size("boot")] ^= 1
        again = Node(storage, seed=77)
        assert again.boots.boot > node.boots.boot and again.boots.durable_chunk >= node.boots.chunk + 1024
        assert again.boots.error == ""


def boots_without_storage():
    seen = set()
    for storage in (None, Storage()):
        if storage:
            storage.fail = 5
        for seed in range(20):
            node = Node(storage, seed=seed)
            assert node.boots.boot >> 29 == 1 and bool(node.boots.error) == bool(storage)
            assert 1 << 27 <= node.boots.chunk < 1 << 28 and node.boots.chunk != node.boots.durable_chunk
            seen.add((node.boots.boot, node.boots.chunk))
    assert len(seen) >= 20
    # such numbers on flash do not lead the counter there
    storage = Storage()
    storage.fail = 5
    node = Node(storage)
    storage.fail = 0
    node.frames(range(100))
    assert node.box.save() and node.boots.boot >= 1 << 29
    node = Node(storage, seed=5)
    assert node.boots.boot < 2000 and node.boots.chunk < 1 << 27


def state_is_json():
    storage = Storage()
    Node(storage)
    text = storage.files["boot"].bytes()
    assert json.loads(text[8:].decode())[0] == 1


def offsets_are_kept():
    storage = Storage()
    for i in range(12):
        node = Node(storage)
        node.boots.learn((i, 999999, SOC, 1234, 2.5))
        node.boots.learn((i + 100, 5, SOC, 1234, 2.5))
        node.tend(2)
        assert not node.boots.dirty
    known = [boot for boot in range(20) if Node(storage).boots.offset(boot)]
    assert known == list(range(5, 13)), known
    assert tuple(Node(storage).boots.offset(12)) == (111, 5, SOC, 1234, 2.5)
    assert storage.size("boot") < 512  # littlefs keeps that beside the file's name: no block of its own


def chunk_crossing():
    node = Node(Storage())
    chunk, ring = node.boots.chunk, node.ring
    ring.begin((chunk & 0x1FF) * CHUNK + CHUNK - 150)
    node.frames(range(300), kind=UNTIMED)
    n = 0
    for kind, data in node.drain():
        if kind == UNTIMED:
            for at in range(4, len(data), 62):
                high, low, ticks = struct.unpack_from(">HII", data, at)
                full = high << 32 | low
                assert full == (chunk * CHUNK + CHUNK - 150 + n if n < 150 else node.box._chunk * CHUNK + n - 150)
                assert ticks == 20 * n and frame_number(data, at + 10) == n
                n += 1
    assert n == 300 and node.box._chunk > chunk and (node.box._chunk - chunk) % 512 == 1
    # no storage to reserve it on: one by lot, in line with the sequence numbers
    storage = Storage()
    node = Node(storage)
    node.ring.begin((node.boots.chunk & 0x1FF) * CHUNK + CHUNK - 50)
    storage.fail = 5
    node.frames(range(60))
    storage.fail = 0
    node.frames(range(60, 1000))
    assert node.box._chunk >= 1 << 27 and node.box._chunk & 0x1FF == node.ring.written >> 20
    again = Node(storage)
    assert again.boots.chunk < 1 << 27
    # the durable log has chunks of its own
    node.box._durable_next = CHUNK - 1
    first = node.box.durable_number()
    node.box.keep(METER, b"last", 0)
    assert node.box.durable_number() % CHUNK == 0 and node.box.durable_number() > first


def several_boots_and_configurations():
    """The CFG-2 frame goes ahead where it differs from the one before, the live one at first; once more after a
    connection was lost; not where only its time differs."""
    storage = Storage()
    for i, tag in enumerate(b"AABCA"):
        node = Node(storage, cfg=config(bytes([tag])))
        node.frames(range(100 * i, 100 * i + 100))
        node.box.save()
    live = bytearray(config(b"A"))
    live[6:14] = b"12345678"
    node = Node(storage, cfg=bytes(live))
    got = node.drain()
    configs = [(data[14:15], numbers(got[:i])[-1]) for i, (kind, data) in enumerate(got) if kind == CONFIG]
    assert configs == [(b"B", 199), (b"C", 299), (b"A", 399)], configs
    assert numbers(got) == list(range(500))
    node.tend()
    for _ in range(2):
        node = Node(storage, cfg=config(b"B"))
        node.frames(range(500, 600))
        node.box.save()
    node = Node(storage, cfg=config(b"D"), payload=300)
    kinds = []
    for _ in range(12):
        message = node.take()
        kinds.append((message[0], message[1][14:15]) if message[0] == CONFIG else message[0])
        node.backlog.ack(message[2])
        if len(kinds) == 6:
            node.backlog.rewind()
    assert kinds == [(CONFIG, b"B")] + [FRAME] * 5 + [(CONFIG, b"B")] + [FRAME] * 5, kinds


def time_is_learned():
    storage = Storage()
    node = Node(storage, cfg=config(b"A"))
    node.frames(range(100), kind=UNTIMED)
    assert node.box.next() == -1 and node.box.spilled == 100 and len(node.ring) == 0
    assert node.take(hold=True) is None  # the present boot may still learn it
    node.frames(range(100, 130))
    assert node.take(hold=True) is None
    got = node.take()
    assert got[0] == UNTIMED and struct.unpack_from(">I", got[1])[0] == node.boots.boot
    node.backlog.rewind()
    made = Stamper.made
    node.boots.learn((1000, 0, 0, 1, 1))
    got = node.take(hold=True)
    assert got[0] == FRAME and Stamper.made == made + 1
    for at in range(0, len(got[1]), SIZE):
        n = frame_number(got[1], at)
        assert got[1][at + SIZE - 1] == ord("A")
        assert struct.unpack_from(">I", got[1], at + 6)[0] == SOC + 1000 + 20 * n // 1000
    assert len(got[1]) % SIZE == 0
    node.box.save()
    # a boot that never learned it, one that did, one whose configuration cannot be moved
    for i, (tag, learns) in enumerate(((b"A", False), (b"B", True), (b"X", True))):
        node = Node(storage, cfg=config(tag))
        node.frames(range(1000 * i + 1000, 1000 * i + 1010), kind=UNTIMED)
        if learns:
            node.boots.learn((2000, 0, 0, 1, 1))
            node.tend(2)
        node.box.save()
    node = Node(storage, cfg=config(b"A"))
    got = [(kind, data) for kind, data in node.drain(hold=True) if kind != CONFIG]
    found = {}
    for kind, data in got:
        for n in numbers([(kind, data)]):
            found.setdefault(kind, []).append(n)
    assert found[FRAME] == list(range(130)) + list(range(2000, 2010)), found
    assert found[UNTIMED] == list(range(1000, 1010)) + list(range(3000, 3010)), found
    assert len({data[:4] for kind, data in got if kind == UNTIMED}) == 2  # a message is of one boot


def saved_at_shutdown():
    storage = Storage()
    node = Node(storage)
    node.frames(range(30))
    node.box.next()
    assert node.box.save() and len(node.box) == 0 and node.box.flash_waiting == 30
    node.box.keep(METER, b"%d" % node.box.durable_number(), node.now)
    again = Node(storage)
    assert again.box.flash_waiting == 30 and again.box.durable_waiting == 1
    got = again.drain()
    assert numbers(got) == list(range(30)) and got[0][1] == b"%d" % (node.boots.durable_chunk * CHUNK)


def bounded_files_over_many_boots():
    """A node that is reset over and over, a durable record and a block of frames each time."""
    storage = Storage()
    for i in range(300):
        node = Node(storage, blocks=(64, 16), seed=i)
        node.box.keep(EVENT, b'{"event":"start"}', 0)
        node.frames(range(3))
        assert node.box.save()
        assert len(storage.files) <= 64 // 4 + 8
    assert node.box.durable_waiting == 300
    got = node.drain()
    assert len([1 for kind, _ in got if kind == EVENT]) == 300


for test in (
    boots_count_and_never_repeat,
    boots_without_storage,
    state_is_json,
    offsets_are_kept,
    chunk_crossing,
    several_boots_and_configurations,
    time_is_learned,
    saved_at_shutdown,
    bounded_files_over_many_boots,
):
    test()
