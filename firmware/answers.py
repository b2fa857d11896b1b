"""What a node says when its segment is asked."""

from micropython import const

_COUNT = const(1)  # gossip.quantity
_PERIODS = const(7)
_LAST = const(8)
_VERSIONS = const(9)
_HELD = const(10)
_ROLL = const(11)
_VOLTAGE = const(1)
_FREQUENCY = const(3)


class Answers:
    """gossip: Gossip. clock: the board's. app: the application that runs, as facts of boot.boot have it.

    settings: section gossip of the configuration. measured: firmware.measured.Measured, or None.
    """

    def __init__(self, gossip, clock, app, settings, measured=None):
        self._gossip = gossip
        self._clock = clock
        self._app = (app.split(":")[-1] or "source").encode()
        self._measured = measured
        self._rated_v, self._rated_w = settings["rated_v"], settings["rated_w"]

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
        if function == _ROLL:
            return arg
        quantity = arg & 0xFF
        if not self._measured or not _VOLTAGE <= quantity <= _FREQUENCY:
            return None
        value = self._measured.value(quantity, arg >> 8)
        if function == _LAST and value is not None:
            return (self._clock.soc(), value) if self._clock.known else None
        return value

    def bounds(self, function, arg):
        """What one node can contribute: more is cut, whoever says it."""
        if function == _PERIODS:
            return 0, self._rated_w * 8
        return (0, 2000 * self._rated_v) if function != _COUNT and arg & 0xFF == _VOLTAGE else ()
