"""An appliance, a meter and a controller with gossip, each in the heap that is promised for it: what they verify,
answer and relay there, and how much of it stays free."""

import json

import pytest

from host_tests.lean_rig import Lean, compiled
from host_tests.meter_rig import listening
from host_tests.mqtt_rig import wait_for
from host_tests.test_segment import Segment

CHAIN = {"ssc0": "ssc", "meter0": "meter", "ied0": "ied"}
HEAPS = {"micropython32": "128k", "micropython": "192k"}
WITH_BROKER = {"ied": "144k", "meter": "136k", "ssc": "136k"}  # on 32 bits: 128 KiB leave room, in too small pieces
LEAST_FREE = 12 << 10
MAIN = """
import sys
import firmware.guard

class Guard(firmware.guard.Guard):
    def collected(self, free):
        print("free", free)
        super().collected(free)

firmware.guard.Guard = Guard
from firmware.main import main
sys.exit(main(sys.argv))
"""


class Chain(Segment):
    """One node of each role, all on one port, in the heap that is promised for it; they tell what is free there."""

    def __init__(self, folder, port, broker):
        self._port, self._broker = port, broker
        super().__init__(folder, 1, CHAIN)

    def _configured(self, i, name):
        path = super()._configured(i, name)
        config = json.loads(path.read_text())
        if self.nodes[name] == "ied":
            config["board"] = {"relays": [1]}
            washer = {"kind": "run", "name": "washer", "relay": 0, "watts": 2000, "minutes": 60}
            config["appliances"] = [washer]
        if self._broker:
            config["broker"] = {"host": self._broker.host, "port": self._broker.port}
        path.write_text(json.dumps(config))
        return path

    def start(self, name):
        places = compiled(self._port, self.folder)
        heap = HEAPS[self._port.name]
        if heap == "128k" and self._broker:
            heap = WITH_BROKER[self.nodes[name]]
        self.running[name] = Lean(self._port, self.paths[name], places, heap, MAIN)

    def free(self, name):
        """Bytes after each collection."""
        return [int(line[5:]) for line in list(self.running[name].lines) if line.startswith("free ")]


@pytest.mark.parametrize("with_broker", [False, True])
def test_each_role_in_its_heap(mpy, tmp_path, mosquitto, with_broker):
    with listening(mosquitto) as heard, Chain(tmp_path, mpy, with_broker and mosquitto) as chain:
        chain.end.join(20)
        assert chain.wait_counted(3, 20).contributors == 3
        for number in (1, 2):
            chain.tariff()
            chain.wait_held(number, CHAIN, 20)
        assert not chain.ask("tariff 2").value[0]
        if with_broker:
            wait_for(lambda: len({one["role"] for one in heard.statuses}) == 3, "STATUS of each")
        seen = {one: len(chain.free(one)) for one in CHAIN}
        wait_for(lambda: all(len(chain.free(one)) > seen[one] for one in CHAIN), "a collection of each", 15)
        for one in CHAIN:
            chain.running[one].stop()
        least = {one: min(chain.free(one)) for one in CHAIN}
    print(mpy.name, HEAPS[mpy.name], "with broker" if with_broker else "without", least)
    assert min(least.values()) >= LEAST_FREE, least
