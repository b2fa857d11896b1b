"""The node's session against a real mosquitto: ids, restarts, will, retained configuration, passwords, commands."""

import base64
import hashlib
import os
import random
import time

import pytest

from host_tests.fake_broker import FakeBroker
from host_tests.mqtt_rig import CMD, PMU, STATUS, NodeProcess, subscriber, wait_for
from host_tests.relay import Relay

ONLINE = b'{"state": "online", "last_error": ""}'


def test_1_a_run_past_65536_messages_at_full_speed_loses_none(mpy, mosquitto):
    with subscriber(mosquitto, PMU) as heard:
        with NodeProcess(mpy, port=mosquitto.port, records=66_500, window=100, slots=1024) as node:
            report = node.report()
        assert report["acknowledged"] == 66_502 and report["connections"] == 1 and report["dropped"] == 0
        wait_for(lambda: len(heard.numbers()) >= 66_500, "all of them at the subscriber", 30)
        assert heard.numbers() == list(range(66_500)), "each once, in order"


def test_2_broker_restarts(mpy, mosquitto):
    """Killed and started again while records flow: they go on, and what is unacknowledged is sent again."""
    with NodeProcess(mpy, port=mosquitto.port, records=1200, rate=200, mark=100, slots=2048) as node:
        for restart in range(3):
            node.wait_said("acknowledged", 1 + 2 * restart)
            mosquitto.stop()
            mosquitto.start()
            node.wait_said("connected", 2 + restart)
        report = node.report()
    assert report["connections"] == 4 and report["waiting"] == report["dropped"] == 0


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_2_broker_restarts_many_times(mpy, mosquitto):
    """Each connection lives long enough to be trusted; the fake network has the short ones."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print("seed", seed)
    rng = random.Random(seed)
    trials = 8
    with NodeProcess(mpy, port=mosquitto.port, records=18_000, rate=150, slots=4096, limit_s=200) as node:
        for trial in range(trials):
            node.wait_said("connected", 1 + trial)
            time.sleep(rng.uniform(10.1, 13))
            mosquitto.stop()
            time.sleep(rng.uniform(0, 2))
            mosquitto.start()
        report = node.report(250)
    assert report["connections"] == 1 + trials and report["waiting"] == report["dropped"] == 0


def test_3_a_session_that_is_present_is_used(mpy, mosquitto):
    for present in (False, True):
        with NodeProcess(mpy, port=mosquitto.port, records=20) as node:
            report = node.report()
        assert report["present"] is present and report["connections"] == 1 and report["faults"] == 0


def test_3_commands_wait_at_the_broker_while_the_node_is_away(mpy, mosquitto):
    with NodeProcess(mpy, port=mosquitto.port, records=5) as node:
        node.report()
    with subscriber(mosquitto) as heard:
        heard.client.publish(CMD, b"status", qos=1).wait_for_publish(10)
        with NodeProcess(mpy, port=mosquitto.port, records=5, linger_s=5) as node:
            wait_for(lambda: heard.on(STATUS).count(ONLINE) >= 3, "STATUS at greeting and for the command")


@pytest.mark.torture
def test_5_a_puback_that_takes_twelve_seconds(mpy):
    with FakeBroker() as broker, Relay(broker.port) as relay:
        with NodeProcess(mpy, port=relay.port, records=60, rate=20, limit_s=40, linger_s=14) as node:
            wait_for(lambda: len(broker.heard) > 10, "records")
            relay.hold = True
            time.sleep(12)
            relay.hold = False
            report = node.report()
    assert report["connections"] == 1 and report["again"] == 0 and report["waiting"] == 0


def test_last_will_says_offline_and_a_new_connection_says_online(mpy, mosquitto):
    with subscriber(mosquitto) as heard:
        with NodeProcess(mpy, port=mosquitto.port, records=10, linger_s=30) as node:
            wait_for(lambda: len(heard.numbers()) == 10, "records")
            node.kill()
        wait_for(lambda: heard.on(STATUS)[-1:] == [b'{"state": "offline"}'], "the will")
    with subscriber(mosquitto) as late:
        wait_for(lambda: late.messages, "what is retained")
        wait_for(lambda: len(late.messages) >= 2, "both retained")
        assert sorted(late.messages) == [
            (PMU, b"configuration", True),
            (STATUS, b'{"state": "offline"}', True),
        ]


def test_the_configuration_comes_first_and_is_retained_at_every_connection(mpy, mosquitto):
    with subscriber(mosquitto, PMU) as heard:
        with NodeProcess(mpy, port=mosquitto.port, records=300, rate=100, mark=50) as node:
            node.wait_said("acknowledged 50")
            mosquitto.stop()
            mosquitto.start()
            node.wait_said("connected", 2)
            with subscriber(mosquitto, PMU) as late:
                wait_for(lambda: late.messages, "the retained configuration")
                wait_for(lambda: len(late.numbers()) > 10, "data after it")
                node.report()
        configurations = [k for k, (_, payload, _) in enumerate(late.messages) if payload == b"configuration"]
        assert configurations and configurations[0] == 0
    assert heard.messages[0][1] == b"configuration"


@pytest.fixture
def guarded(mosquitto_factory, tmp_path):
    """A broker that knows one user, "meter" with the password "s3cret/word"."""
    passwords = tmp_path / "passwords"
    passwords.write_text(password_line("meter", "s3cret/word"))
    passwords.chmod(0o600)
    return mosquitto_factory(lines=["allow_anonymous false", f"password_file {passwords}"])


def password_line(user, password):
    """As mosquitto_passwd writes it: PBKDF2 with SHA-512."""
    salt = b"twelve bytes"
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return f"{user}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"


def test_user_and_password(mpy, guarded):
    login = {"user": "meter", "password": "s3cret/word"}
    with NodeProcess(mpy, port=guarded.port, records=20, **login) as node:
        assert node.report()["acknowledged"] == 22


@pytest.mark.parametrize("login", [{}, {"user": "meter", "password": "wr0ng/word"}])
def test_a_wrong_password_is_refused_and_said_without_it(mpy, guarded, login):
    with NodeProcess(mpy, port=guarded.port, records=20, limit_s=3, **login) as node:
        report = node.report()
    text = "\n".join(node.lines)
    assert report["connections"] == report["acknowledged"] == 0 and report["waiting"] == 20
    assert "refused the connection: return code 5" in report["last_error"]
    assert "wr0ng" not in text and "wr0ng" not in guarded.log.read_text()
    attempts = guarded.log.read_text().count("CONNACK")
    # 0.7 s and 1.4 s apart, or a quarter less, by the node's own clock: what holds it up makes them fewer.
    assert 2 <= attempts <= 3


def test_keep_alive_keeps_an_idle_connection(mpy, mosquitto):
    with NodeProcess(mpy, port=mosquitto.port, records=1, linger_s=4, keepalive_s=2) as node:
        assert node.report()["connections"] == 1
    log = mosquitto.log.read_text()
    assert log.count("PINGREQ") >= 2 and log.count("PINGRESP") >= 2


@pytest.mark.parametrize("rate", [0, 50])
def test_a_half_open_connection_is_noticed_and_replaced(mpy, mosquitto, rate):
    """Through a relay that swallows everything: idle, and with records on their way."""
    records = 250 if rate else 1
    with Relay(mosquitto.port) as relay:
        options = {"keepalive_s": 2, "slots": 2048, "linger_s": 15}
        with NodeProcess(mpy, port=relay.port, records=records, rate=rate, mark=1, **options) as node:
            node.wait_said("acknowledged")
            relay.blackhole = True
            node.wait_said("the broker was silent")
            relay.blackhole = False
            node.wait_said("connected", 2)
            if rate:
                node.wait_said("acknowledged 250")


def test_a_status_command_is_answered_and_acknowledged(mpy, mosquitto):
    with subscriber(mosquitto) as heard:
        with NodeProcess(mpy, port=mosquitto.port, records=1, linger_s=20):
            wait_for(lambda: heard.on(STATUS), "STATUS at the greeting")
            heard.client.publish(CMD, b"status", qos=1).wait_for_publish(10)
            wait_for(lambda: len(heard.on(STATUS)) == 2, "the answer")
            log = mosquitto.log.read_text
            wait_for(lambda: "Received PUBACK from node" in log(), "its PUBACK")
    assert "Received SUBSCRIBE from node" in log() and "test/node/CMD (QoS 1)" in log()


def test_no_broker_at_the_start(mpy, mosquitto):
    mosquitto.stop()
    with NodeProcess(mpy, port=mosquitto.port, records=50, rate=50) as node:
        node.wait_said("ECONNREFUSED")
        mosquitto.start()
        report = node.report()
    assert report["acknowledged"] == 52 and report["connections"] == 1
