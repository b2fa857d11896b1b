"""A node without a measurement: numbered records through Ring, Link and Session. Its argument is JSON.

`records` (see DEFAULTS) are committed at `rate` a second (0: as the ring has room), each with its number in its
first four bytes. It ends when all are acknowledged and `linger_s` have passed, or after `limit_s`. The last line
it prints is its report, a JSON object; before it come the log and, at each `mark` acknowledged, "acknowledged N".
"""

import asyncio
import gc
import json
import random
import sys
from time import ticks_add, ticks_diff, ticks_ms, ticks_us

from plain_outbox import follow_up, plain_outbox

from boards.unix.network import Network
from firmware.brokers import Brokers
from firmware.link import Link
from firmware.log import Log
from firmware.session import Session
from mqtt.publish import Publish
from mqtt.timing import Retry
from outbox.record import FRAME, TICKS

DEFAULTS = {
    "host": "127.0.0.1",
    "port": 1883,
    "user": "",
    "password": "",
    "ca": "",
    "certificate": "",
    "key": "",
    "id": "node",
    "keepalive_s": 10,
    "window": 32,
    "max_packet": 1024,
    "slots": 256,
    "size": 52,
    "records": 100,
    "rate": 0,
    "mark": 0,
    "settle": False,  # the first record is committed when the connection has said all it says at its begin
    "folder": "",  # of the flash log; without, records wait in RAM
    "again_s": 0,
    "linger_s": 0,
    "limit_s": 30,
}


class Status:
    def __init__(self, topic):
        self.packet = Publish(topic, 200)
        self.link = None

    def payload(self, state):
        return json.dumps({"state": state, "last_error": self.link.last_error}).encode()


def build(options, log):
    """The Link as firmware/main.py wires them."""

    network = Network(options)
    place = "test/" + options["id"]
    session = Session(
        options["id"].encode(),
        network,
        options["user"].encode() if options["user"] else None,
        options["password"].encode(),
        options["keepalive_s"],
        options["window"],
        options["max_packet"],
    )
    status = Status((place + "/STATUS").encode())
    session.set_last_will(status.packet.topic, b'{"state": "offline"}', True, 1)
    outbox = plain_outbox(
        options["slots"],
        options["size"],
        options["window"],
        options["folder"],
        spill=bool(options["folder"]),
        hold_ms=options["again_s"] * 1000,
    )
    link = Link(
        session,
        outbox,
        follow_up(outbox, (place + "/").encode()),
        Retry(random.randrange),
        Brokers(network, [(options["host"], options["port"])], 60000),
        bool(options["ca"]),
        Publish((place + "/PMU").encode(), options["size"]),
        b"configuration",
        status,
        (place + "/CMD").encode(),
        options["again_s"] * 1000,
        log,
    )
    status.link = link
    session.on_acked = link.acked
    session.set_callback(link.command)
    return link


def commit(outbox, number):
    off = outbox.pend()
    buf = outbox.buf
    buf[off] = number >> 24
    buf[off + 1] = number >> 16 & 255
    buf[off + 2] = number >> 8 & 255
    buf[off + 3] = number & 255
    outbox.commit(outbox.ring.slot_size, FRAME, ticks_ms() & TICKS)


async def produce(options, link):
    outbox = link.outbox
    while options["settle"] and link.session.acknowledged < 2:
        await asyncio.sleep_ms(5)
    began = ticks_ms()
    end = ticks_add(began, options["limit_s"] * 1000)
    rate, number, marked, lingers = options["rate"], 0, 0, False
    while ticks_diff(end, ticks_ms()) > 0:
        due = options["records"]
        if rate:
            due = min(due, ticks_diff(ticks_ms(), began) * rate // 1000 + 1)
        while number < due and (rate or len(outbox) < outbox.ring.slots):
            commit(outbox, number)
            number += 1
            if rate:
                link.pump()
        if options["mark"] and link.session.acknowledged >= marked + options["mark"]:
            marked += options["mark"]
            print("acknowledged", marked)
        through = number == options["records"] and not outbox.waiting and not link.session.window.open_count
        if through and not lingers:
            lingers = True
            end = ticks_add(ticks_ms(), options["linger_s"] * 1000)
        await asyncio.sleep_ms(2 if rate or lingers else 0)


async def run(options, link):
    pumping = asyncio.create_task(link.run())
    await produce(options, link)
    pumping.cancel()


class Timed:
    """Session.step with the longest of its times kept, in us."""

    def __init__(self, session):
        self.step, self.longest_us = session.step, 0
        session.step = self

    def __call__(self, now):
        began = ticks_us()
        moved = self.step(now)
        self.longest_us = max(self.longest_us, ticks_diff(ticks_us(), began))
        return moved


def main(argv):
    options = dict(DEFAULTS)
    options.update(json.loads(argv[1]))
    link = build(options, Log(print, "info"))
    session = link.session
    timed = Timed(session)
    gc.collect()
    began = ticks_ms()
    asyncio.run(run(options, link))
    report = {
        "acknowledged": session.acknowledged,
        "again": session.again,
        "late": session.late,
        "faults": session.faults,
        "connections": link.connections,
        "present": session.present,
        "waiting": link.outbox.waiting,
        "waiting_most": link.outbox.ring.high_water,
        "dropped": link.outbox.dropped,
        "last_error": link.last_error,
        "longest_step_us": timed.longest_us,
        "span_ms": ticks_diff(ticks_ms(), began),
    }
    session.leave(ticks_ms())
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv)
