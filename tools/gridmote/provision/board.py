"""The node on a board, for as long as it is stopped."""

import contextlib

from gridmote.fault import Fault
from gridmote.flash.link import Link
from gridmote.flash.place import BoardPlace


@contextlib.contextmanager
def stopped(port):
    """The BoardPlace of the board at `port`, whose application is ended and begins anew afterwards. Fault."""
    link = Link(port)
    try:
        link.stop()
        try:
            yield BoardPlace(link)
        finally:
            with contextlib.suppress(Fault):  # a line that is gone was told of; the board starts again by itself
                link.reset()
    finally:
        link.close()
