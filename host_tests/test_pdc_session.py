"""The adapter's MQTT session: versions, passwords, TLS, no broker, connecting anew; ports that are taken."""

import asyncio
import base64
import datetime
import hashlib
import ipaddress
import os
import re
import socket
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gridmote.archive.store import Archive
from gridmote.broker.address import BrokerAddress, topic_filter
from gridmote.broker.login import Login
from gridmote.commands.pdc import split_ports
from gridmote.pdc.subscriber import Subscriber
from host_tests.pdc_rig import WAIT_S, Pmu, Publisher, wait_until

TOPIC = "area/secondary-station/1/PMU/7"


def test_mqtt_3(mosquitto, run_adapter, tmp_path):
    pmu, path = Pmu(), tmp_path / "archive.sqlite"
    adapter = run_adapter("--topic", TOPIC, "--mqtt", "3", "--archive", path)
    adapter.wait_for("broker_found")
    publisher = Publisher(mosquitto)
    publisher.publish(TOPIC, pmu.cfg2, retain=True)
    for i in range(200):
        publisher.publish(TOPIC, pmu.frame(i))
    publisher.flush()
    adapter.wait_for("pmu")
    adapter.kill()
    for i in range(200, 400):
        publisher.publish(TOPIC, pmu.frame(i))
    publisher.flush()
    publisher.close()
    adapter = run_adapter("--topic", TOPIC, "--mqtt", "3", "--archive", path)
    assert adapter.wait_for("broker_found")["session_present"]
    archive = Archive(path, readonly=True)
    wait_until(lambda: archive.counts(TOPIC)["frames"] == 400, "400 frames")
    archive.close()
    adapter.stop()


def password_line(user, password):
    """A line of mosquitto's password file: PBKDF2 with SHA-512."""
    salt, rounds = os.urandom(12), 101
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    return "%s:$7$%d$%s$%s\n" % (
        user, rounds, base64.b64encode(salt).decode(), base64.b64encode(digest).decode())


def test_passwords_are_used_and_never_told(mosquitto_factory, run_adapter, tmp_path):
    users = tmp_path / "users"
    users.write_text(password_line("utility", "s3cret"))
    users.chmod(0o600)
    broker = mosquitto_factory(lines=["allow_anonymous false", "password_file %s" % users])
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("s3cret\n")
    wrong.write_text("gue55\n")
    enter = partial(run_adapter, "--topic", TOPIC, "--user", "utility", broker=broker)
    by_file = enter("--password-file", right, "--client-id", "one")
    by_environment = enter("--client-id", "two", environment={"GRIDMOTE_PASSWORD": "s3cret"})
    refused = enter("--password-file", wrong, "--client-id", "three")
    by_file.wait_for("broker_found")
    by_environment.wait_for("broker_found")
    assert "authori" in refused.wait_for("broker_refuses")["reason"].lower()
    for adapter in (by_file, by_environment, refused):
        adapter.stop()
        assert "s3cret" not in str(adapter.events) and "gue55" not in str(adapter.events)


def certificates(folder, name):
    """A CA and a server certificate of it for 127.0.0.1 -> (CA file, certificate file, key file)."""
    now = datetime.datetime.now(datetime.UTC)

    def make(subject, issuer, key, issuer_key, extensions):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(
            key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(
            now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA " + name)])
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    parts = {
        "ca": make(ca_name, ca_name, ca_key, ca_key, [(x509.BasicConstraints(True, None), True)]),
        "crt": make(server, ca_name, key, ca_key, [(local, False)]),
        "key": key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                 serialization.NoEncryption()),
    }
    files = [folder / ("%s.%s" % (name, part)) for part in parts]
    for file, content in zip(files, parts.values(), strict=True):
        file.write_bytes(content)
    return files


def test_tls_with_its_ca_and_no_other(mosquitto_factory, run_adapter, tmp_path):
    ca, certificate, key = certificates(tmp_path, "ours")
    other = certificates(tmp_path, "other")[0]
    broker = mosquitto_factory(
        lines=["allow_anonymous true"], listener_lines=["certfile %s" % certificate, "keyfile %s" % key])
    address = "mqtts://127.0.0.1:%d" % broker.port
    trusting = run_adapter("--topic", TOPIC, "--broker", address, "--ca", ca, "--client-id", "one")
    doubting = run_adapter("--topic", TOPIC, "--broker", address, "--ca", other, "--client-id", "two")
    trusting.wait_for("broker_found", broker=address)
    assert "CERTIFICATE_VERIFY_FAILED" in doubting.wait_for("broker_unreachable")["reason"]
    assert not doubting.find("broker_found")


def test_no_broker_is_told_once_and_waited_for(mosquitto, run_adapter):
    mosquitto.stop()
    adapter = run_adapter("--topic", TOPIC)
    assert "refused" in adapter.wait_for("broker_unreachable")["reason"]
    mosquitto.start()
    adapter.wait_for("broker_found")
    assert len(adapter.find("broker_unreachable")) == 1


def test_what_was_not_acknowledged_comes_again_and_old_receipts_count_for_nothing(mosquitto):
    messages, events = [], []

    async def run():
        subscriber = Subscriber(
            Login("127.0.0.1:%d" % mosquitto.port), [TOPIC], "the-one", asyncio.get_running_loop(),
            messages.extend, lambda event, **_: events.append(event))

        async def until(condition):
            async with asyncio.timeout(WAIT_S):
                while not condition():
                    await asyncio.sleep(0.01)

        async def ack(some):
            subscriber.ack([message.receipt for message in some])
            await asyncio.sleep(0.3)  # a connection that ends at once may take its last PUBACKs with it

        subscriber.start()
        await until(lambda: events == ["broker_found"])
        for i in range(100):
            publisher.publish(TOPIC, b"%d" % i)
        await until(lambda: len(messages) == 100)
        await ack(messages[:60])
        old = [message.receipt for message in messages[60:]]
        messages.clear()
        await asyncio.to_thread(subscriber.restart)
        await until(lambda: len(messages) == 40)
        assert [message.payload for message in messages] == [b"%d" % i for i in range(60, 100)]
        subscriber.ack(old)
        messages.clear()
        await asyncio.to_thread(subscriber.restart)
        await until(lambda: len(messages) == 40)
        await ack(messages)
        messages.clear()
        await asyncio.to_thread(subscriber.restart)
        await until(lambda: len(events) == 4)  # what comes before that may come again
        publisher.publish(TOPIC, b"end")
        await until(lambda: messages)
        assert [message.payload for message in messages] == [b"end"]
        await asyncio.to_thread(subscriber.stop)
        assert events == ["broker_found"] * 4

    publisher = Publisher(mosquitto)
    asyncio.run(run())
    publisher.close()


def test_the_next_port_when_one_is_taken(mosquitto, run_adapter):
    pmu = Pmu()
    publisher = Publisher(mosquitto)
    publisher.publish(TOPIC, pmu.cfg2, retain=True)
    publisher.flush()
    publisher.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        adapter = run_adapter("--topic", TOPIC, "--port", port)
        assert adapter.wait_for("pmu")["port"] > port
        assert adapter.find("port_taken", port=port)
        adapter.stop()


def test_a_topic_without_a_port_is_archived_all_the_same(mosquitto, run_adapter, tmp_path):
    pmu, path = Pmu(), tmp_path / "archive.sqlite"
    publisher = Publisher(mosquitto)
    publisher.publish(TOPIC, pmu.cfg2, retain=True)
    publisher.flush()
    adapter = run_adapter("--topic", TOPIC, "--archive", path, "--host", "192.0.2.1")  # nobody's address
    assert adapter.wait_for("not_served", topic=TOPIC)["reason"]
    publisher.publish(TOPIC, pmu.frame(0))
    publisher.flush()
    publisher.close()
    archive = Archive(path, readonly=True)
    wait_until(lambda: archive.counts(TOPIC)["frames"] == 1, "frame")
    archive.close()
    assert adapter.stop()["archived"] == 1


def test_broker_addresses():
    for text, shown, user in (
            ("broker", "mqtt://broker:1883", None), ("10.0.0.1:99", "mqtt://10.0.0.1:99", None),
            ("mqtts://u%40x@broker", "mqtts://broker:8883", "u@x")):
        address = BrokerAddress(text)
        assert (str(address), address.user) == (shown, user)
    for text in ("http://broker", "mqtt://u:p@broker", "mqtt://broker/x", "", "broker:99999", "127.0.0.1:0",
                 "broker:x", "[::1"):
        with pytest.raises(ValueError, match="broker"):
            BrokerAddress(text)
    for text in ("broker:x", "[::1"):
        with pytest.raises(ValueError, match=re.escape(repr(text))):
            BrokerAddress(text)


def test_topic_filters():
    for text in ("a", "/", "+/+/+/PMU/+", "#", "a/#", "+", "/+/#", "$share/group/a/+"):
        assert topic_filter(text) == text
    for text in ("", "a/#/b", "a#", "#/a", "a/b+", "+a/b", "##", "a\0", "a" * 65536):
        with pytest.raises(ValueError, match="topic"):
            topic_filter(text)


def test_ports():
    assert split_ports([]) == (4712, {})
    assert split_ports(["5000", "a/b=c=1"]) == (5000, {"a/b=c": 1})
    for option in ("x", "a=b", "a/#=4712", "a/#/b=1", "-1", "65536"):
        with pytest.raises(ValueError):
            split_ports([option])
