"""The shipped mosquitto.conf in the real mosquitto, and the demonstration's broker, which is made of it."""

import contextlib
import os
import re
import socket
import subprocess

import pytest

from gridmote.broker.mosquitto import SHIPPED, Broker, configuration, free_port
from host_tests.conftest import BIN
from host_tests.mqtt_rig import hearing, wait_for
from host_tests.pdc_rig import Publisher
from settings.schema import SCHEMA

FRAME = bytes(52)
TOPIC = "south-italy-113/secondary-station/1156/PMU/765"


def settings(text):
    """[(name, value)] of the lines that mosquitto reads."""
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line and line[0] != "#"]


@contextlib.contextmanager
def session(broker):
    """The payloads that come to a subscriber with a persistent session, which stays when the block ends."""
    heard = []
    with hearing(broker, lambda message: heard.append(message.payload), "#", session="pdc"):
        yield heard


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


def test_nodes_send_again_what_it_has_not_saved():
    """By time mosquitto saves when more than autosave_interval whole seconds have passed, and a power cut may take
    the name of the last save with it: what a node sends again has to reach further back. Half an hour waits."""
    shipped = dict(settings(SHIPPED.read_text()))
    assert shipped["autosave_on_changes"] == "false"
    assert 2 * (int(shipped["autosave_interval"]) + 1) < SCHEMA["outbox"][0]["again_s"][1]
    assert int(shipped["max_queued_messages"]) >= 30 * 60 * 50
    assert int(shipped["max_queued_bytes"]) >= int(shipped["max_queued_messages"]) * len(FRAME)


def test_every_setting_is_explained():
    """Each has a comment of its own above it, or belongs to the block of the one above."""
    blocks = re.split(r"\n\s*\n", SHIPPED.read_text())
    for block in blocks:
        lines = block.splitlines()
        if any(line[0] != "#" for line in lines):
            assert lines[0][0] == "#", block


def test_killed_and_started_again(tmp_path):
    """What the broker had saved for an absent subscriber is there after SIGKILL, in order. What it acknowledged
    later is missing from some point on, nothing in between, and the session is present: nobody is told."""
    with Broker(tmp_path, persistent=True) as broker:
        with session(broker):
            pass
        publisher = Publisher(broker)
        wanted = [b"%06d" % n + FRAME for n in range(300)]
        for payload in wanted:
            publisher.publish(TOPIC, payload)
        publisher.publish(TOPIC, b"configuration", retain=True)
        publisher.flush()
        saved = tmp_path / "mosquitto.db"  # nobody announces a save
        wait_for(lambda: saved.exists() and b"configuration" in saved.read_bytes(), "the save")
        later = [b"later %06d" % n for n in range(20)]
        for payload in later:
            publisher.publish(TOPIC, payload)
        publisher.flush()
        publisher.close()
        port = broker.port
        broker.kill()
        broker.start()
        assert broker.port == port
        with session(broker) as heard:
            publisher = Publisher(broker)
            publisher.publish(TOPIC, b"end")
            wait_for(lambda: b"end" in heard and heard.count(b"configuration") == 2, "all")
            publisher.close()
    retained = len(heard) - 1 - heard[::-1].index(b"configuration")  # the second: sent at the subscription
    del heard[retained]
    kept = len(heard) - 302
    print(f"{20 - kept} of 20 acknowledged since the save are forgotten")
    assert heard == wanted + [b"configuration"] + later[:kept] + [b"end"]


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
            wait_for(lambda: len(heard) >= limit, "all that waited", 90)
        assert heard == [b"%06d" % n for n in range(limit)]
