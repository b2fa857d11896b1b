"""Safe mode joins the network with whatever could be read, does what it is told once, and gives nothing away."""

import json
import subprocess
import time

import paho.mqtt.publish as publish
import pytest
from hypothesis import given

from host_tests.conftest import ROOT, Port
from host_tests.device_rig import Device
from host_tests.meter_rig import NODE_ID, PLACE, listening
from host_tests.mqtt_rig import wait_for
from host_tests.property import examples
from host_tests.test_boot import CONFIG, SECRETS, anything, found_for
from host_tests.test_headless import config

COMMAND = "/".join([*PLACE.values(), "CMD", NODE_ID])


@pytest.fixture(scope="module", params=["micropython", "micropython32"])
def usable(request, tmp_path_factory):
    """`usable(config, secrets)`: [ssid, host] of what safe mode would try, beside no other pair."""
    mpy = Port(request.param)
    argv = mpy.command("host_tests/mpy/safe_again.py", tmp_path_factory.mktemp("node"), heapsize="2M")
    process = subprocess.Popen(
        argv, env=mpy.environment(), cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    def ask(config, secrets):
        process.stdin.write(f"x{config.hex()} x{secrets.hex()}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.wait(10)


@given(config=found_for(CONFIG), secrets=found_for(SECRETS))
@examples(150)
def test_no_bytes_prevent_safe_mode(usable, config, secrets):
    found = usable(config, secrets)
    assert len(found) <= 1 and all(isinstance(name, str) for pair in found for name in pair)
    if config == json.dumps(CONFIG).encode():
        assert found == [["net", "127.0.0.1"]]


@given(value=anything)
@examples(60)
def test_a_section_that_cannot_be_used_leaves_the_others(usable, value):
    for name in ("id", "topic", "ntp", "board", "measurement", "source", "log"):
        for part in (value, {"x": value}, {"servers": value, "relays": value, "area": value}):
            whole = json.dumps({**CONFIG, name: part}).replace("NaN", "1").replace("Infinity", "1e999").encode()
            assert usable(whole, b"{}") == [["net", "127.0.0.1"]], whole


def is_safe(heard):
    return [status for status in list(heard.statuses) if status["state"] == "safe"]


def test_a_retained_command_is_no_command(mpy, mosquitto, tmp_path):
    bad = config(mosquitto, tmp_path, measurement={"idcode": 0})
    where = {"qos": 1, "hostname": mosquitto.host, "port": mosquitto.port}
    publish.single(COMMAND, b"restart", retain=True, **where)
    with listening(mosquitto) as heard, Device(mpy, tmp_path, bad) as device:
        wait_for(lambda: is_safe(heard), "safe mode", 30)
        assert is_safe(heard)[-1]["config"] == ""
        time.sleep(3)
        assert not device.lives
        publish.single(COMMAND, b"restart", **where)
        device.wait_lives(1)


def test_without_its_tls_files_it_says_so_but_no_password(mpy, mosquitto, tmp_path):
    """The broker here speaks no TLS: had it been tried without, it would have heard the password."""
    bad = config(mosquitto, tmp_path)
    bad["broker"].update({"ca": str(tmp_path / "ca.der"), "user": "node", "password": "not for everybody"})
    with Device(mpy, tmp_path, bad) as device:
        device.wait_said("safe mode: given configuration: broker.ca: ")
        device.wait_said("not without TLS")
        time.sleep(7)
        assert not device.lives and not device.said("connected")
        assert NODE_ID not in mosquitto.log.read_text()
