"""A month of field life in simulated time, and hours of the worst of it: the node comes back, and nothing is lost.

A whole node runs in one MicroPython process: the firmware from what /main.py calls on, with its tasks, boot path,
outbox, session, radio policy and NTP client, the boards' own clock, and littlefs on NOR flash in RAM. Simulated are
time (waiting advances it at once), the board (mpy/field_board.py, field_parts.py), the access point, the path, NTP
server and brokers (field_net.py). mpy/field_ledger.py keeps accounts of its own.

What is not as in the field: one frame a second of a steady 230 V and 10 A; computing takes no time but a
millisecond for every twenty steps of the tasks, an erase 50 ms; memory is a number that the script sets, for the
heap is the port's; modules come from source; no TLS; the path neither delays nor reorders. Nothing of the 30 days
is leapt over, but hours between incidents run coarsely: there a wait of the firmware of less than 0.9 s (the link's
polls, the lamp) takes 0.9 s, and 20 ms around incidents. Power cuts fall on waits, and on operations of the flash
(before, in, after) and of sockets; exceptions on the place where a task waits, and on calls of clock, socket and
flash.
"""

import ast
import collections
import json
import os
from pathlib import Path

import pytest

from host_tests.conftest import ROOT, Port

SCRIPT = Path(__file__).parent / "mpy/field_life.py"
SEED = int(os.environ.get("GRIDMOTE_SEED", "1")) % 1_000_000


def life(port, *args, timeout_s=60):
    done = port(SCRIPT, *args, heapsize="24M", timeout_s=timeout_s)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-4000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    print(port.name, *args, figures)
    return figures


def tasks():
    """Functions that become tasks of a running node, and how many of each name, as firmware/ says it."""
    names = collections.Counter(["run"])  # Node.run itself
    order = []
    places = set()
    for path in sorted((ROOT / "firmware").glob("*.py")):
        if path.name in ("safe.py", "member.py", "gossip.py"):  # not of a node that measures, and without gossip
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, (ast.AsyncFunctionDef, ast.FunctionDef)):
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "create_task":
                    places.add((path.name, function.name))
                    gossip = ast.unparse(call).startswith("asyncio.create_task(self._gossip.")  # which it has not
                    if (path.name, function.name) == ("node.py", "run") and not gossip:
                        names[call.args[0].func.attr] += 1
                        order.append(ast.unparse(call.args[0].func))
    assert order[0] == "self.link.run"  # the script hangs it, as "run2"
    # `leave` is for Ctrl-C. Another place that makes tasks has to be thought about.
    assert places == {("node.py", "run"), ("node.py", "leave")}
    return {name + (str(i) if i > 1 else "") for name, count in names.items() for i in range(1, count + 1)}


def check(figures):
    assert not figures["failures"]
    assert figures["durable"] >= figures["promised"] > 0
    assert figures["made"] > 60000 * figures["days"] and figures["live"] > figures["made"] / 2
    assert set(figures["injected"]) == tasks()


@pytest.mark.parametrize("name", ["micropython", "micropython32"])
def test_hours_of_the_worst(name):
    figures = life(Port(name), SEED, "day")
    check(figures)
    assert min(figures["cuts"].values()) > 0


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_a_month(mpy):
    figures = life(mpy, SEED, "month", timeout_s=3500)
    check(figures)
    assert figures["days"] > 30
    assert sum(figures["cuts"].values()) >= 40


SABOTAGE = ast.parse((SCRIPT.parent / "field_sabotage.py").read_text()).body[-1].value.keys


@pytest.mark.torture
@pytest.mark.parametrize("name", [key.value for key in SABOTAGE])
def test_that_the_ledger_notices(name):
    """Each check fails for a node that is wrong in one place."""
    figures = life(Port("micropython"), SEED, "sabotage", name)
    assert any(figures["says"] in failure for failure in figures["failures"]), figures["failures"]
