"""The node of the demonstration: its configuration, `gridmote node`, and its end by a power cut."""

import os
import signal
import subprocess
import time
from pathlib import Path

from gridmote.fault import Fault

NODE_ID = "765"
IDCODE = 765
HEAP = "184K"
FLASH = "flash"  # folder beside the configuration
BACKLOG_TIMES = 3  # slower than the default of 10, so that a person can watch it
PLACE = {"area": "south-italy-113", "location_type": "secondary-station", "location_id": "1156"}
_PATIENCE_S = 15.0


def configuration(broker, source, measurement):
    """A node's configuration (JSON); the broker is a Broker, the rest sections of it."""
    return {
        "id": NODE_ID,
        "topic": PLACE,
        "broker": {"host": broker.host, "port": broker.port},
        "measurement": {"station": "Gridmote demo", "idcode": IDCODE, **measurement},
        "source": source,
        "outbox": {"folder": FLASH, "backlog_times": BACKLOG_TIMES},
        "status_s": 1,
        "energy_s": 5,
    }


def cut_power(process):
    """SIGKILL to MicroPython beneath `gridmote node`, which would ask it to end, and so to write down what it has
    in RAM, if it died first. It sees that the node is gone and ends by itself. -> when the node was killed, UTC in
    microseconds.
    """
    for pid in _children(process.pid):
        os.kill(pid, signal.SIGKILL)
    at_us = time.time_ns() // 1000
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise Fault("the meter does not die") from None
    return at_us


def _children(parent):
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[1]) == parent:
            yield int(path.parent.name)
