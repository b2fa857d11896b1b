"""Runs the node of a board for ever: what goes wrong is recorded, and the board begins anew."""

import gc

gc.threshold(4096)  # while the program loads: its parts then lie close together, and large buffers find room

import asyncio

from micropython import const

from firmware.modules import forget

_STEP = const(0xF00)  # of board.note, as boot.py has it
_COUNTED = const(0x1000)


def device(app, slot, wanted):
    """Returns at Ctrl-C only, or at the end of a recording. Raises if this application cannot begin.

    app: the folder of the application's slots; slot: the one that runs, "" for none; wanted: the one that should.
    """
    from firmware.boot import first

    board = first(slot, wanted)
    del first
    watchdog = board.watchdog(board.longest_watchdog_ms)
    node = []  # emptied by whoever ends it
    try:
        _live(board, watchdog.feed, app, slot, wanted, node)
    except KeyboardInterrupt:
        pass
    except Exception as e:
        _die(board, watchdog.feed, node, e)
    board.note &= ~_STEP
    watchdog.release()
    board.close()


def _die(board, feed, node, error):
    """It counts, is recorded as far as there is memory for that, and the board begins anew."""
    note = board.note
    board.note = (note if note & 0xFF == 0xFF else note + 1) | _COUNTED
    asyncio.new_event_loop()
    asyncio.core.cur_task = None  # would hold the node, as the old loop's tasks would
    for _ in range(2):
        try:
            gc.collect()
            from firmware.ending import end

            end(board, feed, node, error)
        except Exception:  # no memory, for one
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
    del found
    place.append(node)

    def healthy(served):
        if served:
            from firmware.settle import settle

            settle(board, mark, facts, log)
            forget("firmware.settle")
            return None
        board.note &= _STEP
        facts["crashes"] = 0
        return healthy

    node.on_healthy = healthy
    from firmware.work import work

    work(node, status_s, energy_s)
    feed()
    from firmware.ending import leave

    leave(node, board, 1000)  # whoever presses Ctrl-C at a board waits
    if node.again:
        board.note &= ~_STEP
        board.restart()
