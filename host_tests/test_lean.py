"""Nodes that measure nothing: in 128 KiB, with their broker or without one, through cuts, commands and crashes."""

import json

import paho.mqtt.publish as publish
import pytest

from gridmote.processes import gridmote
from host_tests.conftest import free_port
from host_tests.device_rig import Device
from host_tests.lean_rig import HEAP, Lean, compiled, configuration
from host_tests.meter_rig import PLACE, listening
from host_tests.mqtt_rig import Process, wait_for

LEAST_FREE = 30 << 10  # bytes of 128 KiB, for gossip and tariffs


@pytest.fixture
def places(mpy, tmp_path):
    return compiled(mpy, tmp_path)


def command(broker, name, payload, **options):
    topic = "/".join([*PLACE.values(), "CMD", name])
    publish.single(topic, payload, qos=1, hostname=broker.host, port=broker.port, **options)


def identities(events):
    return [(event["boot"], event["seq"]) for event in events]


@pytest.mark.parametrize("role", ["ied", "ssc", "meter"])
def test_it_says_what_it_is_and_good_bye(mpy, mosquitto, tmp_path, places, role):
    path = configuration(tmp_path, "lean", mosquitto, role)
    with listening(mosquitto) as heard, Lean(mpy, path, places) as node:
        status = heard.wait_status(state="online", role=role, connections=1, events_waiting=0)
        assert status["storage"] == "ok" and status["heap_free"] > LEAST_FREE, status
        assert len(json.dumps(status)) < 1000
        wait_for(lambda: heard.events, "EVENT start")
        assert heard.events[0]["event"] == "start" and heard.events[0]["soc"] and heard.events[0]["boot"] == 1
        assert heard.events == node.events()
        node.stop()
        heard.wait_status(state="stopped")


def test_events_survive_an_outage_and_cuts(mpy, mosquitto, tmp_path, places):
    path = configuration(tmp_path, "lean", mosquitto)
    mosquitto.stop()
    for _ in range(3):
        with Lean(mpy, path, places) as node:
            node.wait_said("event ")
            node.wait_said("broker 127.0.0.1")
    mosquitto.start()
    with listening(mosquitto) as heard, Lean(mpy, path, places):
        wait_for(lambda: len(set(identities(heard.events))) == 4, "4 starts")
        assert identities(heard.events) == [(boot, 1) for boot in range(1, 5)]
        before = heard.wait_status(state="online", events_waiting=0)["connections"]
        mosquitto.stop()
        mosquitto.start()
        assert heard.wait_status(connections=before + 1, state="online")["events_dropped"] == 0
    with listening(mosquitto) as heard:
        heard.wait_status(state="offline")  # the will, retained


def test_commands(mpy, mosquitto, tmp_path, places):
    path = configuration(tmp_path, "lean", mosquitto, status_s=3600)
    command(mosquitto, "lean", "restart", retain=True)  # somebody's old one does not restart it for ever
    with listening(mosquitto) as heard, Lean(mpy, path, places) as node:
        heard.wait_status(state="online")
        for times in range(2, 4):
            command(mosquitto, "lean", "status")
            wait_for(lambda times=times: len(heard.statuses) >= times, "STATUS")
        command(mosquitto, "lean", "nonsense")
        command(mosquitto, "lean", "restart")
        assert node.wait(20) == 3, node.lines
        assert heard.wait_status(state="stopped")["acknowledged"] >= 3


def test_without_a_broker_it_tells_the_console(mpy, tmp_path, places):
    with Lean(mpy, configuration(tmp_path, "lean", status_s=1), places) as node:
        node.wait_said("events are told here only")
        assert node.events()[0]["event"] == "start"
        node.stop()
        assert node.lines[-1] == "stopped: 0 events wait, 0 dropped"


def test_the_second_broker_when_the_first_is_away(mpy, mosquitto, tmp_path, places):
    broker = {"host": mosquitto.host, "port": free_port(), "back_after_s": 1,
              "fallback": [{"host": mosquitto.host, "port": mosquitto.port}]}
    with listening(mosquitto) as heard, Lean(mpy, configuration(tmp_path, "lean", broker), places):
        assert heard.wait_status(state="online")["broker"] == f"127.0.0.1:{mosquitto.port}"


def given(broker, folder, **sections):
    return json.loads(configuration(folder, "lean", broker, **sections).read_text())


def test_on_a_board_it_is_settled_restarted_and_never_left_alone(mpy, mosquitto, tmp_path, places):
    path = [*places, "host_tests/mpy"]
    times = {"member_healthy_s": 2}
    with listening(mosquitto) as heard, Device(mpy, tmp_path, given(mosquitto, tmp_path), path=path,
                                               times=times) as device:
        wait_for((tmp_path / "node/config.good").exists, "the last good configuration", 30)
        assert heard.wait_status(state="online", crashes=0)["stage"] == "normal"
        command(mosquitto, "lean", "restart")
        device.wait_lives(1)
        assert device.lives == ["restart"]
        assert heard.wait_status(state="online", reset="restart", boot=2)["crashes"] == 0
        device.power_cut()
        device.put("config.json", b"{")  # nonsense: the last good one is used
        device.power_on()
        assert "cut off" in heard.wait_status(state="online", config="good")["why"]


def test_a_board_starts_it_in_its_heap(mpy, mosquitto, tmp_path, places):
    with listening(mosquitto) as heard, Device(mpy, tmp_path, given(mosquitto, tmp_path), heap=HEAP, path=places,
                                               script="boards/main.py") as device:
        assert heard.wait_status(state="online", events_waiting=0)["heap_free"] > LEAST_FREE, device.lines


@pytest.mark.parametrize("fault", ["member", "teller", "memory"])
def test_what_fails_or_stands_still_is_recorded_and_restarts(mpy, mosquitto, tmp_path, places, fault):
    path, times = [*places, "host_tests/mpy"], {"looks": 6}
    with listening(mosquitto) as heard, Device(mpy, tmp_path, given(mosquitto, tmp_path), path=path,
                                               times=times, lean=fault) as device:
        device.wait_lives(1)
        device.fault()
        wait_for(lambda: [e for e in heard.events if e["event"] in ("crash", "restart")], "what it was", 30)
        told = [e for e in heard.events if e["event"] in ("crash", "restart")][0]
        assert {"member": "node stood still", "teller": "injected into teller",
                "memory": "memory stood still"}[fault] in told["text"]
        assert heard.wait_status(state="online", stage="normal")["last_crash"]


def test_two_find_each_other(mpy, mosquitto, tmp_path, places):
    ports = free_port(), free_port()
    gossip = {"segment_key": "11" * 32, "group": "", "period_s": 1}
    other = configuration(tmp_path, "other", role="meter", gossip={**gossip, "port": ports[1]})
    seeds = [f"localhost:{ports[1]}"]
    path = configuration(tmp_path, "lean", mosquitto, gossip={**gossip, "port": ports[0], "seeds": seeds})
    with listening(mosquitto) as heard, Lean(mpy, other, places, "256k"), Lean(mpy, path, places, "256k"):
        wait_for(lambda: heard.statuses and heard.statuses[-1]["gossip"]["peers"] == 1, "a peer", 30)
        assert heard.statuses[-1]["gossip"]["received"]["ok"] > 0


def test_gridmote_node_runs_it(tmp_path, mosquitto):
    path = configuration(tmp_path, "lean", mosquitto)
    argv = gridmote("node", path, "--heap", HEAP, "--seconds", "2")
    with listening(mosquitto) as heard, Process(argv, None) as node:
        heard.wait_status(state="stopped", role="ied")
        assert node.wait(20) == 0
        assert node.said("ied, measures nothing"), node.lines
