"""EVENT and METER records while nothing takes them: what is told never pushes out what was counted."""

import json

from plain_outbox import plain_outbox

from firmware.events import Events
from outbox.record import FRAME, METER


class Clock:
    known, tq = False, 15


class Meter:
    triggers = 0


class Registers:
    phases = "A"

    def wh(self):
        return [7], [0]


outbox = plain_outbox(16, 8)  # RAM only
events = Events(outbox, Clock(), 1)
events.meter = Meter()
for turn in range(100):  # an outage in which frames are dropped all the time
    for _ in range(20):
        outbox.pend()
        outbox.commit(8, FRAME, turn)
        outbox.tend(turn)
    events.look()
    if turn % 10 == 9:
        events.energy("interval", Registers())
kinds = [record[0] for record in outbox.durable.ram]
assert len(kinds) <= 16 and kinds.count(METER) >= 8, kinds
told = [json.loads(record[4]) for record in outbox.durable.ram]
numbers = [fields["seq"] for fields in told]
assert numbers == sorted(set(numbers))
dropped = [fields["count"] for fields in told if fields.get("event") == "dropped"]
assert dropped and len(told) + outbox.durable.dropped < 30, "what happens again is summed up"
