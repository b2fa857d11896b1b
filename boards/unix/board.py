"""The unix port as a board: what it gives to the application (boards/README.md)."""

import gc
import os
import sys
import time

from boards.once import once
from boards.storage import Folder
from boards.unix.clock import Clock
from boards.unix.network import Network


class Board:
    """What the firmware asks of a board, on a computer.

    GRIDMOTE_NODE in the environment: `node_folder`, which must exist; without it there is no note beyond this
    run, and every start is one after a power cut. Files there: `note`; `reset`, what the next start gives as
    reset_cause, written by restart() (a test may write another, and removes both for a power cut).
    """

    name = "unix"
    longest_block_ms = 2000
    longest_watchdog_ms = 8300  # as a Pico W; so is flash_kib
    flash_kib = 848
    vault = None

    def __init__(self):
        self.node_folder = os.getenv("GRIDMOTE_NODE") or ""
        self.identity = _identity()
        self.reset_cause = self._take("reset") or "power"
        self._note = int(self._take("note", False) or 0)
        self.lit = False
        self.relays = {}  # what relay() was told

    def open(self, config):
        """config: a checked configuration (settings.schema). ValueError or OSError for what cannot be."""
        self.clock = Clock(config["clock"])
        self.network = Network(config["broker"])
        self.storage, self.storage_error = _storage(config["outbox"])
        self.source = None
        if not config["source"]:
            return
        kind = config["source"]["kind"]
        if kind == "adc":
            raise ValueError("source.kind: a computer has no ADC")
        maker = "replay" if kind == "replay" else "simulated"
        self.source = once("boards.sources", maker, config, self.clock, 2 * self.longest_block_ms)

    def close(self):
        pass

    @property
    def note(self):
        return self._note

    @note.setter
    def note(self, value):
        self._note = value
        self._put("note", str(value))

    def led(self, on):
        self.lit = on

    def relay(self, i, on):
        if self.relays.get(i) != on:
            self.write("relay %d %s" % (i, "on" if on else "off"))
        self.relays[i] = on

    def watchdog(self, timeout_ms):
        return _Watchdog()

    def restart(self):
        """Ends the process; whoever runs it starts it again."""
        self._put("reset", "restart")
        sys.exit(3)

    def free_bytes(self):
        """Of the heap; at least, since garbage is not counted."""
        return gc.mem_free()

    def write(self, text):
        print(text)

    def _take(self, name, remove=True):
        try:
            with open(self.node_folder + "/" + name) as file:
                text = file.read()
            if remove:
                os.remove(self.node_folder + "/" + name)
            return text
        except OSError:
            return ""

    def _put(self, name, text):
        if self.node_folder:
            with open(self.node_folder + "/" + name, "w") as file:
                file.write(text)


class _Watchdog:
    """Bites nobody: `fed` counts."""

    fed = 0

    def feed(self):
        self.fed += 1

    def release(self):
        self.fed = 0


class _Flash(Folder):
    """A folder that stands still for each block, as flash does while it erases."""

    def __init__(self, path, erase_ms):
        super().__init__(path)
        self._erase_ms = erase_ms

    def write(self, name, at, buf, n):
        time.sleep_ms(self._erase_ms)
        super().write(name, at, buf, n)

    def replace(self, name, data):
        time.sleep_ms(self._erase_ms)
        super().replace(name, data)


def _storage(outbox):
    """(storage or None, why it is None)."""
    if not outbox["folder"]:
        return None, ""
    try:
        return _Flash(outbox["folder"], outbox["erase_ms"]), ""
    except OSError as e:
        return None, "%s: %s" % (outbox["folder"], e)


def _identity():
    """Hex of what tells this computer from others."""
    import binascii
    import hashlib

    name = b"unix"
    for path in ("/etc/machine-id", "/etc/hostname"):
        try:
            with open(path, "rb") as file:
                name = file.read().strip() or name
            break
        except OSError:
            pass
    return binascii.hexlify(hashlib.sha256(name).digest()[:8]).decode()
