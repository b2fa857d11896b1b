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
_EPOCH = const(4)
_KEY = const(5)
_TABLES = const(4)  # tariff.book: so many are held, then one has to go for another
_AHEAD_S = const(60)  # that others' clocks may be


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
            return self._holds(arg)
        if function == _PERIODS:
            return self._gossip.needed(arg)
        if function == _ROLL:
            return arg
        quantity = arg & 0xFF
        if _EPOCH <= quantity <= _KEY:
            value = self._gossip.trust.epochs()[0 if quantity == _EPOCH else -1]
        elif self._measured and _VOLTAGE <= quantity <= _FREQUENCY:
            value = self._measured.value(quantity, arg >> 8)
        else:
            return None
        if function == _LAST and value is not None:
            return (self._clock.soc(), value) if self._clock.known else None
        return value

    def _holds(self, number):
        """Whether the table is held, or came and had to go for others, or others came that rule it out."""
        held = self._gossip.book.numbers()
        if number in held or len(held) < _TABLES:
            return number in held
        trust = self._gossip.trust
        return any(trust.knows(origin, number) for origin in range(1, 16))

    def bounds(self, function, arg):
        """What one node can contribute, and the newest stamp if the time is known: more is cut, whoever says it."""
        if function == _PERIODS:
            return 0, self._rated_w * 8
        quantity = arg & 0xFF
        if not _VOLTAGE <= quantity <= _KEY:
            return ()
        found = 0, 2000 * self._rated_v
        if quantity > _VOLTAGE:
            found = ((-18000, 18000), (45000, 65000), (0, 256))[min(quantity, _EPOCH) - 2]
        return found + (self._clock.soc() + _AHEAD_S,) if function == _LAST and self._clock.known else found
