"""A mosquitto of one's own on a free loopback port, with the settings that are shipped for real ones."""

import contextlib
import os
import socket
import time
from pathlib import Path

from gridmote import processes
from gridmote.fault import Fault

SHIPPED = Path(__file__).with_name("mosquitto.conf")
_START_S = 10.0


def free_port(host="127.0.0.1"):
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def configuration(changes):
    """Text of the shipped file with other values: {setting: value}. KeyError for one that it does not set."""
    lines, missing = [], set(changes)
    for line in SHIPPED.read_text().splitlines():
        name = line.split(" ")[0]
        if name in changes:
            missing.discard(name)
            line = f"{name} {changes[name]}"
        lines.append(line)
    if missing:
        raise KeyError(f"{SHIPPED.name} does not set {', '.join(missing)}")
    return "\n".join(lines) + "\n"


class Broker:
    """Runs for the length of a `with` block; its configuration, its log and what it saves lie in `folder`.

    The settings are those of the shipped mosquitto.conf, but for the listener, the paths and `changes` (as in
    configuration()). `port` stays the same: kill() is a crash of the broker, start() brings it back. persistent:
    what it has saved in `folder` is there again then, all but its last two seconds, and for a later Broker of the
    same folder; else it begins with nothing.
    """

    host = "127.0.0.1"

    def __init__(self, folder, persistent=False, **changes):
        self._folder = Path(folder).resolve()
        self._changes = {
            "persistence": "true" if persistent else "false",
            "persistence_location": f"{self._folder}/",
        } | changes
        self._process = None
        self.port = None

    def __enter__(self):
        for _ in range(3):  # the port that was free may be taken when mosquitto asks for it
            self.port = free_port(self.host)
            if self._started():
                return self
        raise Fault(f"mosquitto does not start: {self._last_words()}")

    def __exit__(self, *_):
        processes.stop(self._process)

    def kill(self):
        """SIGKILL, which leaves it no time to save or to say anything; returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def start(self):
        """Again, after kill(), on the same port and folder; returns when it listens. Fault if it does not."""
        if not self._started():
            raise Fault(f"mosquitto does not start again: {self._last_words()}")

    def _started(self):
        config = self._folder / "mosquitto.conf"
        text = configuration({"listener": f"{self.port} {self.host}"} | self._changes)
        # root becomes nobody otherwise, who cannot read what lies in a private folder
        config.write_text(text + ("\nuser root\n" if os.geteuid() == 0 else ""))
        with (self._folder / "mosquitto.log").open("a") as log:
            self._process = processes.start(
                [processes.program("mosquitto"), "-c", str(config)], stdout=log, stderr=log
            )
        end = time.monotonic() + _START_S
        try:
            while self._process.poll() is None and time.monotonic() < end:
                with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
                    return True
                time.sleep(0.01)
        except BaseException:
            processes.stop(self._process)
            raise
        processes.stop(self._process)
        return False

    def _last_words(self):
        lines = (self._folder / "mosquitto.log").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it says nothing"
