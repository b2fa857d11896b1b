"""Starts a node: the one place where the application and a board meet. `main.py CONFIG.json [seconds]`."""

import gc

gc.threshold(4096)  # while the program loads: its parts then lie close together, and large buffers find room

import asyncio
import json
import sys

from boards.unix.board import Board
from firmware.modules import forget

_FATE = ("what was in RAM of it is lost", "on flash, to be sent at the next start")


def load(path):
    """The checked configuration at `path`. The schema is let go again: it is a quarter of the program."""
    from settings.schema import check

    with open(path) as file:
        config = check(json.load(file))
    forget("settings.schema")
    return config


def start(config, board):
    """The Node of a configuration on a board. What wires it is let go again, too."""
    from firmware.wiring import build

    node = build(config, board)
    forget("firmware.wiring")
    return node


def main(argv):
    if len(argv) not in (2, 3):
        print("usage: main.py CONFIG.json [seconds]")
        return 2
    try:
        seconds = float(argv[2]) if len(argv) == 3 else 0
        config = load(argv[1])
        board = Board()
        board.open(config)
        node = start(config, board)
    except (ValueError, OSError) as e:
        print("%s: %s" % (argv[1], e))
        return 1
    gc.collect()
    gc.threshold(-1)
    try:
        asyncio.run(node.run(config["status_s"], config["energy_s"], seconds))
    except KeyboardInterrupt:  # falls on any task: none of them goes on
        pass
    asyncio.new_event_loop()
    try:
        asyncio.run(node.leave())
    except KeyboardInterrupt:  # once more: at once, but not without a word
        pass
    outbox = node.link.outbox
    saved = outbox.save()
    said = "stopped: %d frames made, %d dropped, %d not acknowledged" % (
        node.meter.frames,
        outbox.dropped,
        outbox.waiting,
    )
    if outbox.waiting:
        said += " (records and earlier frames with them): " + _FATE[saved]
    board.log(said)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
