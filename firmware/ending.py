"""How a node ends: in order, or by what went wrong. Loaded when it does."""

import asyncio
import gc

_FATE = ("what was in RAM of it is lost", "on flash, to be sent at the next start")
_DRAIN_MS = 3000  # how long the end waits for the last acknowledgements


def leave(node, board, drain_ms=_DRAIN_MS):
    """The good-bye, and what waits goes to flash."""
    asyncio.new_event_loop()
    try:
        asyncio.run(node.leave(drain_ms))
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
    board.write(said)


def end(board, feed, node, error):
    """Say why where that survives, save what can be saved, and begin anew: does not return.

    node: a list of the Node, or of none, emptied here: its memory is needed.
    """
    note = board.note
    board.note = note & 0xFF00 | min((note & 0xFF) + 1, 0xFF)
    feed()
    asyncio.new_event_loop()
    try:
        try:
            if node:
                node.pop().save()
        finally:
            feed()
            gc.collect()
            _record(board, error)
    except Exception as e:  # whatever it is, the node begins anew
        board.write("not saved or recorded: %r" % e)
    board.restart()


def _record(board, error):
    from firmware.crashes import Crashes, trace
    from firmware.guard import Restart

    kind, text = ("restart", str(error)) if isinstance(error, Restart) else ("crash", trace(error))
    board.write("%s: %s" % (kind, text))
    Crashes(board.node_folder).record(kind, text)
