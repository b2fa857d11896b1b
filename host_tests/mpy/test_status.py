"""STATUS at its longest fits into its packet and is JSON; its counters of time."""

import json

from firmware import status as status_module
from firmware.status import STATUS_BYTES, Status

LARGE = (1 << 32) - 1


class Any:
    """A part of which every figure is large and every text is long."""

    def __init__(self, text, **fields):
        self.text = text
        for name in fields:
            setattr(self, name, fields[name])

    def __getattr__(self, name):
        if name in ("storage", "last_error", "server"):
            return self.text
        return LARGE

    def __str__(self):
        return self.text

    def __len__(self):
        return 32768


now = [0]
status_module.ticks_ms = lambda: now[0]


def status(text, facts):
    board = Any(text, name="esp32", clock=Any(text, update=lambda: None), source=Any(text))
    board.network = Any(text, station=Any(text, rssi=lambda: -100))
    made = Status(Any(text, address=lambda topic: None), b"topic", board, 65534, LARGE, facts)
    made.link = Any(text, outbox=Any(text, ring=Any(text)), session=Any(text), brokers=Any(text))
    made.meter = made.estimator = made.guard = Any(text)
    made.radio, made.asker = Any(text, state="password"), Any(text)
    return made


def facts(text):
    return {
        "reset": "watchdog",
        "crashes": 255,
        "stage": "normal",
        "config": "given",
        "app": "a:01234567",
        "during": "configuration",
        "why": text[:160],
        "last_crash": "4000000000: " + text[:100],
    }


longest = 0
for text in ("", "ECONNREFUSED", "x" * 261, '"\\' * 130, "\x01" * 261, "\xe4" * 261):
    data = status(text, facts(text)).payload("online")
    fields = json.loads(data)
    assert len(data) <= STATUS_BYTES, (text[:4], len(data))
    assert fields["state"] == "online" and fields["reset"] == "watchdog" and fields["frames"] == LARGE
    longest = max(longest, len(data))
    if len(text) < 20:
        assert fields["last_error"] == fields["broker"] == fields["why"] == text
        assert len(data) < 1300, "an everyday STATUS is one TCP segment"
assert longest > 1400

made = status("", {})
made.link.outbox.flash_waiting = 0
for s in range(100):
    now[0] = 1000 * s
    made.sample()
    if s == 0:
        begin = made.uptime_s
    if s == 60:
        made.link.outbox.flash_waiting = 1
assert made.uptime_s - begin == 99
assert json.loads(made.payload("online"))["held_s"] == 39 and not made.fallback
assert status("", {"why": "x"}).fallback
