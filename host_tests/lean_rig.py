"""Nodes that measure nothing as processes: firmware/main.py, compiled, in the heap that such a node has."""

import json
import signal

from host_tests.meter_rig import PLACE
from host_tests.mqtt_rig import Process
from size import stage

HEAP = "128k"
MAIN = "import sys; from firmware.main import main; sys.exit(main(sys.argv))"


def configuration(folder, name, broker=None, role="ied", **sections):
    """Path of a lean node's configuration; it has flash in `folder`."""
    flash = str(folder / f"{name}.flash")
    config = {"id": name, "role": role, "topic": PLACE, "outbox": {"folder": flash}, "status_s": 1}
    if isinstance(broker, dict):
        config["broker"] = broker
    elif broker:
        config["broker"] = {"host": broker.host, "port": broker.port}
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**config, **sections}))
    return path


def compiled(mpy, folder):
    """Places to import from: the firmware compiled for a port (fixture mpy)."""
    place = folder / mpy.march
    if not place.exists():
        stage(place, mpy.march)
    return (".frozen", f"{place}/lib", str(place))


class Lean(Process):
    """A node with the configuration at `path`; compiled(): where it imports from, and runs: in the root of the
    repository the sources would come first, and it keeps the path of each module, no longer than on a board."""

    def __init__(self, mpy, path, places, heap=HEAP, main=MAIN):
        argv = mpy.command("-c", main, path, heapsize=heap)
        super().__init__(argv, mpy.environment((".frozen", "lib", ".")), places[-1])

    def events(self):
        """What it told on its console, as objects."""
        return [json.loads(line[6:]) for line in list(self.lines) if line.startswith("event ")]

    def stop(self, most_s=20):
        self.signal(signal.SIGINT)
        assert self.wait(most_s) == 0, "\n".join(self.lines[-20:])
