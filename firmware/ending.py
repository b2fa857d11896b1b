"""How a node ends: in order, or by what went wrong. Loaded when it does."""

import asyncio
import gc

from micropython import const

_DRAIN_MS = const(3000)  # how long the end waits for the last acknowledgements


def leave(node, board, drain_ms=_DRAIN_MS):
    """The good-bye, and what waits goes to flash."""
    asyncio.new_event_loop()
    try:
        asyncio.run(node.leave(drain_ms))
    except KeyboardInterrupt:  # once more: at once, but not without a word
        pass
    board.write(node.rest())


def end(board, feed, node, error):
    """Say why where that survives, save what can be saved, and begin anew. MemoryError: it has not been said.

    node: a list of the Node, or of none.
    """
    feed()
    try:
        _record(board, error)
    except OSError as e:
        board.write("not recorded: %s" % e)
    feed()
    gc.collect()
    try:
        if node:
            node[0].save()
    except Exception as e:  # it died of something
        board.write("not saved: %r" % e)
    board.restart()


def _record(board, error):
    from firmware.crashes import Crashes, trace
    from firmware.guard import Restart

    kind, text = ("restart", str(error)) if isinstance(error, Restart) else ("crash", trace(error))
    board.write("%s: %s" % (kind, text))
    Crashes(board.node_folder).record(kind, text)
