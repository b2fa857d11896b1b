"""Connects again and again without the waits between. Arguments: JSON for node_link, attempts.

Prints JSON: the errors seen, and how many more files and bytes are in use after the last attempt than after the
third.
"""

import gc
import json
import os
import sys
from time import ticks_diff, ticks_ms

import node_link

from firmware.log import Log
from firmware.session import CLOSED, OPEN


def attempt(link):
    """One connection, ended as soon as it is open."""
    link._due_ms = ticks_ms()
    end = ticks_ms() + 10_000
    link.pump()
    while link.session.state != CLOSED:
        assert ticks_diff(end, ticks_ms()) > 0, "neither open nor closed"
        link.pump()
        if link.session.state == OPEN and link.session.ready():
            link.session.leave(ticks_ms())
    link.pump()


def main(argv):
    options = dict(node_link.DEFAULTS)
    options.update(json.loads(argv[1]))
    link = node_link.build(options, Log(print, "error"))
    errors = []
    for turn in range(int(argv[2])):
        attempt(link)
        if link.last_error not in errors:
            errors.append(link.last_error)
        gc.collect()
        files, used = len(list(os.ilistdir("/proc/self/fd"))), gc.mem_alloc()
        if turn == 2:
            files_then, used_then = files, used
    report = {"files": files - files_then, "bytes": used - used_then, "errors": errors}
    report["connections"] = link.connections
    print(json.dumps(report))


main(sys.argv)
