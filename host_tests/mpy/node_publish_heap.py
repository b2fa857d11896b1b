"""Heap bytes a publish, from pend() to the PUBACK processed. Arguments: port, messages, records a second.

Prints JSON: `total` a publish, `loop` of it taken by as many switches of the event loop alone, `outside` the rest;
`pieces` once more without an event loop, call by call. The collector is off, so that what is allocated stays.
"""

import asyncio
import gc
import json
import sys
from time import sleep_ms, ticks_diff, ticks_ms

import node_link

from firmware.log import Log

SIZE = 52


async def idle(poll_ms):
    """Link.run without what it pumps."""
    while True:
        await asyncio.sleep_ms(poll_ms)


async def produce(link, messages, rate):
    began = ticks_ms()
    number = 0
    while number < messages:
        wait_ms = number * 1000 // rate - ticks_diff(ticks_ms(), began)
        if wait_ms > 0:
            await asyncio.sleep_ms(wait_ms)
            continue
        node_link.commit(link.outbox, number)
        number += 1
        link.pump()
    while len(link.outbox):
        await asyncio.sleep_ms(1)


async def tick(messages, rate):
    """The switches of `produce` without what it does."""
    began = ticks_ms()
    number = 0
    while number < messages:
        wait_ms = number * 1000 // rate - ticks_diff(ticks_ms(), began)
        if wait_ms > 0:
            await asyncio.sleep_ms(wait_ms)
            continue
        number += 1


async def measure(task, work):
    """Bytes allocated while `work` runs beside `task`."""
    task = asyncio.create_task(task)
    await asyncio.sleep_ms(50)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    probe = bytearray(4096)
    seen = gc.mem_alloc() - before
    assert seen >= len(probe), "nothing is counted"
    await work
    used = gc.mem_alloc() - before - seen
    assert used >= 0, "the collector ran"
    gc.enable()
    task.cancel()
    return used


def connect(link):
    end = ticks_ms() + 10_000
    while link.session.acknowledged < 2:
        if not link.pump():
            sleep_ms(1)
        assert ticks_diff(end, ticks_ms()) > 0, "no connection: " + link.last_error


def pieces(link, messages):
    """Bytes a publish of each call, without an event loop."""
    used = {"commit": 0, "send": 0, "acknowledge": 0, "idle_pump": 0}
    gc.collect()
    gc.disable()
    for number in range(messages):
        a = gc.mem_alloc()
        node_link.commit(link.outbox, number)
        b = gc.mem_alloc()
        link.pump()
        c = gc.mem_alloc()
        while len(link.outbox):
            link.pump()
        d = gc.mem_alloc()
        link.pump()
        e = gc.mem_alloc()
        for name, bytes_used in (("commit", b - a), ("send", c - b), ("acknowledge", d - c), ("idle_pump", e - d)):
            used[name] += bytes_used
        if number % 100 == 99:
            gc.collect()
    gc.enable()
    return {name: n / messages for name, n in used.items()}


def main(argv):
    options = dict(node_link.DEFAULTS)
    options["port"], options["keepalive_s"], options["id"] = int(argv[1]), 60, "heap"
    messages, rate = int(argv[2]), int(argv[3])
    link = node_link.build(options, Log(print, "error"))
    connect(link)
    found = pieces(link, 100)
    total = asyncio.run(measure(link.run(), produce(link, messages, rate)))
    share = messages // 5  # of the switches, is enough to know what one takes
    loop = 5 * asyncio.run(measure(idle(10), tick(share, rate)))
    report = {"total": total / messages, "loop": loop / messages, "outside": (total - loop) / messages}
    report["pieces"] = found
    report["sent_again"] = link.session.again
    print(json.dumps(report))


main(sys.argv)
