"""A mosquitto of one's own on a free loopback port."""

import contextlib
import os
import socket
import time
from pathlib import Path

from gridmote import processes
from gridmote.fault import Fault

_START_S = 10.0
_CONFIG = """\
{user}allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 100000
listener {port} {host}
"""


def free_port(host="127.0.0.1"):
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


class Broker:
    """Runs for the length of a `with` block; its configuration and log lie in `folder`. Without Nagle's
    algorithm, and with a queue that holds half an hour of frames for a subscriber that is away.
    """

    host = "127.0.0.1"

    def __init__(self, folder):
        self._folder = Path(folder)
        self._process = None
        self.port = None

    def __enter__(self):
        for _ in range(3):  # the port that was free may be taken when mosquitto asks for it
            self.port = free_port(self.host)
            if self._start():
                return self
        raise Fault(f"mosquitto does not start: {self._last_words()}")

    def __exit__(self, *_):
        processes.stop(self._process)

    def _start(self):
        config = self._folder / "mosquitto.conf"
        # root becomes nobody otherwise, who cannot read what lies in a private folder
        user = "user root\n" if os.geteuid() == 0 else ""
        config.write_text(_CONFIG.format(user=user, port=self.port, host=self.host))
        with (self._folder / "mosquitto.log").open("w") as log:
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
