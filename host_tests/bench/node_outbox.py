"""On MicroPython: what the outbox costs on 848 KiB of littlefs. `node_outbox.py WHAT [rp2|esp32] [DAYS]`."""

import gc
import json
import random
import struct
import sys
from time import ticks_diff, ticks_us

from boards.storage import Folder
from host_tests.mpy.flash_device import PROG_SIZES, FlashDevice
from outbox.backlog import Backlog
from outbox.boots import Boots
from outbox.durable import DurableLog
from outbox.outbox import Outbox
from outbox.record import EVENT, METER
from outbox.ring import Ring
from outbox.stream import StreamLog

SIZE, RATE = 52, 50
BLOCKS, DURABLE = 212, 16
SLOTS, HIGH_WATER, WINDOW, AROUND_MS, PAYLOAD = 256, 192, 32, 10000, 1200  # the defaults
CONFIG = bytearray(94)
struct.pack_into(">HHHIIIH", CONFIG, 0, 0xAA31, 94, 7, 0, 0, 1000000, 1)
FRAME = bytearray(SIZE)
struct.pack_into(">HHHI", FRAME, 0, 0xAA01, SIZE, 7, 1800000000)
# facts of flash, for the time that a write takes: 45 ms an erase, 0.5 ms a program of 256 bytes, 2 us a read
ERASE_MS, BYTE_MS, READ_MS = 45, 0.5 / 256, 0.002


class Timed(FlashDevice):
    """`spent`: microseconds in here, where real flash would be."""

    spent = 0

    def readblocks(self, *args):
        begin = ticks_us()
        super().readblocks(*args)
        self.spent += ticks_diff(ticks_us(), begin)

    def writeblocks(self, *args):
        begin = ticks_us()
        super().writeblocks(*args)
        self.spent += ticks_diff(ticks_us(), begin)

    def ioctl(self, *args):
        begin = ticks_us()
        found = super().ioctl(*args)
        self.spent += ticks_diff(ticks_us(), begin)
        return found


class Sender:
    """An outbox that is never sent from, but for `drain`."""

    def __init__(self, kind, device=FlashDevice):
        self.device = device(PROG_SIZES[kind]).mkfs().mount("/flash")
        self.now = 0
        self.boot()

    def boot(self):
        self.outbox = assemble("/flash/outbox")

    def frames(self, n):
        """n frames, 20 ms each."""
        outbox, now = self.outbox, self.now
        buf = outbox.buf
        for _ in range(n):
            off = outbox.pend()
            buf[off + 16] = now >> 8 & 255
            outbox.commit(SIZE, 1, now)
            outbox.tend(now)
            now = now + 20 & 0x3FFFFFFF
        self.now = now

    def drain(self):
        """The link is back: everything in the logs goes and is acknowledged, then what is in RAM."""
        outbox = self.outbox
        while outbox.backlog.next():
            outbox.backlog.ack(outbox.backlog.token)
            outbox.tend(self.now)
        while len(outbox):
            outbox.ack(outbox.next())
        for _ in range(40):
            outbox.tend(self.now)
            if outbox.backlog.next():
                outbox.backlog.ack(outbox.backlog.token)

    def keep(self, kind, what):
        what["seq"] = self.outbox.durable_number()
        if not self.outbox.keep(kind, json.dumps(what).encode(), self.now):
            raise OSError("not durable: %s" % self.outbox.storage)

    def next_chunk(self):
        """As if the numbers of this chunk had been used up in RAM."""
        ring = self.outbox.ring
        ring.begin(ring.written | 0xFFFF0)
        for _ in range(40):
            self.outbox.pend()
            seq = self.outbox.commit(SIZE, 1, self.now)
            self.outbox.next()
            self.outbox.ack(seq)
            self.outbox.tend(self.now)


def assemble(path):
    ring = Ring(SLOTS, SIZE)
    storage = Folder(path)
    stream = StreamLog(storage, BLOCKS - DURABLE, CONFIG)
    durable = DurableLog(storage, DURABLE)
    boots = Boots(storage, random, stream, durable)
    outbox = Outbox(ring, boots, stream, durable, HIGH_WATER, WINDOW, AROUND_MS)
    outbox.backlog = Backlog(durable, stream, boots, PAYLOAD, None, CONFIG)
    for i in range(0, len(ring.buf), SIZE):
        ring.buf[i : i + SIZE] = FRAME
    return outbox


def erases(kind):
    """Three outages of 100 s at full rate, drained; and a file that is flushed for each frame."""
    sender = Sender(kind)
    for _ in range(3):
        sender.frames(5000)
        blocks, waiting = sender.outbox.stream.blocks, sender.outbox.flash_waiting
        sender.drain()
    ours = 1000 * sender.device.erases / sender.outbox.spilled
    device = FlashDevice(PROG_SIZES[kind]).mkfs().mount("/plain")
    with open("/plain/log", "wb") as file:
        for _ in range(2000):
            file.write(FRAME)
            file.flush()
    return {"ours": ours, "flushed": device.erases / 2, "bytes_per_frame": blocks * 4096 / waiting}


def wear(kind, days):
    """An hour of outage a day, energy every 15 minutes, numbers used up as at 50/s: erases a day."""
    sender = Sender(kind)
    for day in range(days):
        for quarter in range(92):
            sender.keep(METER, {"wh_in": [day, quarter], "wh_out": [0, 0], "phases": "ABC", "boot": 1, "soc": 1})
            if quarter % 23 == 0:
                sender.next_chunk()
            sender.drain()
        for second in range(3600):
            sender.frames(RATE)
            if second % 900 == 0:
                sender.keep(METER, {"wh_in": [day, second], "wh_out": [0, 0], "phases": "ABC", "boot": 1, "soc": 1})
            if second % 10 == 0:
                news = sender.outbox.news()
                while news:
                    sender.keep(EVENT, news)
                    news = sender.outbox.news()
        sender.drain()
        if sender.outbox.waiting:
            raise OSError("%d records are left" % sender.outbox.waiting)
    device = sender.device
    return {"worst": max(device.wear) / days, "mean": device.erases / BLOCKS / days, "days": days}


def append():
    """Microseconds a frame (median) without the flash: in RAM, and to flash at 1 and 99 %; of a block, what the
    flash takes then; and the recovery of that full log."""
    sender = Sender("rp2", Timed)
    outbox, device = sender.outbox, sender.device
    gc.disable()  # the flash in Python makes garbage
    rounds = []
    for _ in range(21):
        begin = ticks_us()
        sender.frames(40)
        rounds.append(ticks_diff(ticks_us(), begin) / 40)
        for _ in range(40):
            outbox.ack(outbox.next())
    found = {"ram_us": sorted(rounds)[10]}
    outbox.thinning.filled = lambda part: None  # nothing is thinned
    for percent in (1, 99):
        while outbox.stream.blocks < percent * (BLOCKS - DURABLE) // 100:
            sender.frames(RATE)
            gc.collect()
        before = device.erases, device.programs, device.reads
        last = outbox.stream.writes + 2
        rounds = []
        while outbox.stream.writes < last:
            spent, begin = device.spent, ticks_us()
            sender.frames(10)
            rounds.append((ticks_diff(ticks_us(), begin) - device.spent + spent) / 10)
        found["flash_%d_us" % percent] = sorted(rounds)[len(rounds) // 2]
        erases, programs, reads = [
            (after - was) / 2 for after, was in zip((device.erases, device.programs, device.reads), before)
        ]
        found["block_%d_ms" % percent] = erases * ERASE_MS + programs * 256 * BYTE_MS + reads * READ_MS
    outbox.save()
    reads, read_bytes, spent = device.reads, device.read_bytes, device.spent
    begin = ticks_us()
    sender.boot()
    wall = ticks_diff(ticks_us(), begin)
    found["recovery_ms"] = (wall - device.spent + spent) / 1000 + (device.reads - reads) * READ_MS
    found["recovery_reads"] = device.reads - reads
    found["recovery_bytes"] = device.read_bytes - read_bytes
    found["records"] = sender.outbox.flash_waiting
    return found


def heap():
    """Bytes that an outbox with the default configuration takes, its ring and buffers included."""
    FlashDevice(256, blocks=16).mkfs().mount("/flash")
    assemble("/flash/first")
    gc.collect()
    before = gc.mem_alloc()
    outbox = assemble("/flash/second")
    gc.collect()
    return {"total": gc.mem_alloc() - before, "ring": len(outbox.buf), "block": 4096}


WHAT = {"erases": erases, "wear": wear, "append": append, "heap": heap}
random.seed(1)
print(json.dumps(WHAT[sys.argv[1]](*[int(a) if a.isdigit() else a for a in sys.argv[2:]])))
