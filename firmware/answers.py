"""What a node says when its segment is asked."""

import math

from micropython import const

from gossip.quantity import FREQUENCY, VOLTAGE

_COUNT, _PERIODS, _LAST, _VERSIONS, _HELD = const(1), const(7), const(8), const(9), const(10)  # gossip.aggregate
_ABSENT = const(-0x3FFFFFFF)  # phasor.kernel


class Answers:
    """gossip: Gossip. clock: the board's. app: the application that runs, as facts of boot.boot have it.

    measured(): (mV, hundredths of a degree, mHz), each None where it is not known. None: nothing is measured.
    """

    def __init__(self, gossip, clock, app, measured=None):
        self._gossip = gossip
        self._clock = clock
        self._app = (app.split(":")[-1] or "source").encode()
        self._measured = measured

    def value(self, function, arg):
        """As gossip.query.Queries has it: None is a fault."""
        if function == _COUNT:
            return 1
        if function == _VERSIONS:
            return self._app
        if function == _HELD:
            return self._gossip.holds(arg)
        if function == _PERIODS:
            return self._gossip.needed(arg)
        found = self._measured() if self._measured else None
        if not found or not VOLTAGE <= arg <= FREQUENCY:
            return None
        value = found[arg - 1]
        if function == _LAST and value is not None:
            return (self._clock.soc(), value) if self._clock.known else None
        return value


def measured(meter, channels, values, f0_hz, rectangular):
    """`measured` of Answers: the first voltage as the Estimator wrote it last into values; None: there is none."""
    found = [i for i in range(len(channels)) if channels[i]["kind"] == "V"]
    if not found:
        return None
    at, mv = 4 * found[0], channels[found[0]]["scale"] * 1000 / 16384

    def read():
        if not meter.frames:
            return None
        a, b, deviation = values[at], values[at + 1], values[at + 2]
        known = deviation != _ABSENT
        if rectangular:
            a, b = math.sqrt(a * a + b * b), math.atan2(b, a) / (2 * math.pi) * (1 << 30)
        return (
            round(a * mv),
            round(b * 36000 / (1 << 30)) if known else None,
            f0_hz * 1000 + round(deviation / 1000) if known else None,
        )

    return read
