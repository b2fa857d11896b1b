"""Storage that fails in one place or for one purpose: what that costs is bounded, and nothing else stands still."""

import gc

from fake_storage import EVENT, METER, Node, Storage, numbers, unthinned

gc.threshold(30000)  # else what stays lies scattered, and nothing large finds room on 32 bits

_RETRY_MS = 10000


class Sick(Storage):
    """full_for_state: what replaces a file does not fit. unreadable, unremovable: the file that is so. most_tries:
    writes that may fail."""

    full_for_state = False
    unreadable = unremovable = ""
    most_tries = 1000

    def _check(self, name, size):
        if self.fail:
            self.most_tries -= 1
            assert self.most_tries, "tries without end"
        super()._check(name, size)

    def replace(self, name, data):
        if self.full_for_state:
            raise OSError(28)
        super().replace(name, data)

    def read(self, name, at, buf):
        if name == self.unreadable:
            raise OSError(5)
        return super().read(name, at, buf)

    def remove(self, name):
        if name == self.unremovable:
            raise OSError(5)
        super().remove(name)


def started_on_a_full_file_system():
    storage = Sick()
    storage.fail = 28  # whatever was removed
    node = Node(storage)
    assert "28" in node.box.storage and not node.box.keep(EVENT, b"start", 0)
    node.frames(range(500))
    assert node.box.waiting and "28" in node.box.storage


def full_whatever_goes():
    """Someone else fills the file system: two segments are given up for it, later ever fewer; no durable one."""
    storage = Sick()
    node = unthinned(Node(storage))
    for i in range(20):
        assert node.box.keep(METER, b"%02d" % i, node.now)
    node.frames(range(6000))
    counts = list(node.stream._counts)
    assert len(counts) >= 8
    storage.fail = 28  # whatever was removed
    for failures in range(100):
        given = 2 + sum([failures >= least for least in (6, 12, 24, 48, 96)])
        assert not node.box.keep(METER, b"later", node.now)
        assert node.stream.dropped == sum(counts[:given]), failures
        node.now += _RETRY_MS
    storage.fail = 0
    node.tend()
    messages = node.drain()
    kept = [data for kind, data in messages if kind == METER]
    assert kept[:20] == [b"%02d" % i for i in range(20)] and len(kept) == 36  # 16 of the later ones fit into RAM
    assert node.box.storage == "ok" and node.box.dropped == node.stream.dropped + 84


def no_durable_one_for_the_stream():
    """Where durable records are all that could go for it, frames are not written."""
    storage = Sick(limit=14 * 4096)
    node = Node(storage)
    for i in range(25):
        assert node.box.keep(METER, b"%02d" % i + bytes(900), node.now)
    node.frames(range(2000))
    assert node.durable.dropped == 0 and "28" in node.box.storage
    assert [data[:2] for kind, data in node.drain() if kind == METER] == [b"%02d" % i for i in range(25)]


def unreadable_in_a_full_log():
    """The log goes round although its oldest segment cannot be read, for durable records too."""
    storage = Sick()
    node = unthinned(Node(storage, blocks=(32, 16)))
    while not node.stream.dropped:
        node.frames(range(64))
    storage.unreadable = node.stream.name(node.stream._numbers[0])
    writes = node.stream.writes
    node.frames(range(1280))
    assert node.stream.writes >= writes + 18 and node.ring.dropped == 0 and node.box.storage == "ok"
    for _ in range(30):
        assert node.box.keep(METER, bytes(900), node.now)


def no_room_for_the_small_state():
    """The boot's offset, and the next numbers, cannot be saved: records are, and what is done goes all the same."""
    storage = Sick()
    node = Node(storage)
    node.frames(range(1500))
    node.drain()
    storage.full_for_state = True
    node.boots.learn([5, 0, 0, 0, 0])
    base = node.ring.written & ~0xFFFFF
    node.ring.begin(base | 0x80000)  # half of its numbers used: the next are to be reserved
    node.box._again = node.box._again_end = node.ring.written
    node.stream._oldest = -1
    writes = node.stream.writes
    node.frames(range(1500, 3000))
    assert node.stream.writes >= writes + 20 and not node.box.dropped
    assert node.boots.dirty and "28" in node.box.storage
    node.drain()
    node.tend()
    assert len([name for name in storage.files if name[0] == "s"]) <= 1
    storage.full_for_state = False
    node.now += _RETRY_MS
    node.tend()
    assert not node.boots.dirty and node.box.storage == "ok"


def file_that_stays():
    """It cannot be removed: others are, and new ones are written."""
    storage = Sick()
    node = unthinned(Node(storage, blocks=(32, 16)))
    node.frames(range(700))
    storage.unremovable = node.stream.name(0)
    assert node.drain()
    writes = node.stream.writes
    node.frames(range(700, 3000))
    assert node.stream.writes >= writes + 30 and node.ring.dropped == 0
    assert storage.unremovable in storage.files and "5" in node.box.storage
    assert len(storage.files) <= 2 + 48 // 2 and node.stream.blocks <= 33
    storage.unremovable = ""
    node.drain()
    node.now += _RETRY_MS
    node.tend()
    assert node.box.storage == "ok" and node.stream.name(0) not in storage.files


def file_that_stays_in_a_full_file_system():
    storage = Sick(limit=40 * 4096)
    node = unthinned(Node(storage, hold_ms=1 << 20))
    node.frames(range(700))
    node.drain()
    storage.unremovable = node.stream.name(0)
    writes = node.stream.writes
    node.frames(range(700, 4700))
    assert node.stream.writes >= writes + 60 and node.ring.dropped == 0 and node.stream.dropped
    assert node.box.keep(METER, b"one", node.now)


def given_up_in_flight():
    """What was counted as dropped is less by what arrived after all, but not by copies of what had arrived."""
    for copies in (False, True):
        node = unthinned(Node(Storage(), blocks=(48, 16), hold_ms=60000))
        node.frames(range(184))
        if copies:
            node.drain()
            node.tend(5)
        node.frames(range(184, 984))
        if copies:
            node.box.again(node.now, 50000)
        flying = [node.take() for _ in range(4)]
        carried = len(numbers([message[:2] for message in flying]))
        while node.stream.dropped < 400:
            node.frames(range(64))
        dropped = node.box.dropped
        for message in flying:
            node.backlog.ack(message[2])
        assert node.box.dropped == dropped - (0 if copies else carried)


for test in (
    started_on_a_full_file_system,
    full_whatever_goes,
    unreadable_in_a_full_log,
    no_room_for_the_small_state,
    file_that_stays,
    given_up_in_flight,
    no_durable_one_for_the_stream,
    file_that_stays_in_a_full_file_system,
):
    test()
