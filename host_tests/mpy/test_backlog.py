"""What waited, in bad company: storage that cannot be read, a configuration that is gone, no clock for weeks."""

import gc

from fake_storage import CONFIG, FRAME, METER, UNTIMED, Node, Storage, config, numbers, unthinned
from micropython import heap_lock, heap_unlock

from firmware.follow import FollowUp
from mqtt.timing import Pace
from outbox.log import block_of

gc.threshold(30000)  # else what stays lies scattered, and nothing large finds room on 32 bits

READS = 8  # of one log in a call, and probes beside them


class Disk(Storage):
    """Counts reads; those of blocks in `bad`, as (name, block), fail, and all after the next `good` ones."""

    reads = 0
    bad = ()
    good = 1 << 29

    def read(self, name, at, buf):
        self.reads += 1
        self.good -= 1
        if self.good < 0 or (name, block_of(at)) in self.bad:
            raise OSError(5)
        return super().read(name, at, buf)


class Clock:
    known = False


class Wire:
    """Takes the place of a Session: every message has arrived when `send` returns."""

    def __init__(self, node):
        self.follow = FollowUp(node.backlog, Pace(100000), lambda kind: b"a/" + kind.encode(), Clock())
        self.sent = []
        self.acks = []

    def send(self, packet, buf, off, size, token, now):
        self.sent.append(bytes(memoryview(buf)[off : off + size]))
        self.acks.append(token)

    def ask(self, now, times=1, step_ms=10):
        for _ in range(times):
            self.follow.send(self, now)
            while self.acks:
                self.follow.acked(self.acks.pop())
            now += step_ms
        return now


def filled(disk, tag=b"A", frames=1100, first=0, keeps=0, blocks=(160, 32)):
    """A boot that leaves records: more than two segments."""
    node = unthinned(Node(disk, cfg=config(tag), blocks=blocks))
    node.frames(range(first, first + frames))
    for i in range(keeps):
        node.box.keep(METER, b"%03d" % i * 300, node.now)
    assert node.box.save()


def without_config(disk, segments=None):
    """Every CFG-2 frame in them rots."""
    for name, file in disk.files.items():
        if name[0] == "s" and (segments is None or name in segments):
            file[60] ^= 255


def all_blocks(disk, kinds="sd"):
    return [(name, i) for name in disk.files for i in range(8) if name[0] in kinds]


# -- storage that cannot be read --------------------------------------------------------------------------


def storage_that_cannot_be_read_for_a_while():
    """Nothing is given up, however often it is asked; it is asked every 10 s; all goes on then."""
    disk = Disk()
    filled(disk, keeps=20)
    node = Node(disk)
    wire = Wire(node)
    disk.bad = all_blocks(disk)
    disk.reads = 0
    now = wire.ask(1000, 20000)  # 200 s
    assert node.box.waiting == 1120 and node.box.corrupt == 0 and not wire.sent
    assert 20 <= disk.reads <= 2 * 21 * 5, disk.reads
    disk.bad = ()
    wire.ask(now + 10000, 400)
    assert len([m for m in wire.sent if len(m) == 900]) == 20, len(wire.sent)
    assert node.box.waiting == 0 and node.box.corrupt == 0


def a_block_that_cannot_be_read():
    """It is given up after three tries, 10 s apart, since others can be read: that block only, counted once, and
    what lies behind it goes on at once."""
    disk = Disk()
    filled(disk)
    node = Node(disk)
    wire = Wire(node)
    disk.bad = (("s00000000", 2),)
    now = wire.ask(1000, 1900)  # 19 s
    sent = numbers([(FRAME, m) for m in wire.sent])
    assert sent == list(range(sent[-1] + 1)) and 110 < len(sent) < 130 and node.box.corrupt == 0
    wire.ask(now, 400)
    sent = numbers([(FRAME, m) for m in wire.sent])
    assert sent[-1] == 1099 and 1100 - len(sent) == 63, len(sent)
    assert node.box.waiting == 0 and node.box.corrupt == 1, (node.box.waiting, node.box.corrupt)


def it_is_left_behind():
    """What follows a block that was given up is sent again when the connection is lost, without the tries."""
    disk = Disk()
    filled(disk)
    node = Node(disk)
    disk.bad = (("s00000000", 0),)
    message = node.take()
    assert node.box.corrupt == 1 and numbers([message[:2]])[0] > 50
    node.backlog.rewind()
    disk.reads = 0
    kind = node.backlog.next() or node.backlog.next()  # a look at the next segment, for the CFG-2
    assert kind == message[0] and not node.backlog.failed and disk.reads < 12


def the_only_block():
    """It may be the storage as well: that log waits, the other one does not."""
    disk = Disk()
    filled(disk, keeps=2)
    node = Node(disk)
    wire = Wire(node)
    disk.bad = (("d00000000", 0),)
    wire.ask(1000, 10000)
    assert node.box.flash_waiting == 0 and node.box.durable_waiting == 2 and node.box.corrupt == 0
    for i in range(8):  # another block, and then it is sure
        node.box.keep(METER, b"%03d" % i * 300, node.now)
    del wire.sent[:]
    wire.ask(200000, 4000)
    assert [m[:3] for m in wire.sent] == [b"%03d" % i for i in range(2, 8)], [m[:3] for m in wire.sent]
    assert node.box.durable_waiting == 0 and node.box.corrupt == 1


def most_of_the_storage():
    """A few good blocks behind many bad ones are found, and arrive."""
    disk = Disk()
    filled(disk, frames=1600)
    node = Node(disk)
    names = sorted(n for n in disk.files if n[0] == "s")
    disk.bad = [(name, i) for name in names[:-1] for i in range(8)]
    wire = Wire(node)
    wire.ask(1000, 3000, 1000)
    got = numbers([(FRAME, m) for m in wire.sent])
    assert got and got[-1] == 1599 and node.box.waiting == 0, (len(got), node.box.waiting)


def a_configuration_that_cannot_be_read():
    """The storage fails when the CFG-2 is wanted, or looked for: all waits, and nothing is passed over."""
    for rotten in (False, True):
        disk = Disk()
        filled(disk)
        if rotten:
            without_config(disk, ("s00000000",))
        node = Node(disk, cfg=config(b"B"))
        if not rotten:
            message = node.take()
            assert message[0] == CONFIG and numbers([node.take()[:2]])
            node.backlog.ack(message[2])
            node.backlog.rewind()
        for _ in range(30):
            disk.good = 1  # of the frames
            assert not node.backlog.next() and node.backlog.failed
            node.backlog.retry()
        assert node.box.corrupt == rotten
        disk.good = 1 << 29
        got = node.drain()
        assert got[0][0] == CONFIG and numbers(got) == list(range(1100)) and node.box.corrupt == rotten


def a_copy_of_it():
    """The block with the CFG-2 is bad: another segment has it, too."""
    disk = Disk()
    filled(disk)
    node = Node(disk, cfg=config(b"B"))
    disk.bad = (("s00000000", 0),)
    got = node.drain()
    assert got[0] == (CONFIG, config(b"A")) and numbers(got) == list(range(58, 1100)), numbers(got)[:2]


# -- much to pass over ------------------------------------------------------------------------------------


def a_call_is_bounded():
    """However much a call passes over and looks through, it reads a few times; what it passed is let go of."""
    disk = Disk()
    filled(disk, frames=9000, blocks=(200, 12))
    without_config(disk)
    node = Node(disk, cfg=config(b"B"), blocks=(200, 12))
    node.frames(range(9000, 9100))
    most = calls = kind = 0
    waiting = node.box.waiting
    while not kind:
        disk.reads = 0
        kind = node.backlog.next()
        most = max(most, disk.reads)
        calls += 1
        if calls == 100:
            assert node.box.waiting < waiting
    assert most <= 2 * READS and 50 < calls < 300, (most, calls)
    assert numbers([(kind, node.backlog.buf[: node.backlog.size])])[0] == 9000


def the_search_ends_with_the_boot():
    """The blocks of a boot follow each other: no others are looked at; what is found there is right."""
    disk = Disk()
    for i, tag in enumerate(b"ABC"):
        filled(disk, bytes([tag]), 600, 600 * i)
    without_config(disk, ("s00000000",))
    node = Node(disk, cfg=config(b"C"))
    got = node.drain()
    assert [data[14:15] for kind, data in got if kind == CONFIG] == [b"A", b"B", b"C"]
    assert numbers(got)[:600] == list(range(600)) and node.box.corrupt == 1
    disk = Disk()
    filled(disk, b"A", 40)
    filled(disk, b"B", 6000, 40, blocks=(400, 32))
    without_config(disk, ("s00000000",))
    node = Node(disk, cfg=config(b"B"))
    disk.reads = 0
    assert numbers([node.take()[:2]])[0] == 40 and disk.reads < 12, disk.reads


def counted_once():
    """Records without their CFG-2, in front of what is in flight when the connection is lost, over and over."""
    disk = Disk()
    filled(disk, frames=200)
    without_config(disk)
    node = Node(disk, cfg=config(b"B"))
    node.frames(range(1000, 1200))
    for _ in range(6):
        assert numbers([node.take()[:2]])[0] == 1000
        assert node.box.corrupt == 201, node.box.corrupt
        node.backlog.rewind()


# -- time -------------------------------------------------------------------------------------------------


def connected_for_weeks():
    """A node without a clock waits a minute for one, once a connection, though the ticks begin anew."""
    node = Node(Storage())
    wire = Wire(node)
    follow = wire.follow
    for start in (1000, 0x3FFFFFFF - 20000):
        follow.connected(start)
        for hours in range(24 * 14):
            node.frames(range(2), kind=UNTIMED)
            del wire.sent[:]
            for minutes in range(0, 60, 5):
                wire.ask((start + (60 * hours + minutes) * 60000) & 0x3FFFFFFF)
            assert bool(wire.sent)
        node.frames(range(2), kind=UNTIMED)
        del wire.sent[:]
        follow.connected(start)
        wire.ask(start + 59000 & 0x3FFFFFFF)
        assert not wire.sent
        wire.ask(start + 60000 & 0x3FFFFFFF)
        assert wire.sent


def time_was_learned_and_a_read_fails():
    """What moves the frames of one boot is not lost to those, when that of the next cannot be had."""
    disk = Disk()
    for tag in (b"A", b"B"):
        node = Node(disk, cfg=config(tag))
        node.frames(range(10), kind=UNTIMED)
        node.boots.learn((1000, 0, 0, 1, 1))
        node.tend()
        assert node.box.save()
    for good in range(6):
        node = Node(disk, cfg=config(b"C"), hold_ms=1)
        for kind in (CONFIG, FRAME):
            assert node.take()[0] == kind
        disk.good = good
        assert bool(node.backlog.next()) != node.backlog.failed
        disk.good = 1 << 29
        node.backlog.rewind()
        for kind in (CONFIG, FRAME) * 2:
            assert node.take()[0] == kind, (good, kind)
    assert not node.backlog.failed


def nothing_to_do():
    """What is asked for each frame allocates nothing, where there is nothing or it cannot be read."""
    disk = Disk()
    node = Node(disk)
    for bad in (False, True):
        if bad:
            filled(disk, keeps=2)
            node = Node(disk)
            disk.good = 0
        wire = Wire(node)
        wire.ask(1000)
        heap_lock()
        for i in range(20):
            assert not wire.follow.send(wire, 1000 + i)
        heap_unlock()
        assert node.backlog.failed == bad


for test in (
    storage_that_cannot_be_read_for_a_while,
    a_block_that_cannot_be_read,
    it_is_left_behind,
    the_only_block,
    most_of_the_storage,
    a_configuration_that_cannot_be_read,
    a_copy_of_it,
    a_call_is_bounded,
    the_search_ends_with_the_boot,
    counted_once,
    connected_for_weeks,
    time_was_learned_and_a_read_fails,
    nothing_to_do,
):
    test()
    gc.collect()
