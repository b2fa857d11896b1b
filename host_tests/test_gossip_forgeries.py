"""Forged tariffs of an insider against the firmware's relay, trust and LMS verifier. Time is counted, not spent.

A hash is taken as 0.25 ms: 60 of them are 15 ms on an RP2040 at 125 MHz.
"""

import sys
from pathlib import Path

import pytest

from gossip import wire
from host_tests.mpy.lms_signer import Key
from host_tests.mpy.plain_shelf import Shelf

MPY = Path(__file__).parent / "mpy"
N, SLICE, SLICE_MS, TURN_MS = 8, 48, 12, 10


@pytest.fixture(scope="module")
def key():
    return Key(1, real=8)


@pytest.fixture
def nets(monkeypatch):
    """host_tests/mpy/gossip_net.py, which is imported by its bare name there."""
    monkeypatch.syspath_prepend(str(MPY))
    import gossip_net

    yield gossip_net
    for name in [name for name in sys.modules if name.startswith("gossip_")]:
        del sys.modules[name]


class Utility:
    """A street of meters with real trust, each with a processor of its own; node 0 is where tariffs begin."""

    def __init__(self, nets, key, seed):
        from gossip.trust import Trust

        def trust(i):
            return Trust(key.public, b"", None, Shelf(), lambda: 0, self.alarm)

        self.net = nets.Net(N, seed=seed, loss=50, trust=trust, discover=True, pull=8)
        self.alarms = []
        self.spent_ms = [0] * N
        self.net.verifies = False
        for node in self.net.nodes:
            node.verify = lambda: None
            self._turn(node)
        self.net.run(30_000)  # they find each other

    def alarm(self, origin, epoch, leaf):
        self.alarms.append((origin, epoch, leaf))

    def _turn(self, node):
        busy = node.stack.verify(SLICE, node.clock())
        if busy:
            self.spent_ms[node.i] += SLICE_MS
        self.net.at(self.net.now + (SLICE_MS if busy else 0) + TURN_MS, self._turn, node)

    def tariff(self, key, leaf, seq):
        """Start a good one at node 0; ms until everybody but the attacker has it."""
        payload = key.message(leaf, seq, lifetime_s=600)
        id = self.net.start(0, payload, origin=1, seq=seq, lifetime_s=600)
        for _ in range(120):
            self.net.run(500)
            times = [ms for i, ms in self.net.times(id).items() if i < N - 1]
            if len(times) == N - 1:
                return max(times)
        raise AssertionError(self.net.times(id))


def forger(net, payloads, per_second):
    """The last node sends these to everybody, over and over, each time with another sequence number."""
    end = net.nodes[N - 1].stack.end
    sent = []

    def forge(k=0):
        payload = bytearray(payloads[k % len(payloads)])
        payload[-1 - k % 600] ^= 1 + k % 255
        end.out[wire.HEAD : wire.HEAD + len(payload)] = payload
        for i in range(end.peers.count):
            end.post(i, wire.DATA, 7, 255, 255, 1, 20 + k % 1000, 600, len(payload))
        sent.append(k)
        net.at(net.now + 1000 // per_second, forge, k + 1)

    forge()
    return sent


@pytest.mark.parametrize("before_s", [1, 5, 60])
def test_a_hundred_forgeries_a_second(nets, key, before_s):
    """Verification takes a fifth of the processor at most, and a good tariff arrives in twice the time at most."""
    calm, attacked = 0, 0
    for seed in (1, 2, 3, 4):
        calm += Utility(nets, key, seed).tariff(key, 0, 2000)
        street = Utility(nets, key, seed)
        old = [key.message(leaf, 5, body=b"forged", lifetime_s=600) for leaf in (1, 2, 3)]
        sent = forger(street.net, old, 100)
        street.net.run(before_s * 1000)
        attacked += street.tariff(key, 0, 2000)
        street.net.run(10_000)
        assert len(sent) >= 100 * (before_s + 10)
        now = street.net.now
        for node in street.net.nodes[: N - 1]:
            assert street.spent_ms[node.i] <= 0.2 * now, (node.i, street.spent_ms[node.i], now)
            assert [one[2] for one in node.kept] == [2000]  # nothing else was delivered
            counters = node.counters()
            assert sum(counters) == node.received and counters[wire.OK]
            assert counters[wire.RATE] > 300, "most of them cost no more than a seal"
        assert not street.alarms
    print("tariff to all: %d ms calm, %d ms attacked" % (calm / 4, attacked / 4))
    assert attacked <= 2 * calm


@pytest.mark.parametrize("seq", [10, 11])  # as copies of a key's folder would number the second
def test_one_time_key_used_twice(nets, key, seq):
    """Two good messages of one leaf, as only copied keys make them: one is taken, all tell of the other once;
    who sent it waits as for a bad one."""
    street = Utility(nets, key, 4)
    street.tariff(key, 0, 10)
    second = key.message(0, seq, body=b"another", lifetime_s=600)
    net = street.net
    end = net.nodes[N - 1].stack.end
    for _ in range(3):
        end.out[wire.HEAD : wire.HEAD + len(second)] = second
        for i in range(end.peers.count):
            end.post(i, wire.DATA, 7, 16, 4, 1, seq, 600, len(second))
        net.run(5000)
    assert N - 2 <= len(street.alarms) < N and set(street.alarms) == {(1, 1, 0)}
    for node in net.nodes[1 : N - 1]:  # the first did not verify what it started
        assert [one[2] for one in node.kept] == [10] and node.counters()[wire.REUSE] == 1
        checks = node.stack.relay.checks
        assert [bad[0] for bad in checks._bad.values()] == [0]
