"""A board's clock, told by NTP. Its argument is JSON: `servers`, `port`, and of these:

every_s, seconds: how long it runs. Prints JSON: `known_ms` after the start, or null; `away_us` from the time of
this machine at the end, `bound_us` as MSG_TQ claims; `stepped`, how often; `gap_ms`, the longest that another task
had to wait; the Asker's `server` and `last_error`; `log`. As in a node, others ask the clock, too.
"""

import asyncio
import json
import sys
import time
from time import ticks_diff, ticks_ms, ticks_us

from boards.sockets import Sockets
from boards.wallclock import Clock
from firmware.log import Log
from firmware.ntp import Asker


class Network(Sockets):
    def look_up(self, host, now):
        return host


async def watch(report, learn):
    """Another task, which is to be let run."""
    last = ticks_ms()
    while True:
        await asyncio.sleep_ms(1)
        now = ticks_ms()
        report["gap_ms"] = max(report["gap_ms"], ticks_diff(now, last))
        last = now
        learn()


async def run(options, report):
    began = ticks_ms()
    rtc = []
    clock = Clock(rtc.append)
    asker = Asker(
        clock,
        Network({"ca": ""}),
        options["servers"],
        options.get("every_s", 16),
        Log(report["log"].append, "info"),
        options["port"],
    )
    asker.PAUSE_MS = 100

    def learn():
        if clock.reached():
            report["known_ms"] = ticks_diff(ticks_ms(), began)

    tasks = [asyncio.create_task(asker.run(learn)), asyncio.create_task(watch(report, learn))]
    await asyncio.sleep(options["seconds"])
    for task in tasks:
        task.cancel()
    clock.update()
    clock.locate(ticks_us())
    now = time.time()
    if clock.known:
        report["away_us"] = int((clock.sec + (1 << 31) - int(now)) * 1000000 + clock.ns // 1000 - now % 1 * 1000000)
        report["bound_us"] = None if clock.tq == 15 else 10 ** (clock.tq - 4)
        report["offset_s"] = rtc[-1] - int(now)
    report["stepped"] = len(rtc)
    report["server"], report["last_error"] = asker.server, asker.last_error


result = {"known_ms": None, "gap_ms": 0, "log": []}
asyncio.run(run(json.loads(sys.argv[1]), result))
print(json.dumps(result))
