"""Pace: records a second by counting, whatever the size of the messages and the rhythm of the calls; no heap."""

import micropython

from mqtt.publish import Publish
from mqtt.timing import Pace


def sent(per_s, message, step_ms, ms, start):
    """Records that go in `ms`, in messages of `message`, when asked every `step_ms`."""
    pace, total, now = Pace(per_s), 0, start
    end = start + ms
    pace.ready(now & 0x3FFFFFFF)
    while now < end:
        now += step_ms
        while pace.ready(now & 0x3FFFFFFF):
            pace.take(message)
            total += message
    return total


for per_s in (10, 500, 6000):
    for message in (1, 23):
        for step_ms in (1, 7, 100):
            for start in (0, 0x3FFFFFFF - 3000):  # across the wrap of the ticks
                got = sent(per_s, message, step_ms, 10_000, start)
                burst = per_s // 10 + message
                assert got <= per_s * 10 + burst, (per_s, message, step_ms, got)
                assert got >= per_s * 10 - per_s * step_ms // 1000 - burst, (per_s, message, step_ms, got)

pace = Pace(500)
pace.ready(5)
pace.take(1000)
assert not pace.ready(900) and not pace.ready(1800) and pace.ready(2700), "a debt is earned back"
pace.ready(90_000_000)
pace.take(50)
assert not pace.ready(90_000_000), "a pause of a day earns a tenth of a second"
micropython.heap_lock()
for i in range(1000):
    if pace.ready(0x3FFFFC17 + i):
        pace.take(20)
micropython.heap_unlock()
for wrong in (0, -1, 100_001):
    try:
        Pace(wrong)
        raise SystemExit("%d taken" % wrong)
    except ValueError:
        pass

packet = Publish(b"a/PMU-BACKFILL/1", 20)
packet.address(b"a/EVENT/1")
packet.encode(b"payload", 0, 7, 258)
want = b"\x32\x14\x00\x09a/EVENT/1\x01\x02payload"  # MQTT 3.1.1, clause 3.3, by hand
assert packet.buf[packet.start : packet.end] == want, packet.buf[packet.start : packet.end]
