"""What becomes of frames that were made before the time was known, once it is."""

from firmware.modules import forget


def restamper(config_frame):
    """What moves frames of that configuration in time (c37118.restamp); it alone keeps that code."""
    from c37118.restamp import Restamp

    forget("c37118.restamp", "c37118.crc")
    return Restamp(config_frame)


class Timekeeper:
    """clock: the board's. boots: Boots, which keeps what the stamps of a boot were short of. link: Link.
    config_frame: the CFG-2 of this boot. events: Events, which tell of the step.

    `look()`: ask the clock, now that the network may be there, or later; nothing if the time was always known.
    """

    def __init__(self, clock, boots, link, config_frame, events):
        self._clock = clock
        self._boots = boots
        self._link = link
        self._config_frame = config_frame
        self._events = events

    def look(self):
        offset = self._clock.reached()
        if offset:
            self._boots.learn(list(offset))
            frame = bytearray(self._config_frame)
            restamper(self._config_frame).move_config(frame, 0, offset)
            self._link.announce(frame)
            self._events.event("clock", step_s=offset[0])
            self._link.hurry()  # certificates may have waited for it
