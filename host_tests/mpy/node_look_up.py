"""Looks hosts up, one after the other, as a board does. Arguments: port of the name server on loopback, hosts.

Prints JSON: what was `found`, or the error; the longest call in us; how many sockets are left open.
"""

import json
import os
import sys
from time import sleep_ms, ticks_diff, ticks_ms, ticks_us

from boards.resolver import Resolver
from boards.sockets import Sockets


def files():
    return len(list(os.ilistdir("/proc/self/fd")))


def main(argv):
    resolver = Resolver(Sockets({"ca": ""}), lambda: "127.0.0.1", int(argv[1]))
    found, longest_us, before = [], 0, files()
    for host in argv[2:]:
        address = None
        while address is None:
            began = ticks_us()
            try:
                address = resolver.look_up(host, ticks_ms())
            except OSError as e:
                address = str(e)
            longest_us = max(longest_us, ticks_diff(ticks_us(), began))
            sleep_ms(5)
        found.append(address)
    print(json.dumps({"found": found, "longest_us": longest_us, "sockets": files() - before}))


main(sys.argv)
