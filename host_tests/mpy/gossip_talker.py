"""A whole node that says TEXT to its segment four times a second, and tells what it hears and its gossip's status.

Arguments: as firmware/main.py."""

import asyncio
import json
import sys
from time import ticks_ms

from firmware import joining, main

make = joining.join


async def talk(gossip, name):
    count = 0
    while True:
        await asyncio.sleep_ms(250)
        print("status", json.dumps(gossip.status()))
        if gossip.stack.peers.some():
            count += 1
            gossip.stack.relay.start(ticks_ms() & 0x3FFFFFFF, b"\x0afrom %s %d" % (name.encode(), count))


def gossip(config, *rest):
    made = make(config, *rest)
    made.hooks.append(lambda kind, origin, body: print("heard", body.decode()))
    asyncio.create_task(talk(made, config["id"]))
    return made


joining.join = gossip
sys.exit(main.main(sys.argv))
