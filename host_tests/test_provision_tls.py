"""Mutual TLS for real: the folder that provision makes is let in by its certificate alone, others are not."""

import subprocess
import time

import pytest

from gridmote.processes import gridmote
from host_tests.mqtt_rig import NodeProcess
from host_tests.provision_rig import Workplace
from host_tests.test_mqtt_tls import Authority as BrokerAuthority

OPENSSL = {
    "own": ["-config", "/dev/null", "-addext", "basicConstraints=critical,CA:FALSE"],
    "plain": ["-config", "/dev/null", "-addext", "subjectAltName=DNS:localhost"],
}


@pytest.fixture
def work(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture
def broker_ca(tmp_path):
    return BrokerAuthority(tmp_path, "broker")


def provisioned(work, broker, broker_ca, name, *args):
    work.run(name, "--config", "meter.json", "--id", name, "--ca", broker_ca.pem, "--set", "status_s=1",
             "--broker", f"localhost:{broker.port}", *args)


def strict(mosquitto_factory, broker_ca, fleet_ca):
    """A broker that knows its clients by certificates of the fleet's CA."""
    own = [line for line in broker_ca.issue("localhost") if not line.startswith("cafile")]
    return mosquitto_factory(listener_lines=[
        *own, f"cafile {fleet_ca}", "require_certificate true", "use_identity_as_username true"])


def node(work, name, word_size, until, seconds=25):
    """Runs it until the line `until` comes in the broker's log, or for `seconds`; what it printed."""
    process = subprocess.Popen(gridmote("node", name, "--word-size", word_size), cwd=work.folder, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None and not until():
        time.sleep(0.1)
    process.terminate()
    return process.communicate(timeout=20)[0]


@pytest.mark.parametrize("word_size", [32, 64])
def test_mutual_tls(work, mosquitto_factory, broker_ca, word_size):
    work.run("x1", "--config", "meter.json", "--id", "x1", "--ca", broker_ca.pem)  # makes the fleet's CA
    work.run("x2", "--config", "meter.json", "--id", "x2", "--ca", broker_ca.pem, "--authority", "other-keys")
    broker = strict(mosquitto_factory, broker_ca, work.folder / "fleet-keys/ca.pem")
    provisioned(work, broker, broker_ca, "m1")
    provisioned(work, broker, broker_ca, "stranger", "--authority", "other-keys")
    provisioned(work, broker, broker_ca, "nobody", "--no-certificate")

    said = node(work, "m1", word_size, lambda: "here/station/1156/PMU/m1" in broker.log.read_text())
    log = broker.log.read_text()
    assert "as m1 (" in log and "u'm1'" in log and "Received PUBLISH from m1" in log, said + log
    for name, why in (("stranger", "certificate verify failed"), ("nobody", "did not return a certificate")):
        before = len(broker.log.read_text())
        said = node(work, name, word_size, lambda at=before: "OpenSSL Error" in broker.log.read_text()[at:])
        log = broker.log.read_text()[before:]
        assert f"as {name} (" not in log and f"from {name} " not in log, log
        assert why in log, log
        assert "0 acknowledged" in said or " not acknowledged" in said, said
        work.check(said)


@pytest.mark.parametrize("kind, taken", [("own", True), ("plain", True), ("leaf", False)])
def test_the_ca_that_is_taken_is_one_that_micropython_takes(work, mpy, mosquitto_factory, broker_ca, kind, taken):
    """What nodes trust: a broker's own certificate if it signed that itself, with basicConstraints or without;
    not one that a CA issued."""
    if kind == "leaf":
        lines = broker_ca.issue("localhost")
        path = work.folder / "localhost.crt"
    else:
        path, key = work.folder / "own.crt", work.folder / "own.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=localhost", "-keyout", key, "-out", path, "-days", "9", *OPENSSL[kind]],
                       check=True, capture_output=True, cwd=work.folder)
        lines = [f"cafile {path}", f"certfile {path}", f"keyfile {key}"]
    told = work.run("m1", "--config", "meter.json", "--ca", path, status=0 if taken else 1)
    assert taken or "not the certificate of a CA" in told.stderr
    broker = mosquitto_factory(listener_lines=lines)
    with NodeProcess(mpy, host="localhost", port=broker.port, ca=str(path), records=2, limit_s=1) as node_process:
        assert node_process.report()["connections"] == int(taken)
