"""Runs the node of a board for ever: what goes wrong is recorded, and the board begins anew."""

import gc

gc.threshold(4096)  # while the program loads: its parts then lie close together, and large buffers find room

import asyncio
import sys

from firmware.modules import forget


def make_board():
    """The Board of this machine, in its first stage."""
    name = "unix" if sys.platform == "linux" else sys.platform
    return __import__("boards.%s.board" % name, None, None, ("Board",)).Board()


def device(app, slot, wanted):
    """Returns at Ctrl-C only, or at the end of a recording.

    app: the folder of the application's slots; slot: the one that runs, "" for none; wanted: the one that should.
    """
    board = make_board()
    watchdog = board.watchdog(board.longest_watchdog_ms)
    node = []  # emptied by whoever ends it
    try:
        _live(board, watchdog.feed, app, slot, wanted, node)
    except KeyboardInterrupt:
        pass
    except Exception as e:
        _die(board, watchdog.feed, node, e)
    watchdog.release()
    board.close()


def _die(board, feed, node, error):
    """It counts, is recorded as far as there is memory for that, and the board begins anew."""
    board.note = board.note & 0xFF00 | min((board.note & 0xFF) + 1, 0xFF)
    asyncio.new_event_loop()
    asyncio.core.cur_task = None  # would hold the node, as the old loop's tasks would
    for _ in range(2):
        try:
            gc.collect()
            from firmware.ending import end

            end(board, feed, node, error)
        except MemoryError:
            del node[:]  # why it died is worth more than what it has in RAM
    board.restart()


def _live(board, feed, app, slot, wanted, place):
    from firmware.boot import boot

    found = boot(board, feed, app, slot, wanted)
    del boot
    forget("firmware.boot", "firmware.crashes", "firmware.lastgood")
    if not found.node:
        from firmware.safe import safe

        safe(board, feed, found)
        return
    node, log, facts, mark = found.node, found.log, found.facts, found.mark
    status_s, energy_s = found.config["status_s"], found.config["energy_s"]
    log.info("running: %s on %s", found.config["id"], board.name)
    del found
    place.append(node)

    def healthy():
        from firmware.settle import settle

        settle(board, mark, facts, log)
        forget("firmware.settle")

    node.on_healthy = healthy
    from firmware.node import work

    work(node, status_s, energy_s)
    feed()
    from firmware.ending import leave

    leave(node, board, 1000)  # whoever presses Ctrl-C at a board waits
