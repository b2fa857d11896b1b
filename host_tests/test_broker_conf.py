"""The shipped mosquitto.conf in the real mosquitto, and the demonstration's broker, which is made of it."""

import contextlib
import os
import re
import socket
import subprocess
import threading

import paho.mqtt.client as mqtt
import pytest

from gridmote.broker import SHIPPED, Broker, configuration, free_port
from host_tests.conftest import BIN
from host_tests.mqtt_rig import wait_for
from host_tests.pdc_rig import Publisher

FRAME = bytes(52)
TOPIC = "south-italy-113/secondary-station/1156/PMU/765"


def settings(text):
    """[(name, value)] of the lines that mosquitto reads."""
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line and line[0] != "#"]


@contextlib.contextmanager
def session(broker, clean=False):
    """The messages that come to a subscriber with a persistent session, which stays when the block ends."""
    heard, subscribed = [], threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="pdc", clean_session=clean)
    client.on_connect = lambda c, *_: c.subscribe("#", 1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda c, _, m: heard.append(m.payload)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        assert subscribed.wait(20)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def test_only_listener_and_paths_change():
    """mosquitto takes the file as it is, but for where it listens and stores."""
    shipped = settings(SHIPPED.read_text())
    made = settings(configuration({"listener": "1 127.0.0.1", "persistence_location": "/x/"}))
    assert [pair for pair in made if pair not in shipped] == [
        ("persistence_location", "/x/"), ("listener", "1 127.0.0.1")]
    names = [name for name, _ in shipped if name != "log_type"]
    assert len(set(names)) == len(names)  # which mosquitto refuses in some cases
    with pytest.raises(KeyError, match="no_such_setting"):
        configuration({"no_such_setting": 1})


def test_mosquitto_loads_it_without_a_warning(tmp_path):
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    text = configuration({"listener": f"{port} 127.0.0.1", "persistence_location": f"{tmp_path}/"})
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(text + user)
    process = subprocess.Popen([str(BIN / "mosquitto"), "-c", str(config)], stderr=subprocess.PIPE, text=True)
    try:
        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
        wait_for(listens, "mosquitto listening")
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 0
    complaints = [line for line in said.splitlines() if "Error" in line or "Warning" in line]
    assert [line for line in complaints if "should not be run as root" not in line] == []


def test_every_setting_is_explained():
    """Each has a comment of its own above it, or belongs to the block of the one above."""
    blocks = re.split(r"\n\s*\n", SHIPPED.read_text())
    for block in blocks:
        lines = block.splitlines()
        if any(line[0] != "#" for line in lines):
            assert lines[0][0] == "#", block


def test_killed_and_started_again(tmp_path):
    """What the broker had acknowledged for an absent subscriber is there after SIGKILL, in order."""
    with Broker(tmp_path, persistent=True) as broker:
        with session(broker):
            pass
        publisher = Publisher(broker)
        wanted = [b"%06d" % n + FRAME for n in range(300)]
        for payload in wanted:
            publisher.publish(TOPIC, payload)
        publisher.publish(TOPIC, b"configuration", retain=True)
        publisher.flush()
        saved = tmp_path / "mosquitto.db"  # nobody announces the save after the last PUBACK
        wait_for(lambda: saved.exists() and b"configuration" in saved.read_bytes(), "the last save")
        publisher.close()
        port = broker.port
        broker.kill()
        broker.start()
        assert broker.port == port
        with session(broker) as heard:
            wait_for(lambda: len(heard) >= 302, "what waited, and the retained message to the subscription")
        assert heard[:301] == wanted + [b"configuration"]


def test_begins_with_nothing(tmp_path):
    """Without persistence a broker that was killed has forgotten everything."""
    with Broker(tmp_path) as broker:
        with session(broker):
            pass
        publisher = Publisher(broker)
        publisher.publish(TOPIC, b"configuration", retain=True)
        publisher.flush()
        publisher.close()
        broker.kill()
        broker.start()
        publisher = Publisher(broker)
        with session(broker) as heard:
            publisher.publish(TOPIC, b"live")
            wait_for(lambda: heard, "the live message")
        publisher.close()
        assert heard == [b"live"]
    assert not (tmp_path / "mosquitto.db").exists()


@pytest.mark.torture
def test_queue_of_an_absent_subscriber(tmp_path):
    """Its length is the one that the file states, and everything up to it comes."""
    limit = int(dict(settings(SHIPPED.read_text()))["max_queued_messages"])
    with Broker(tmp_path) as broker:  # not persistent: only the limit is looked at
        with session(broker):
            pass
        publisher = Publisher(broker)
        for n in range(limit + 500):
            publisher.publish(TOPIC, b"%06d" % n)
            if n % 5000 == 0:
                publisher.flush()
        publisher.flush()
        publisher.close()
        with session(broker) as heard:
            wait_for(lambda: len(heard) >= limit, "all that waited")
        assert heard == [b"%06d" % n for n in range(limit)]
