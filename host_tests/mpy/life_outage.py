"""A long outage in simulated time, on 848 KiB: `life_outage.py rp2|esp32 SECONDS`.

50 frames of 52 bytes a second; events, and energy every 15 minutes. Then the power goes, and all that the log has
is read. Prints one JSON object of figures; raises Broken if a record is not as it was made.
"""

import gc
import json
import random
import struct
import sys

from flash_device import PROG_SIZES, FlashDevice
from life_world import EVENT, FRAME, METER, Broken, Moved, differs, fill

from boards.storage import Folder
from outbox.backlog import Backlog
from outbox.boots import Boots
from outbox.durable import DurableLog
from outbox.outbox import Outbox
from outbox.ring import Ring
from outbox.stream import StreamLog

SIZE = 52
RATE = 50
SOC = 1800000000
DURABLE_BLOCKS = 16
SLOTS, HIGH_WATER, WINDOW, AROUND_MS = 512, 384, 32, 10000
CONFIG = bytearray(94)
struct.pack_into(">HHHIIIH", CONFIG, 0, 0xAA31, 94, 7, SOC, 0, 1000000, 1)


class Measured(Folder):
    """Notes the most heap that was in use at any read, garbage not counted."""

    most = 0

    def read(self, name, at, buf):
        gc.collect()
        Measured.most = max(Measured.most, gc.mem_alloc())
        return super().read(name, at, buf)


class Flash:
    """The flash and the counts of its operations that one write of the log took."""

    def __init__(self, kind):
        self.device = FlashDevice(PROG_SIZES[kind]).mkfs().mount("/flash")
        self._before = self._now()
        self.costs = []  # of each: reads, programs, erases

    def _now(self):
        return self.device.reads, self.device.programs, self.device.erases

    def note(self, wrote):
        now = self._now()
        if wrote:
            self.costs.append([b - a for a, b in zip(self._before, now)])
        self._before = now


def node(folder):
    """The outbox of a boot."""
    storage = folder("/flash/outbox")
    ring = Ring(SLOTS, SIZE)
    stream = StreamLog(storage, 212 - DURABLE_BLOCKS, CONFIG)
    durable = DurableLog(storage, DURABLE_BLOCKS)
    boots = Boots(storage, random, stream, durable)
    outbox = Outbox(ring, boots, stream, durable, HIGH_WATER, WINDOW, AROUND_MS)
    outbox.backlog = Backlog(durable, stream, boots, 1200, Moved, CONFIG)
    return outbox


def make(buf, off, index):
    struct.pack_into(">HHHIIHI", buf, off, 0xAA01, SIZE, 7, SOC + index // RATE, index % RATE * 20000, 0, index)
    fill(buf, off + 20, off + SIZE, index)


def check(buf, off):
    """Index of the frame there; Broken if it is not as it was made."""
    index = struct.unpack_from(">I", buf, off + 16)[0]
    if struct.unpack_from(">II", buf, off + 6) != (SOC + index // RATE, index % RATE * 20000) or differs(
        buf, off + 20, off + SIZE, index
    ):
        raise Broken("frame %d altered" % index)
    return index


def outage(outbox, flash, seconds, triggers):
    """Nothing is sent; {number: data} of what was kept, and the news."""
    kept, told = {}, []

    def keep(kind, what):
        what["seq"] = outbox.durable_number()
        data = json.dumps(what).encode()
        if not outbox.keep(kind, data, now):
            raise Broken("not durable: %s" % outbox.storage)
        kept[what["seq"]] = data
        flash.note(False)

    for index in range(seconds * RATE):
        now = index * 20 & 0x3FFFFFFF
        make(outbox.buf, outbox.pend(), index)
        outbox.commit(SIZE, FRAME, now)
        outbox.tend(now)
        flash.note(outbox.stream.writes > len(flash.costs))
        if index % (RATE * 10) == RATE * 5:
            news = outbox.news()
            while news:
                told.append(dict(news))
                keep(EVENT, news)
                news = outbox.news()
        if index % (RATE * 900) == RATE * 600:
            keep(METER, {"wh_in": [index] * 3})
        if index in triggers:
            outbox.trigger(now)
    return kept, told


def mean(costs):
    return [round(sum(cost[i] for cost in costs) / len(costs), 2) for i in range(3)]


def drain(outbox, kept):
    """Everything in the backlog, acknowledged: indices of frames; Broken if a durable record is not as it was."""
    found, durable = [], set()
    backlog = outbox.backlog
    while True:
        kind = backlog.next()
        if not kind:
            break
        if kind == FRAME:
            for off in range(0, backlog.size, SIZE):
                found.append(check(backlog.buf, off))
        elif kind in (METER, EVENT):
            data = bytes(backlog.buf[: backlog.size])
            number = json.loads(data)["seq"]
            if kept[number] != data:
                raise Broken("durable record %d altered" % number)
            durable.add(number)
        backlog.ack(backlog.token)
        outbox.tend(0)
    return found, durable


def main(kind, seconds):
    flash = Flash(kind)
    gc.collect()
    floor = gc.mem_alloc()
    outbox = node(Folder)
    flash.note(False)
    triggers = [seconds * RATE * i // 10 for i in (4, 8)]
    kept, told = outage(outbox, flash, seconds, triggers)
    figures = {"made": seconds * RATE, "writes": len(flash.costs), "told": told}
    tenth = max(1, len(flash.costs) // 10)
    figures["costs"] = [mean(flash.costs[i : i + tenth]) for i in range(0, 10 * tenth, tenth)]
    figures["files"] = len(outbox.stream.storage.names())
    figures["percent"] = outbox.flash_percent
    block = outbox.stream._put  # records in the block that is not on flash yet
    figures["ram"], figures["loss_most"] = len(outbox) + block, outbox.loss_most
    figures["kept"] = outbox.flash_waiting - block
    figures["thinned"], figures["dropped"] = outbox.thinned, outbox.dropped
    outbox = flash.costs = None
    before = flash.device.read_bytes
    outbox = node(Measured)
    figures["recovery_read"] = flash.device.read_bytes - before
    figures["recovery_heap"] = Measured.most - floor
    figures["recovered"] = outbox.flash_waiting
    outbox.stream.storage.read = super(Measured, outbox.stream.storage).read
    found, durable = drain(outbox, kept)
    figures["in_order"] = found == sorted(found)
    figures["found"] = len(set(found))
    figures["durable"], figures["durable_found"] = len(kept), len(durable)
    first = 0
    while found[first] == first:
        first += 1
    figures["full_rate_s"] = first / RATE
    figures["around"] = [sum(1 for i in found if abs(i - at) <= AROUND_MS * RATE // 1000) for at in triggers]
    figures["strides"] = strides(found)
    figures["corrupt"], figures["violations"] = outbox.corrupt, flash.device.violations
    print(json.dumps(figures))


def strides(found):
    """{distance between frames that follow each other: how often}."""
    many = {}
    for i in range(1, len(found)):
        step = found[i] - found[i - 1]
        many[step] = many.get(step, 0) + 1
    return many


main(sys.argv[1], int(sys.argv[2]))
