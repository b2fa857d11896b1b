"""What `plan` promises against simulation: a plain one of the model's own rules, and the firmware's relay."""

import json
import random
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gossip import plan
from gridmote.cli import app

MPY = Path(__file__).parent / "mpy"
POINTS = [  # nodes, loss, crashed, f
    (5, 0.25, 0.1, 3),
    (10, 0.4, 0.2, 4),
    (16, 0.1, 0.1, 2),
    (50, 0.25, 0.1, 4),
    (200, 0.25, 0.1, 3),
    (6, 0.1, 0, 3),
    (8, 0.25, 0, 2),
    (10, 0, 0, 2),
    (12, 0.5, 0.3, 6),
    (20, 0.25, 0.1, 3),
    (24, 0.4, 0.1, 5),
    (32, 0.25, 0.1, 4),
    (44, 0, 0, 3),
    (64, 0.4, 0.2, 4),
    (100, 0.1, 0, 2),
    (100, 0.25, 0.1, 3),
    (150, 0.5, 0.3, 6),
    (300, 0.25, 0.1, 4),
    (1000, 0.25, 0.1, 3),
    (1000, 0.4, 0.2, 4),
]
HANDFUL = 5
REPAIRS = 3


def run(n, loss, crash, f, roll):
    """One message: shares of the live nodes that have it after the push and after each repair; datagrams a node."""
    live = n - int(n * crash)
    has = [node == 0 for node in range(live)]
    acked, sent, turn = set(), 0, [(0, 0)]

    def others(count, *without):
        found = roll.sample(range(n), min(n, count + len(set(without))))
        return [node for node in found if node not in without][:count]

    def hits(node):
        return node < live and roll.random() >= loss

    while turn:
        following = []
        for relay, parent in turn:
            for node in others(f, relay, parent, 0):
                sent += 1
                if hits(node):
                    if not relay and roll.random() >= loss:
                        acked.add(node)
                    if not has[node]:
                        has[node] = True
                        following.append((node, relay))
        turn = following
        while not turn and len(acked) < min(2, live - 1):
            for node in others(2, 0, *acked):
                sent += 1
                if hits(node):
                    if roll.random() >= loss:
                        acked.add(node)
                    if not has[node]:
                        has[node] = True
                        turn.append((node, 0))
    shares = [sum(has) / live]
    for _ in range(REPAIRS):
        now = list(has)
        for node in range(live):
            if not has[node]:
                for asked in others(2, node):
                    sent += 1
                    if hits(asked) and has[asked]:
                        sent += 1
                        now[node] = now[node] or roll.random() >= loss
        has = now
        shares.append(sum(has) / live)
    return shares, sent / live


def within_a_point(n, loss, crash, f, datagrams_most):
    roll = random.Random(f"{n} {loss} {crash} {f}")
    runs = max(100, datagrams_most // (n * f))
    shares, sent = [0.0] * (REPAIRS + 1), 0.0
    for _ in range(runs):
        found, cost = run(n, loss, crash, f, roll)
        shares = [a + b / runs for a, b in zip(shares, found, strict=True)]
        sent += cost / runs
    push = plan.pushed(n, loss, crash, f)
    expected = plan.repaired(loss, crash, push, REPAIRS)
    print(n, loss, crash, f, [f"{100 * (a - b):+.2f}" for a, b in zip(expected, shares, strict=True)])
    for a, b in zip(expected, shares, strict=True):
        assert abs(a - b) <= 0.01
    live = n - int(n * crash)
    acks = 2 * (1 + loss) / live
    assert plan.cost(n, loss, crash, f, expected) == pytest.approx(sent + acks, rel=0.1)


@pytest.mark.parametrize("point", POINTS[:HANDFUL], ids=str)
def test_within_a_point(point):
    within_a_point(*point, 200_000)


@pytest.mark.torture
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_within_a_point_everywhere(point):
    within_a_point(*point, 2_000_000)


def test_the_firmware_does_as_planned(monkeypatch):
    """Push and cost of the real relay, 29 of 32 nodes alive, 200 messages."""
    monkeypatch.syspath_prepend(str(MPY))
    from gossip_net import Net, signed

    net = Net(32, seed=2, loss=250, tick_ms=1000, defaults={"f": 3})
    for i in (1, 2, 3):
        net.nodes[i].crash()
    net.warm()
    reached = 0
    for seq in range(1, 201):
        id = net.start(0, signed(b"%d" % seq), origin=1, seq=seq, lifetime_s=3600)
        net.run(16_000)  # as long as the initiator insists
        reached += len(net.times(id))
        for node in net.live():
            if node.i not in net.times(id):
                node.late()
        net.run(20_000)
        assert len(net.times(id)) == 29
    for name in [name for name in sys.modules if name.startswith("gossip_")]:
        del sys.modules[name]
    push = plan.pushed(32, 0.25, 0.1, 3)
    assert reached / 200 / 29 == pytest.approx(push, abs=0.02)  # 0.01 is what 200 messages spread by themselves
    shares = plan.repaired(0.25, 0.1, push, 16)
    assert net.sent() / 200 / 29 == pytest.approx(plan.cost(32, 0.25, 0.1, 3, shares), rel=0.05)


def test_f_grows_with_the_logarithm():
    """Feature 4: what push alone needs, as facts of simulation say: 16 for 1000 nodes at 25 %, and ln n more."""
    needs = [plan.alone(n, 0, 0) for n in (10, 100, 1000, 10_000)]
    for before, after in zip(needs, needs[1:], strict=False):
        assert after - before == pytest.approx(2.302585, abs=1e-6)  # ln 10
    assert plan.everybody_alone(1000, 0.25, 0, 8) == pytest.approx(0.10, abs=0.03)
    assert plan.everybody_alone(1000, 0.25, 0, 16) >= 0.99


@pytest.mark.parametrize("n", [2, 3, 5, 10, 32, 100, 1000, 10_000])
def test_the_plan_holds_what_it_promises(n):
    for loss, crash in ((0, 0), (0.1, 0), (0.25, 0.1)):
        found = plan.plan(n, loss, crash)
        assert 1 <= found.f <= 8 and 4 <= found.r <= 31 and 0 <= found.repairs <= 16
        assert found.everybody >= 0.999 and found.datagrams <= 4.2
        dearer = plan.at(n, loss, crash, min(found.f + 1, n - 1))
        assert dearer.push >= found.push - 1e-9


@pytest.mark.parametrize("wrong", [(1, 0, 0), (10, 1, 0), (10, 0, 1), (10, -0.1, 0), (1000, 0.8, 0.5)])
def test_what_cannot_be_planned(wrong):
    with pytest.raises(ValueError):
        plan.plan(*wrong)


def test_the_command():
    done = CliRunner().invoke(app, ["gossip", "plan", "1000"])
    assert done.exit_code == 0, done.output
    assert "f 3" in done.output and "3.3" in done.output and "16" in done.output  # memberlist's 16
    done = CliRunner().invoke(app, ["gossip", "plan", "1000", "--loss", "10", "--crashed", "0", "--json"])
    found = json.loads(done.output)
    assert found["n"] == 1000 and found["loss"] == 0.1 and found["f"] == 3 and 0.9 < found["push"] < 0.93
    assert "a node without them takes f 4" in CliRunner().invoke(app, ["gossip", "plan", "1000"]).stdout
    done = CliRunner().invoke(app, ["gossip", "plan", "24", "--loss", "0.25", "--crashed", "1", "--json"])
    assert done.stderr == "gridmote gossip plan: --loss 0.25 is 0.25 %; for a share of 0.25 say 25\n"
    assert done.exit_code == 0 and json.loads(done.stdout)["loss"] == 0.0025
    done = CliRunner().invoke(app, ["gossip", "plan", "1"])
    assert done.exit_code == 1 and "2 nodes" in done.output
    done = CliRunner().invoke(app, ["gossip", "--help"])
    assert "plan" in done.output
