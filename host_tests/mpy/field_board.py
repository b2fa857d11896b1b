"""A board after the contract (boards/README.md), of which everything can fail, and what stays when it does."""

import json

import vfs
from field_parts import Flash, Watchdog, clock, source
from field_time import Restart, world
from flash_device import PROG_SIZES

ROOT = "/flash"


class Machine:
    """What stays through boots, and what the script does to it; each boot has a `Board` of its own."""

    def __init__(self, net, kind="rp2", station=None):
        self.kind = kind
        self.net = net
        self.station = net.station = station
        self.flash = Flash(PROG_SIZES[kind]).mkfs()
        self.note = 0
        self.cause = "power"
        self.ended = ""  # "restart": by the node's own will
        self.filled = False  # the file system, by others
        self.clock_raises = self.flash_raises = None
        self.hang_ms = 0
        self.stalled = False
        self.leaked = 0
        self.led = 0
        self.lines = []
        self.board = None

    def power_on(self, cause):
        """A boot: the board as it comes out of that reset."""
        if cause == "power":
            self.note = 0
        self.cause = cause
        self.ended = ""
        self.leaked = self.hang_ms = 0
        self.stalled = False
        self.clock_raises = self.flash_raises = None
        self.flash = Flash(PROG_SIZES[self.kind], self.flash.image)
        self.flash.mount(ROOT)
        self.net.boot()
        if self.station:
            self.station.boot()
        self.board = Board(self)
        return self.board

    def power_off(self):
        """What no machine any more holds."""
        self.flash.dead = True
        vfs.umount(ROOT)

    def free_bytes(self):
        return 90000 - self.leaked


class Board:
    name = "field"
    identity = "e66038b713596f34"
    longest_watchdog_ms = 8300
    longest_block_ms = 500
    flash_kib = 592
    node_folder = ROOT + "/node"
    vault = None

    def __init__(self, machine):
        self._machine = machine
        self.reset_cause = machine.cause
        self.clock = self.network = self.source = self.storage = None
        self.storage_error = ""

    def open(self, config):
        from boards.storage import Folder

        machine = self._machine

        class _Folder(Folder):
            def write(self, name, at, buf, n):
                if machine.flash_raises:
                    raises, machine.flash_raises = machine.flash_raises, None
                    raise raises
                super().write(name, at, buf, n)

        self.clock = clock(machine)
        self.network = machine.net
        self.source = source(self.clock, machine)
        try:
            self.storage = _Folder(ROOT + "/" + (config["outbox"]["folder"] or "outbox").strip("/"))
        except OSError as e:
            self.storage_error = str(e)

    def close(self):
        pass

    @property
    def note(self):
        return self._machine.note

    @note.setter
    def note(self, value):
        assert 0 <= value <= 65535
        self._machine.note = value

    def led(self, on):
        self._machine.led = on

    def relay(self, i, on):
        pass

    def watchdog(self, timeout_ms):
        return Watchdog(timeout_ms)

    def restart(self):
        self._machine.ended = "restart"
        world.doom(Restart())

    def free_bytes(self):
        return self._machine.free_bytes()

    def write(self, text):
        self._machine.lines = self._machine.lines[-60:] + ["%d %s" % (world.seconds, text)]

    log = write


def store(name, data):
    """Put a file there as a tool would."""
    with open(name, "wb") as file:
        file.write(data if isinstance(data, bytes) else json.dumps(data).encode())
