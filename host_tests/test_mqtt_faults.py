"""The node's session against a broker that misbehaves, over real sockets; each fault is counted and survived."""

import os
import random

import pytest

from host_tests.fake_broker import FakeBroker
from host_tests.mqtt_rig import PMU, NodeProcess
from host_tests.relay import Relay

WRONG = {
    "268 MB": b"\x30\xff\xff\xff\x7f",
    "topic longer than its packet": b"\x30\x08\x00\x7ftopic.",
    "more than max_packet": b"\x30\xff\xff\x03" + bytes(3000),
    "an id that was not sent": b"\x40\x02\xff\xf0",
    "QoS 2": b"\x34\x05\x00\x01t\x00\x01",
    "a second CONNACK": b"\x20\x02\x00\x00",
    "five bytes of length": b"\x32\x80\x80\x80\x80\x01",
}


def records(broker):
    """[(connection, packet id, dup, number)] of the records that the broker heard."""
    return [
        (connection, pid, dup, int.from_bytes(payload[:4], "big"))
        for connection, pid, dup, retain, topic, payload in broker.heard
        if topic == PMU and not retain
    ]


@pytest.mark.parametrize("what", WRONG)
def test_a_fault_is_counted_and_ends_the_connection(mpy, what):
    def wrong(connection, count):
        return WRONG[what] if connection == 1 and count == 12 else None

    with FakeBroker(wrong=wrong) as broker:
        with NodeProcess(mpy, port=broker.port, records=60, window=8) as node:
            report = node.report()
    assert report["faults"] == 1 and report["connections"] == 2, report
    assert report["waiting"] == report["dropped"] == 0 and not broker.errors
    heard = records(broker)
    assert {number for *_, number in heard} == set(range(60))
    again = [record for record in heard if record[2]]
    assert again and all(record[0] == 2 for record in again), "DUP on the second connection only"
    ids = {number: pid for connection, pid, _, number in heard if connection == 1}
    assert all(ids.get(number, pid) == pid for _, pid, _, number in again), "the same packet id"
    second = [number for connection, _, _, number in heard if connection == 2]
    assert second == sorted(second), "in order, old ones before new ones"


def test_the_window_is_never_exceeded(mpy):
    with FakeBroker(hold=1000) as broker:
        with NodeProcess(mpy, port=broker.port, records=200, window=20) as node:
            report = node.report()
    assert report["waiting"] == 0 and 20 <= broker.most <= 20 + 2 and not broker.errors


@pytest.mark.parametrize("options", [{"greeting": b"\x20\x02\x00\x05"}, {"drops": True}])
def test_a_broker_that_refuses_or_drops_is_not_hammered(mpy, options):
    with FakeBroker(**options) as broker:
        with NodeProcess(mpy, port=broker.port, records=10, limit_s=3) as node:
            report = node.report()
    # 0.7 s and 1.4 s apart, or a quarter less, by the node's own clock: what holds it up makes them fewer.
    assert 2 <= broker.connections <= 3 and report["waiting"] == 10
    assert "return code 5" in report["last_error"] if "greeting" in options else report["last_error"]


def test_a_clean_fin_and_a_reset(mpy, mosquitto):
    with Relay(mosquitto.port) as relay:
        with NodeProcess(mpy, port=relay.port, records=300, rate=100, mark=50, slots=1024) as node:
            node.wait_said("acknowledged 50")
            relay.cut(fin=True)
            node.wait_said("connected", 2)
            relay.cut()
            node.wait_said("connected", 3)
            relay.refuse()
            node.wait_said("ECONNREFUSED")
            relay.accept()
            report = node.report()
    assert report["connections"] == 4 and report["waiting"] == report["dropped"] == 0


@pytest.mark.torture
def test_random_bytes_from_the_broker(mpy):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print("seed", seed)
    rng = random.Random(seed)

    def wrong(connection, count):
        if connection < 6 and count > 3 and rng.random() < 0.2:
            return rng.randbytes(rng.randrange(1, 60))
        return None

    with FakeBroker(wrong=wrong) as broker:
        options = {"records": 500, "limit_s": 100, "keepalive_s": 2, "slots": 512}
        with NodeProcess(mpy, port=broker.port, **options) as node:
            report = node.report(110)
    print(report)
    assert report["waiting"] == 0 and report["connections"] >= 2 and not broker.errors
