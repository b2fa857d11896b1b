"""firmware/main.py as it is, but it tells at each frame how much heap is free, if less than ever: "least N"."""

import gc
import sys

from firmware import main

_start = main.start


def start(config, board):
    node = _start(config, board)
    pump = node.meter._on_frame
    least = 1 << 29

    def look():
        nonlocal least
        pump()
        free = gc.mem_free()
        if free < least - 500:
            least = free
            print("least %d" % free)

    node.meter._on_frame = look
    return node


main.start = start
sys.exit(main.main(sys.argv))
