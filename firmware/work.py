"""Runs a node that is made: for as long as it works."""

import asyncio
import gc

from firmware.modules import forget


def work(node, status_s, energy_s, seconds=0):
    """Run it until Ctrl-C, its own end, or for `seconds`. What goes wrong in a task is raised."""
    from firmware.spent import let_go

    let_go()
    del let_go
    forget("firmware.spent")
    gc.collect()
    gc.threshold(-1)
    asyncio.get_event_loop().set_exception_handler(_failed)
    try:
        asyncio.run(node.run(status_s, energy_s, seconds))
    except KeyboardInterrupt:  # falls on any task: none of them goes on
        pass


def _failed(loop, context):
    """An unexpected exception in a task ends the node: half a node would look like a whole."""
    context["future"] = None  # it would keep the node's memory
    raise context["exception"]
