"""A meter whose program is held again and again: `node_blocked.py CONFIG TIMES BLOCK_MS`; prints counters.

The network's connect() blocks, as a name look-up does on a board, and drops its first connections; besides, the
loop is held while connected, as by the erase of a flash block.
"""

import asyncio
import json
import sys
import time

from boards.unix.board import Board
from firmware.main import load, start

config, times, block_ms = load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
board = Board()
board.open(config)
connect = board.network.connect
attempts = []


def slow_connect(host, port):
    time.sleep_ms(block_ms)
    attempts.append(1)
    if len(attempts) < 3:
        raise OSError(113)
    return connect(host, port)


board.network.connect = slow_connect
node = start(config, board)
meter, link = node.meter, node.link


async def main():
    tasks = [asyncio.create_task(link.run()), asyncio.create_task(meter.run())]
    while not link.connections:
        await asyncio.sleep_ms(10)
    for _ in range(times):
        await asyncio.sleep(1)
        time.sleep_ms(block_ms)
    tasks[1].cancel()
    await link.drain(5000)
    tasks[0].cancel()
    link.session.leave(time.ticks_ms())


asyncio.run(main())
print(
    json.dumps(
        {
            "frames": meter.frames,
            "dropped": link.outbox.dropped,
            "waiting": len(link.outbox),
            "lost_blocks": board.source.lost_blocks,
            "attempts": len(attempts),
        }
    )
)
