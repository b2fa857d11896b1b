"""The line of honest aggregation: at 25 % loss at least 99 % of the meters reached are counted (n = 100)."""

from pathlib import Path

import pytest

from gossip.quantity import SUM

RUNS = 8


@pytest.fixture(autouse=True)
def beside_the_node(monkeypatch):
    """host_tests/mpy/query_net.py is imported by its bare name, as MicroPython does."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "mpy")


def ask_all(seed, loss, crashed, n=100, f=4, timeout_ms=15000):
    """(contributors, reached, alive, missing, seconds, datagrams of queries a node), once the last is silent."""
    from query_net import QueryNet

    net = QueryNet(n, seed=seed, loss=loss * 10, defaults={"r": 16})
    dead = 0
    while dead < n * crashed // 100:
        node = net.nodes[1 + net.random(n - 1)]
        if node.alive:
            node.crash()
            dead += 1
    query = net.ask(0, SUM, f=f, timeout_ms=timeout_ms)
    seconds = net.now / 1000
    counted, value = query.contributors, query.value
    net.run(30000)
    reached = [node.number for node in net.nodes if node.asked]
    assert [node.asked for node in net.nodes if node.asked] == [1] * len(reached)  # nobody twice
    if counted == len(reached):
        assert value == (sum(reached),)
    return counted, len(reached), n - dead, query.missing(), seconds, net.sent((1, 5, 8)) / n


@pytest.mark.parametrize(("loss", "crashed"), [(0, 0), (10, 0), (25, 0), (25, 10)])
def test_counted_of_those_reached(loss, crashed):
    runs = [ask_all(seed, loss, crashed) for seed in range(RUNS)]
    counted, reached, alive = (sum(run[k] for run in runs) for k in range(3))
    print(
        f"{loss} % loss, {crashed} % crashed: {100 * counted / reached:.2f} % of those reached are counted, "
        f"{100 * reached / alive:.1f} % of those alive are reached, {sum(run[5] for run in runs) / RUNS:.1f} "
        f"datagrams a node, {sorted(run[4] for run in runs)[RUNS // 2]:.1f} s, "
        f"missing {sorted(run[3] for run in runs)[RUNS // 2]}"
    )
    assert counted >= 0.99 * reached
    assert reached >= 0.95 * alive
    assert all(run[0] <= run[1] for run in runs)
    for counted, reached, _, missing, _, _ in runs:
        assert missing or counted == reached  # never said to be complete where it is not
        assert not crashed or missing


@pytest.mark.torture
def test_a_thousand():
    counted, reached, alive, _, _, datagrams = ask_all(1, 25, 10, n=1000, timeout_ms=30000)
    print(f"1000 nodes: {counted} of {reached} reached, {alive} alive, {datagrams:.1f} datagrams a node")
    assert counted >= 0.99 * reached and reached >= 0.93 * alive
