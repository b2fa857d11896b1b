"""What a segment says by itself, as it comes to the utility's end."""

import random
import time

from gossip.needs import Needs
from gossip.wire import NOTICE
from gridmote.utility.question import PERIODS_H

_DAY_S = 86400


class Watch:
    """end: End. names: {number: id}. `step()`: what is due; `news()`: [(line, dict)] since the last call."""

    def __init__(self, end, names):
        self._end, self._names = end, names
        self._needs = Needs(end.stack.relay, lambda day: None, random.randrange)
        self._said = {}
        self._notices = []
        end.stack.relay.on_deliver = self._delivered

    def _delivered(self, item):
        if item.buf[0] == NOTICE:
            self._notices.append((item.origin, bytes(item.buf[1:item.size])))

    def step(self):
        self._needs.tick(self._end.now(), int(time.time()) // _DAY_S)
        return False

    def news(self):
        found = []
        today = int(time.time()) // _DAY_S
        for day, word in ((today, "today"), (today + 1, "tomorrow")):
            sums = self._needs.sum(day)
            if self._said.get(day, [0, 0, 0, 0, 0]) != sums:
                self._said[day] = sums
                jobs, nodes, *energies_wh = sums
                told = ", ".join(f"{wh:,} Wh {period} h" for wh, period in zip(energies_wh, PERIODS_H, strict=True))
                need = "needs" if nodes == 1 else "need"
                line = f"{word}: {_many(jobs, 'job')} of {_many(nodes, 'appliance')} {need} {told}"
                found.append((line, {"day": day, "jobs": jobs, "appliances": nodes, "wh": energies_wh}))
        for origin, body in self._notices:
            name = self._names.get(origin, f"node {origin}")
            text = body.decode(errors="replace")
            found.append((f"notice of {name}: {text}", {"notice": text, "origin": origin}))
        self._notices.clear()
        return found


def _many(count, word):
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
