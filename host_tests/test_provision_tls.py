"""Mutual TLS for real: the folder that provision makes is let in by its certificate alone, others are not."""

import subprocess
import time

import pytest

from gridmote.processes import gridmote
from host_tests.provision_rig import Workplace
from host_tests.test_mqtt_tls import Authority as BrokerAuthority


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
