"""Starts a node: the one place where the application and a board meet. `main.py CONFIG.json [seconds]`."""

import gc

gc.threshold(4096)  # while the program loads: its parts then lie close together, and large buffers find room

import asyncio
import json
import random
import sys
from time import ticks_ms

from boards.unix.board import Board
from firmware.link import Link
from firmware.meter import Meter
from firmware.session import Session
from firmware.status import Status
from mqtt.publish import Publish
from mqtt.retry import Retry
from outbox.ring import Ring

_STATUS_BYTES = 1023
_SAMPLE_S = 10  # at most, between looks at the clock
_DRAIN_MS = 3000  # how long the end waits for the last acknowledgements


def load(path):
    """The checked configuration at `path`. The schema is let go again: it is a quarter of the program."""
    from settings.schema import check

    with open(path) as file:
        config = check(json.load(file))
    _forget("settings.schema")
    return config


def _forget(*names):
    """Let go of modules that have done their work: both places that hold one (their package is the other)."""
    for name in names:
        package, _, module = name.rpartition(".")
        sys.modules.pop(name)
        delattr(sys.modules[package], module)


def build(config, board):
    """(meter, link, status) of a configuration on a board, wired together."""
    from firmware.framing import framing

    measurement, broker = config["measurement"], config["broker"]
    writer, config_frame, fracsec = framing(measurement, board.source, board.clock)
    _forget("firmware.framing", "c37118.config", "c37118.frame")
    slots = config["outbox"]["slots"]
    held_ms = slots * 1000 // measurement["rate"]
    if held_ms < board.longest_block_ms:
        raise ValueError(
            "outbox.slots: %d frames are %d ms, but this board may hold the program for %d ms"
            % (slots, held_ms, board.longest_block_ms)
        )
    outbox = Ring(slots, writer.size)  # the largest block: before more code takes the room
    from phasor.estimator import Estimator

    estimator = Estimator(
        board.source.fs_hz,
        measurement["f0_hz"],
        measurement["rate"],
        len(board.source.channels),
        board.source.block_samples,
        writer.values,
        rectangular=measurement["format"].endswith("rectangular"),
    )
    place = config["topic"]

    def topic(kind):
        levels = (place["area"], place["location_type"], place["location_id"], kind, config["id"])
        return "/".join(levels).encode()

    def acked(seq):
        link.acked(seq)

    session = Session(
        config["id"].encode(),
        board.network,
        acked,
        broker["user"].encode() if broker["user"] else None,
        broker["password"].encode(),
        broker["keepalive_s"],
        broker["window"],
        broker["max_packet"],
    )
    status = Status(Publish(topic("STATUS"), _STATUS_BYTES), board, measurement["idcode"])
    session.set_last_will(status.packet.topic, b'{"state": "offline"}', True, 1)
    link = Link(
        session,
        outbox,
        Retry(lambda n: random.getrandbits(16) % n),
        (broker["host"], broker["port"], bool(broker["ca"])),
        Publish(topic("PMU"), max(writer.size, len(config_frame))),
        config_frame,
        status,
        topic("CMD"),
        board.log,
    )
    stat = 0x8000 if config["source"]["test_mode"] else 0
    meter = Meter(board.source, estimator, writer, outbox, board.clock, fracsec, stat, link.pump)
    status.meter, status.estimator, status.link = meter, estimator, link
    session.set_callback(link.command)
    return meter, link, status


async def _report(link, status, every_s):
    """STATUS at its interval, the clock's quality more often; the collector runs where nothing waits for it."""
    passed_s = 0
    while True:
        step_s = min(every_s - passed_s, _SAMPLE_S)
        await asyncio.sleep(step_s)
        passed_s += step_s
        status.sample()
        if passed_s == every_s:
            link.report("online")
            passed_s = 0
        gc.collect()


async def _run(meter, link, status, every_s, seconds):
    """Until the source ends or `seconds` have passed (0: never)."""
    asyncio.get_event_loop().set_exception_handler(_failed)
    asyncio.create_task(link.run())
    asyncio.create_task(_report(link, status, every_s))
    try:
        if seconds:
            await asyncio.wait_for(meter.run(), seconds)
        else:
            await meter.run()
    except asyncio.TimeoutError:
        pass


def _failed(loop, context):
    """An unexpected exception in a task ends the node, with its traceback: half a node would look like a whole."""
    sys.print_exception(context["exception"])
    raise SystemExit(1)


async def _leave(link):
    """Send what waits, and say good-bye."""
    pumping = asyncio.create_task(link.run())
    await link.drain(_DRAIN_MS)
    pumping.cancel()
    link.session.leave(ticks_ms())


def main(argv):
    if len(argv) not in (2, 3):
        print("usage: main.py CONFIG.json [seconds]")
        return 2
    try:
        seconds = float(argv[2]) if len(argv) == 3 else 0
        config = load(argv[1])
        board = Board(config)
        meter, link, status = build(config, board)
    except (ValueError, OSError) as e:
        print("%s: %s" % (argv[1], e))
        return 1
    gc.collect()
    gc.threshold(-1)
    try:
        asyncio.run(_run(meter, link, status, config["status_s"], seconds))
    except KeyboardInterrupt:  # falls on any task: none of them goes on
        pass
    asyncio.new_event_loop()
    try:
        asyncio.run(_leave(link))
    except KeyboardInterrupt:  # once more: at once, but not without a word
        pass
    outbox = link.outbox
    board.log(
        "stopped: %d frames made, %d dropped, %d not acknowledged"
        % (meter.frames, outbox.dropped, len(outbox))
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
