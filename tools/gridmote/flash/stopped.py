"""The node on a board, for as long as it is stopped."""

import contextlib
import os

from gridmote.fault import Fault
from gridmote.flash.link import Link
from gridmote.flash.place import BoardPlace

_NETWORK = """
import sys
try:
 import network
except ImportError:
 print('' if sys.platform == 'linux' else sys.implementation._machine)
"""


@contextlib.contextmanager
def stopped(port):
    """The BoardPlace of the board at `port`, whose application is ended and begins anew afterwards. Fault."""
    if port.startswith("/") and not os.path.exists(port):
        raise Fault(f"{port}: no such port; is the board plugged in? --port auto looks for it")
    link = Link(port)
    try:
        link.stop()
        try:
            plain = link.run(_NETWORK).strip()
            if plain:
                raise Fault(f"{port} is {plain}, without a network: a Pico needs its W (Pico W, Pico 2 W) and the "
                            "image made for it")
            yield BoardPlace(link)
        finally:
            with contextlib.suppress(Fault):  # a line that is gone was told of; the board starts again by itself
                link.reset()
    finally:
        link.close()
