"""A small segment of real nodes on loopback, and the utility's commands as a user runs them."""

import json
import os
import shutil
import subprocess

from gridmote.processes import gridmote
from gridmote.sign.signer import Signer
from host_tests.conftest import Port
from host_tests.lean_rig import Lean, compiled, configuration
from host_tests.meter_rig import PLACE
from host_tests.mqtt_rig import Process
from host_tests.udp_mesh import free_ports
from settings.segment import number_of

SEGMENT = tuple(PLACE.values())
NAME = ",".join(SEGMENT)
KEY, NODE_KEY = "5e" * 32, "a0" * 32
SMALL, LARGE = Port("micropython32"), Port("micropython")  # who measures runs on 64 bits
WASHER = {"kind": "run", "name": "washer", "relay": 0, "watts": 2000, "minutes": 90}
ROLES = {"ssc0": "ssc", "meter0": "meter", "meter1": "meter", "ied0": "ied"}
MEASURED = {"pmu0": (231.25, 0.0), "pmu1": (228.5, -7.5)}  # V, degrees of the synthetic grid that they measure
HZ = 50.1


def command(*arguments, cwd=None, columns=200, timeout_s=60):
    """CompletedProcess of `gridmote ...`, its streams as text; no terminal."""
    return subprocess.run(gridmote(*arguments), cwd=cwd, env={**os.environ, "COLUMNS": str(columns)}, text=True,
                          capture_output=True, timeout=timeout_s)


def fleet_at(folder, nodes, signer=None):
    """A folder of keys as gridmote provision and gridmote tariff keys leave it; returns its Signer."""
    if not signer:
        signer = Signer(folder)
        signer.create(5)
    files = {f"segments/{NAME}.key": KEY, f"segments/{NAME}.numbers": "".join(
        f"{number_of(one)} {one}\n" for one in nodes), **{f"nodes/{one}.key": NODE_KEY for one in nodes}}
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return signer


class Town:
    """`with Town(folder, nodes, measured) as town:` runs them; its keys are in `keys`, of its Signer `signer`.

    nodes: {id: role}, they measure nothing. measured: {id: (V, degrees)}: meters that do. A node has the folder's
    compiled firmware, and one seed: the first controller, or for an appliance the first meter.
    """

    def __init__(self, folder, nodes=ROLES, measured=()):
        self.folder, self.nodes, self.measured = folder, dict(nodes), dict(measured)
        self.names = [*self.nodes, *self.measured]
        self.keys = folder / "fleet-keys"
        self.signer = fleet_at(self.keys, self.names, self.made())
        self.ports = dict(zip(self.names, free_ports(len(self.names)), strict=True))
        self.running = {}

    def made(self):
        """The Signer of the fleet, None: it is yet to be made."""

    def __enter__(self):
        for one in self.names:
            self.start(one)
        return self

    def __exit__(self, kind, *_):
        for one, node in self.running.items():
            node.kill()
            if kind:
                print(one, *node.lines[-6:], sep="\n  ")

    def start(self, name, fresh=False):
        """fresh: with nothing on its flash."""
        if fresh:
            shutil.rmtree(self.folder / f"{name}.flash", ignore_errors=True)
        if name in self.measured:
            argv = LARGE.command("-m", "firmware.main", self._measuring(name), heapsize="1M")
            self.running[name] = Process(argv, LARGE.environment())
        else:
            role = self.nodes[name]
            path = configuration(self.folder, name, None, role, **self._sections(name, role))
            self.running[name] = Lean(SMALL, path, compiled(SMALL, self.folder), "192k")

    def _sections(self, name, role):
        first = "meter" if role == "ied" else "ssc"
        seeds = [f"127.0.0.1:{self.ports[one]}" for one in self.nodes if self.nodes[one] == first and one != name]
        gossip = {
            "segment_key": KEY, "node_key": NODE_KEY, "tariff_key": self.signer.public().hex(), "group": "",
            "port": self.ports[name], "seeds": seeds[:2], "period_s": 1, "population": len(self.names)}
        recovery = self.keys / "recovery.pub"
        if recovery.exists():
            gossip["recovery_key"] = recovery.read_text().strip()
        appliances = {"board": {"relays": [1]}, "appliances": [WASHER]} if role == "ied" else {}
        return {"gossip": gossip, **appliances}

    def _measuring(self, name):
        """A meter whose broker is not there."""
        volts, degrees = self.measured[name]
        sections = self._sections(name, "meter")
        sections["gossip"]["measuring"] = True
        grid = {"frequency_offset_hz": HZ - 50, "channels": [
            {"name": "VA", "kind": "V", "phase": "A", "magnitude": volts, "angle_deg": degrees}]}
        config = {
            "id": name, "topic": PLACE, "broker": {"host": "127.0.0.1", "port": 1}, "status_s": 1,
            "measurement": {"idcode": 1 + self.names.index(name), "rate": 10},
            "source": {"kind": "synthetic", "grid": grid},
            "outbox": {"folder": str(self.folder / f"{name}.flash")}, **sections}
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(config))
        return path

    def at(self, *controllers):
        """Options of a command: where the keys are, and the controllers."""
        found = ["--keys", self.keys, "--segment", NAME]
        for one in controllers or [one for one in self.nodes if self.nodes[one] == "ssc"]:
            found += ["--ssc", f"127.0.0.1:{self.ports[one]}"]
        return found

    def query(self, *what, status=0, **options):
        """The command's stdout, or stderr where it fails."""
        done = command("query", *what, *self.at(), **options)
        assert done.returncode == status, done
        return done.stderr if status else done.stdout

    def events(self, name, event):
        return [one for one in self.running[name].events() if one["event"] == event]
