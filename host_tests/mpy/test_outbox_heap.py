"""What the outbox does for each frame allocates nothing: a locked heap, around every write of flash."""

import micropython
from fake_storage import EVENT, FRAME, SIZE, UNTIMED, Node, Storage

SEQS = 0x1FFFFFFF
HALF = 1 << 29


def later(ticks, ms):
    return (ticks - HALF + ms - HALF) & 0x3FFFFFFF


def locked(node, turns, kind, acknowledged, ticks, step_ms):
    """So many frames, none of which may lead to a write; the ticks after them."""
    box, ring = node.box, node.ring
    micropython.heap_lock()
    for i in range(turns):
        off = box.pend()
        ring.buf[off] = i & 255
        box.commit(SIZE, kind, ticks)
        seq = box.next()
        if kind == FRAME:
            assert seq >= 0 and box.holds(seq) and box.off(seq) == off and box.size(seq) == SIZE
            if acknowledged:
                box.ack(seq)
        else:
            assert seq == -1
        ticks = later(ticks, step_ms)
        assert not box.tend(ticks)
    micropython.heap_unlock()
    return ticks


def spilling():
    node = Node(Storage(), slots=128, high_water=64, window=8, blocks=(160, 32), around_ms=100, hold_ms=1 << 28)
    box, ring, stream = node.box, node.ring, node.stream
    node.now = 0x3FFFFFFF - 3000
    for _ in range(3):  # segments that are held
        box.keep(EVENT, b"{}", 0)
        assert node.drain()
    node.storage.writes.clear()
    node.ring.begin((1 << 29) - 350)  # over the end of the sequence numbers; not as a node does it
    box._chunk = 0x1FF
    assert box.tend(0)  # a chunk is reserved
    first = ring.written
    # acknowledged at once: nothing is spilled; the ticks run over their end, and the second of waiting is up
    ticks = locked(node, 300, FRAME, True, 0x3FFFFFFF - 2000, 20)
    assert len(ring) == 0 and box.spilled == 0
    # past the high-water mark: into the block in RAM; late acknowledgements of what is there, and of the rest
    ticks = locked(node, 90, FRAME, False, ticks, 1)
    assert box.spilled == 90 - 64 == stream.waiting
    micropython.heap_lock()
    for i in range(90):
        seq = (first + 300 + i) & SEQS
        box.ack(seq)
        box.ack(seq)
    micropython.heap_unlock()
    assert len(ring) == 0
    # without time: spilled at once
    ticks = locked(node, 10, UNTIMED, False, ticks, 1)
    assert stream.waiting == 36 and not node.storage.writes
    # the broker forgot: 18 of them find room in the block, among them those of which it has no time
    box.again(ticks, 60)
    locked(node, 2, FRAME, True, ticks, 1)
    assert stream.waiting > 45, stream.waiting


def thinning():
    node = Node(Storage(), slots=128, high_water=64, window=8, blocks=(32, 8), around_ms=100)
    box, stream = node.box, node.stream
    while box.thinning.every < 50:
        node.frames(range(50))
    ticks = node.now
    for i in range(200):
        micropython.heap_lock()
        box.pend()
        box.commit(SIZE, FRAME, ticks)
        if i == 60:
            box.trigger(ticks)
        box.next()
        if stream.fill < 3900:
            wrote = box.tend(ticks)
            micropython.heap_unlock()
            assert not wrote
        else:
            micropython.heap_unlock()
            box.tend(ticks)
        ticks += 20
    assert box.thinned > 100


def failing():
    node = Node(Storage(), slots=16, high_water=12, window=4)
    box = node.box
    node.storage.fail = 5
    node.frames(range(90))
    assert "5" in box.storage, box.storage
    ticks = node.now
    before = box.dropped
    micropython.heap_lock()
    for _ in range(100):
        box.pend()
        box.commit(SIZE, FRAME, ticks)
        box.next()
        assert not box.tend(ticks)
        ticks += 1
    micropython.heap_unlock()
    assert box.dropped == before + 100, (before, box.dropped)
    news = box.news()
    assert news["event"] == "dropped" and news["count"] == box.dropped and news["reason"] == "storage fails", news
    assert box.keep(EVENT, b"{}", ticks) is False and box.durable_waiting == 1
    node.storage.fail = 0
    ticks += 10000
    for _ in range(20):
        box.tend(ticks)
    assert box.storage == "ok" and box.durable_waiting == 1 and not node.durable.ram


spilling()
thinning()
failing()
