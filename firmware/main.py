"""Starts a node on a computer: `main.py CONFIG.json [seconds]`. On a board device.py does."""

import gc

gc.threshold(4096)  # while the program loads: its parts then lie close together, and large buffers find room

import json
import sys

from boards.unix.board import Board
from firmware.modules import forget


def load(path):
    """The checked configuration at `path`. The schema is let go again: it is a quarter of the program."""
    from settings.schema import check

    with open(path) as file:
        config = check(json.load(file))
    forget("settings.schema", "settings.rules", "settings.segment", "settings")
    return config


def start(config, board):
    """The Node or Member of a configuration on a board. What wires it is let go again, too."""
    from firmware.log import Log

    module = "firmware.wiring" if config["measurement"] else "firmware.lean"
    build = __import__(module, None, None, ("build",)).build
    node = build(config, board, Log(board.write, config["log"]), _nothing, {"reset": board.reset_cause}, 0)
    forget("firmware.wiring", "firmware.lean", "firmware.parts")
    return node


def _nothing():
    pass


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
    from firmware.work import work

    status_s, energy_s = config["status_s"], config["energy_s"]
    del config  # it is no longer used, but would stay on the heap
    work(node, status_s, energy_s, seconds)
    from firmware.ending import leave

    leave(node, board)
    if node.again:
        board.restart()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
