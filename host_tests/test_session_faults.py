"""A whole node and what goes wrong with its session: nothing is lost, it does not end, its memory is bounded."""

import os
import random
import time

import paho.mqtt.client as paho
import pytest

from host_tests.conftest import Port
from host_tests.fake_broker import FakeBroker
from host_tests.meter_rig import NODE_ID, RATE, Ear, Meter, all_heard, configuration, listening
from host_tests.mqtt_rig import wait_for
from host_tests.relay import Relay

HEAP = "256k"


class Scrambled:
    """Acknowledgements out of order, twice, late by half a second or, while `forgets`, never."""

    def __init__(self, rng):
        self.forgets = True
        self._rng = rng
        self._late = {}  # packet id: when its turn is, None for never

    def __call__(self, due):
        now = time.monotonic()
        for pid in due:
            if pid not in self._late:
                fate = self._rng.random()
                self._late[pid] = None if fate < 0.001 else now + 0.5 if fate < 0.1 else now
        ids = [pid for pid in due if (self._late[pid] or now + self.forgets) <= now]
        for pid in ids:
            due.remove(pid)
            del self._late[pid]
        ids += self._rng.sample(ids, len(ids) // 4)
        self._rng.shuffle(ids)
        return ids


def heard_by(broker):
    """An Ear for what a FakeBroker heard."""
    ear = Ear()
    for *_, topic, payload in list(broker.heard):
        ear.take(topic, payload)
    return ear


def scrambled(mpy, folder, seconds, seed):
    acks = Scrambled(random.Random(seed))
    with FakeBroker(acks=acks, hold=8) as broker:
        path = configuration(folder, "127.0.0.1", broker.port, outbox={"folder": str(folder / "flash")})
        with Meter(mpy, path, heap=HEAP) as node:
            wait_for(lambda: len(node.made()) >= RATE * seconds, "frames", 2 * seconds + 20)
            acks.forgets = False
            made = node.made()
            wait_for(lambda: made <= set(heard_by(broker).numbers()), "all of them", 90)
            node.stop()
        ear = heard_by(broker)
    assert node.made() <= set(ear.numbers()) and not ear.conflicts and not broker.errors
    status = ear.statuses[-1]
    print(mpy.name, "again", status["sent_again"], "late", status["late_pubacks"], "heap", status["heap_free"])
    assert status["late_pubacks"] > 0 and status["protocol_errors"] == status["dropped"] == 0


def test_acknowledgements_shuffled_doubled_and_late(tmp_path):
    scrambled(Port("micropython32"), tmp_path, 2, seed=2)


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_acknowledgements_shuffled_doubled_late_and_never(mpy, tmp_path):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print("seed", seed)
    scrambled(mpy, tmp_path, 60, seed)


def taken_over(mpy, mosquitto, folder, times):
    """A second client with the node's id: the broker throws the node out."""
    with listening(mosquitto) as heard:
        path = configuration(folder, mosquitto.host, mosquitto.port, outbox={"folder": str(folder / "flash")})
        with Meter(mpy, path, heap=HEAP) as node:
            for _ in range(times):
                heard.wait_live(RATE // 2, 120)
                thief = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=NODE_ID, clean_session=True)
                thief.connect(mosquitto.host, mosquitto.port)
                thief.loop_start()
                wait_for(thief.is_connected, "the second client")
                thief.disconnect()
                thief.loop_stop()
            heard.wait_live(RATE // 2, 120)
            all_heard(node, heard)
        assert heard.wait_status(state="stopped")["connections"] == times + 1


def test_taken_over_by_a_second_client(mosquitto, tmp_path):
    taken_over(Port("micropython32"), mosquitto, tmp_path, 1)


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_taken_over_five_times(mpy, mosquitto, tmp_path):
    taken_over(mpy, mosquitto, tmp_path, 5)


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_a_broker_that_accepts_and_never_answers_for_a_minute(mpy, mosquitto, tmp_path):
    """Connections and bytes are taken, and nothing comes back; before it the session was good."""
    with Relay(mosquitto.port) as relay, listening(mosquitto) as heard:
        path = configuration(tmp_path, relay.host, relay.port, outbox={"folder": str(tmp_path / "flash")})
        with Meter(mpy, path, heap=HEAP) as node:
            heard.wait_live(2 * RATE)
            relay.hold = True
            time.sleep(60)
            relay.cut()
            relay.hold = False
            heard.wait_live(2 * RATE, 60)
            all_heard(node, heard)
        status = heard.wait_status(state="stopped")
        assert status["dropped"] == 0 and status["heap_free"] > 0
