"""The parts of a board that can fail: flash, clock, radio, watchdog, source."""

import flash_device
from field_time import PowerCut, world
from flash_device import FlashDevice

_ERASE_MS = 50
_FS_HZ = 800
_DEPTH_MS = 4000  # more than a board's: in quiet times the firmware's waits are long
flash_device.PowerCut = PowerCut


class Flash(FlashDevice):
    """error: errno that every erase and program gives, and reads too if `deaf`."""

    error = 0
    deaf = False
    raises = None  # an exception from within, once

    def _operate(self, at, end):
        try:
            super()._operate(at, end)
        except PowerCut as e:
            world.fate = e
            raise

    def readblocks(self, block, buf, off=0):
        if self.deaf:
            return -5
        return super().readblocks(block, buf, off)

    def writeblocks(self, block, buf, off=0):
        if self.error or world.fate:
            return -5
        return super().writeblocks(block, buf, off)

    def ioctl(self, op, arg):
        if op == 6:
            if self.error or world.fate:
                return -5
            world.ms += _ERASE_MS  # nothing else of the world happens in the middle: it may want this very flash
        return super().ioctl(op, arg)


def clock(machine):
    """The boards' own clock, which asks NTP; `clock_raises` of the machine falls on its next update."""
    from boards import wallclock

    class Clock(wallclock.Clock):
        def update(self):
            if machine.clock_raises:
                raises, machine.clock_raises = machine.clock_raises, None
                raise raises
            super().update()

    return Clock()


class Station:
    """The radio. ap: the access point is there; password: the right one; dhcp: it gives an address."""

    JOIN_MS = 2500

    def __init__(self, ssid, password):
        self._right = (ssid, password)
        self.ap = self.dhcp = True
        self._asked = None
        self._asked_ms = 0
        self._on = False
        self.locked = False  # the access point takes no password for now
        self._up = False  # known to be

    def on(self, country=""):
        self._on = True

    def off(self):
        self.leave()
        self._on = False

    def dns(self):
        return "1.1.1.1" if self.through else ""

    def join(self, ssid, password):
        self._asked = (ssid, password)
        self._asked_ms = world.total_ms
        self._up = False

    def state(self):
        if self._up:
            return "up"
        world.look()
        if not self._on or not self._asked:
            return "off"
        waited = world.total_ms - self._asked_ms
        if waited < self.JOIN_MS:
            return "joining"
        if not self.ap or self._asked[0] != self._right[0]:
            return "absent"
        if self._asked != self._right or self.locked:
            return "password"
        if not self.dhcp:
            return "address" if waited > 4 * self.JOIN_MS else "joining"
        self._up = True
        return "up"

    @property
    def through(self):
        return self.state() == "up"

    def rssi(self):
        return -61 if self.through else None

    def leave(self):
        self._asked = None
        self._up = False

    def shake(self):
        """Something at the access point has changed: whoever was joined has to join again."""
        self._asked_ms = world.total_ms
        self._up = False

    def boot(self):
        self.leave()
        self._on = False


class Watchdog:
    def __init__(self, timeout_ms):
        assert timeout_ms <= 8300
        self._timeout_ms = timeout_ms
        world.feed(timeout_ms)

    def feed(self):
        world.look()
        world.feed(self._timeout_ms)

    def release(self):
        world.feed(None)


def source(clock, machine):
    """230 V and 10 A in phase, and two channels that become the ledger's, by the boards' own Paced: the same block
    again and again, for it holds whole cycles."""
    import math

    from boards.paced import Paced
    from boards.source import BlockSource

    class Steady(BlockSource):
        def fill(self):
            if machine.hang_ms:
                hang_ms, machine.hang_ms = machine.hang_ms, 0
                world.advance(hang_ms)
            self._turn ^= 1
            return self._hand_over(self.block_samples)

    class Stalling(Paced):
        def due_ms(self):
            return 1000 if machine.stalled else super().due_ms()

    channels = [
        {"name": "VA", "kind": "V", "phase": "A", "scale": 0.02},
        {"name": "IA", "kind": "I", "phase": "A", "scale": 0.001},
        {"name": "N1", "kind": "V", "phase": "", "scale": 0.02},
        {"name": "N2", "kind": "V", "phase": "", "scale": 0.02},
    ]
    made = Steady(channels, _FS_HZ, 2 * _FS_HZ // 5)
    counts = [230 / 0.02, 10 / 0.001, 5000, 5000]
    for i in range(2 * _FS_HZ // 5):
        wave = math.sqrt(2) * math.cos(2 * math.pi * 50 * i / _FS_HZ)
        for c in range(4):
            for block in made._blocks:
                block[4 * i + c] = round(counts[c] * wave)
    return Stalling(made, clock, _DEPTH_MS)
