"""A segment of real nodes: 24 processes in small heaps, both word sizes, over UDP that loses a quarter."""

import contextlib
import time

import pytest

from gossip.wire import TARIFF
from gridmote.sign.signer import Signer
from gridmote.tariff.messages import Message
from gridmote.utility.end import End
from gridmote.utility.inject import inject
from gridmote.utility.orders import order
from gridmote.utility.question import ask, question_of
from host_tests.conftest import Port
from host_tests.lean_rig import Lean, compiled, configuration
from host_tests.meter_rig import PLACE
from host_tests.mqtt_rig import wait_for
from host_tests.udp_mesh import Mesh, free_ports
from settings.segment import number_of
from tariff.encode import encode_into
from tariff.table import MOST, Table

SEGMENT = tuple(PLACE.values())
KEY, NODE_KEY = "5e" * 32, "a0" * 32
HEAPS = {"micropython32": "128k", "micropython": "192k"}  # on 64 bits the same takes nearly twice the heap
NODES = {
    **{f"ssc{i}": "ssc" for i in range(2)},
    **{f"meter{i}": "meter" for i in range(10)},
    **{f"ied{i}": "ied" for i in range(12)},
}
PERIOD_S = 1


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))


class Segment:
    """The nodes behind a Mesh, and the utility: its keys in `fleet`, its End."""

    def __init__(self, folder, seed, nodes=NODES, **mesh):
        self.folder, self.nodes = folder, nodes
        self.fleet = folder / "fleet-keys"
        self.signer = Signer(self.fleet)
        self.signer.create(5)
        name = ",".join(SEGMENT)
        for path, text in (
            (self.fleet / "segments" / f"{name}.key", KEY),
            (self.fleet / "segments" / f"{name}.numbers", "".join(f"{number_of(one)} {one}\n" for one in nodes)),
            *((self.fleet / "nodes" / f"{one}.key", NODE_KEY) for one in nodes),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.ports = free_ports(len(nodes) + 1)
        self.mesh = Mesh(self.ports, seed, **mesh)
        self.running = {}
        self._held = contextlib.ExitStack()
        self.tables = 0
        self.began = 0.0

    def __enter__(self):
        with contextlib.ExitStack() as held:
            held.enter_context(self.mesh)
            names = list(self.nodes)
            self.paths = {one: self._configured(i, one) for i, one in enumerate(names)}
            for one in names:
                self.start(one)
            faces = zip(names, self.mesh.faces, strict=False)
            controllers = [f"127.0.0.1:{face}" for one, face in faces if self.nodes[one] == "ssc"]
            self.end = held.enter_context(End(self.fleet, SEGMENT, controllers, self.ports[-1]))
            self._held = held.pop_all()
        return self

    def __exit__(self, kind, *_):
        for one, node in self.running.items():
            node.kill()
            if kind:
                print(one, *node.lines[-4:], sep="\n  ")
        self._held.close()

    def _configured(self, i, name):
        """Everybody knows two others that it may talk to."""
        above = {"ied": "meter", "meter": "ssc", "ssc": "ssc"}[self.nodes[name]]
        names = list(self.nodes)
        others = [k for k, one in enumerate(names) if self.nodes[one] == above and k != i]
        seeds = [f"127.0.0.1:{self.mesh.faces[others[(i + k) % len(others)]]}" for k in range(min(2, len(others)))]
        gossip = {
            "segment_key": KEY, "node_key": NODE_KEY, "tariff_key": self.signer.public().hex(), "group": "",
            "port": self.ports[i], "seeds": seeds, "period_s": PERIOD_S, "population": len(names),
        }
        sections = {"gossip": gossip}
        if self.nodes[name] == "ied" and i % 3 == 0:
            sections["board"] = {"relays": [1]}
            sections["appliances"] = [
                {"kind": "run", "name": "washer", "relay": 0, "watts": 2000, "minutes": 60}]
        return configuration(self.folder, name, None, self.nodes[name], **sections)

    def port_of(self, name):
        """The MicroPython that it runs on: half of them each."""
        return Port("micropython32" if list(self.nodes).index(name) % 2 else "micropython")

    def start(self, name):
        port = self.port_of(name)
        self.running[name] = Lean(port, self.paths[name], compiled(port, self.folder), HEAPS[port.name])

    def tariff(self, most_s=30):
        """The next one, signed, into the segment; its number."""
        self.tables += 1
        self.began = time.monotonic()
        now = int(time.time())
        table = Table(self.tables, now // 3600 * 3600, 3600, [20000 + 100 * k for k in range(24)], "EUR")
        buf = bytearray(MOST)
        n = encode_into(buf, 0, table)
        made = self.signer.sign(TARIFF, 7, 1, 0, 3600, now - 60, now + 86400, bytes(buf[:n]))
        found = [Message(one.origin, one.seq, one.reach, one.lifetime_s, one.payload) for one in made]
        inject(self.end, found, most_s, lambda text: None)
        return self.tables

    def holders(self, number):
        """Nodes that said that they took a tariff, in this or an earlier life."""
        return {one for one, node in self.running.items()
                if any(event.get("event") == "tariff" and event["number"] == number for event in node.events())}

    def wait_held(self, number, names, most_s):
        """Everybody of `names` has it; seconds since `began`: the last tariff, or what a test says."""
        began = self.began
        while not set(names) <= self.holders(number) and time.monotonic() < began + most_s:
            self.end.run(lambda: False, 0.1)
        assert set(names) <= self.holders(number), (set(names) - self.holders(number), number)
        return time.monotonic() - began

    def answers(self, name):
        """EVENTs of a node whose own questions were answered."""
        return [one for one in self.running[name].events() if one["event"] == "query"]

    def ask(self, text, seconds=20):
        return ask(self.end, question_of(text), seconds)

    def wait_counted(self, count, most_s):
        """The whole segment answers; the last Answer."""
        began = time.monotonic()
        while True:
            answer = self.ask("count", 10)
            if answer.contributors == count or time.monotonic() > began + most_s:
                return answer


@pytest.mark.timeout(300)
def test_a_segment_at_a_quarter_of_loss(tmp_path):
    """A tariff to all, a question from all, two nodes killed and brought back, a partition healed."""
    figures = {}
    with Segment(tmp_path, 1, loss=0.25, delay_s=(0.0, 0.05), doubled=0.05) as segment:
        mesh, names = segment.mesh, list(NODES)
        segment.end.join(30)
        figures["found"] = segment.wait_counted(len(names), 60).contributors

        before = mesh.carried + mesh.lost
        figures["tariff_s"] = segment.wait_held(segment.tariff(), names, 60)
        figures["datagrams"] = mesh.carried + mesh.lost - before
        answer = segment.ask("tariff 1")
        assert answer.contributors + answer.faults <= len(names)
        figures["counted"] = answer.contributors
        assert not answer.value[0], "nobody lacks it"

        dead = ("meter3", "ied2")
        for one in dead:
            segment.running[one].kill()
        alive = [one for one in names if one not in dead]
        figures["without_two_s"] = segment.wait_held(segment.tariff(), alive, 60)
        for one in dead:
            segment.start(one)
        segment.began = time.monotonic()
        figures["back_s"] = segment.wait_held(2, dead, 60)

        asked = order(segment.end, segment.fleet, SEGMENT, "meter7", b'{"query": [10, 2], "every_s": 4}', 1)
        inject(segment.end, [asked], 30, lambda text: None)
        segment.end.run(lambda: segment.answers("meter7"), 60)
        island = {i for i, one in enumerate(names) if one in ("ssc1", *(f"meter{k}" for k in range(5, 10)))}
        mesh.allowed = lambda a, b: (a in island) == (b in island)
        number = segment.tariff(5)  # the second controller is cut off
        here = [one for i, one in enumerate(names) if i not in island and NODES[one] != "ied"]
        figures["parted_s"] = segment.wait_held(number, here, 60)
        assert not {names[i] for i in island} & segment.holders(number)
        began = len(segment.answers("meter7"))
        segment.end.run(lambda: len(segment.answers("meter7")) >= began + 3, 90)
        inside = segment.answers("meter7")[began + 1 :]  # the one before may have begun before the cut
        assert inside, "a meter's question goes on inside the island"
        figures["counted_inside"] = max(one["contributors"] for one in inside)
        assert all(one["value"][0] == 0 for one in inside if one["value"]), "and the tariff that they have holds"
        mesh.allowed = lambda a, b: True
        segment.began = time.monotonic()
        figures["healed_s"] = segment.wait_held(number, names, 90)

        asked = order(segment.end, segment.fleet, SEGMENT, "ied5", b'{"query": [1, 0]}', 1)
        inject(segment.end, [asked], 30, lambda text: None)
        segment.end.run(lambda: segment.answers("ied5"), 60)
        wait_for(lambda: segment.answers("ied5"), "the answer to an appliance's question")
        figures["counted_by_an_appliance"] = segment.answers("ied5")[0]["contributors"]
        figures["carried_bytes"] = mesh.carried_bytes
    print(figures)
    assert figures["found"] == len(names)
    assert figures["counted_inside"] >= len(island) - 1  # appliances see both sides, and may add some
    assert figures["counted"] >= len(names) - 1
    assert figures["counted_by_an_appliance"] >= len(names) - 2
