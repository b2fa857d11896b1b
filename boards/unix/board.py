"""The unix port as a board: what it gives to the application."""

import gc
import time

from boards.storage import Folder
from boards.unix.clock import Clock
from boards.unix.network import Network
from boards.unix.paced import Paced


class Board:
    """What the firmware asks of a board, on a computer.

    longest_block_ms: how long it may hold the event loop at worst (a name look-up, an erase of flash); the
    sample ring behind `source` reaches twice as far back.
    flash_kib: what the outbox may take of the flash where the configuration does not say.
    storage: where the outbox keeps its log, or None; then `storage_error` says why if one was wanted.
    """

    name = "unix"
    reset_cause = "start"
    longest_block_ms = 2000
    flash_kib = 848  # as a Pico W

    def __init__(self, config):
        """config: a checked configuration (settings.schema). ValueError or OSError for a source that cannot be."""
        self.clock = Clock(config["clock"])
        self.network = Network(config["broker"]["ca"])
        self.storage, self.storage_error = _storage(config["outbox"])
        self.source = Paced(_source(config), self.clock, 2 * self.longest_block_ms)

    def free_bytes(self):
        """Of the heap; at least, since garbage is not counted."""
        return gc.mem_free()

    def log(self, text):
        print(text)


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


def _source(config):
    """Only the source that is used is imported: code takes heap."""
    source = config["source"]
    block_ms = config["measurement"]["block_ms"]
    if source["kind"] == "replay":
        from boards.unix.replay import Replay
        from waveform.gmr import read_head

        with open(source["file"], "rb") as file:
            head, _ = read_head(source["file"], file)
        return Replay(source["file"], max(1, head["fs_hz"] * block_ms // 1000), source["repeat"])
    from boards.unix.synthetic import Synthetic
    from waveform.grid import settings

    grid = {"f0_hz": config["measurement"]["f0_hz"]}
    grid.update(source["grid"])
    try:
        return Synthetic(grid, max(1, settings(grid)["fs_hz"] * block_ms // 1000))
    except (ValueError, TypeError, KeyError, IndexError) as e:
        raise ValueError("source.grid: %s" % e)
