"""TLS with a CA through MicroPython's tls: what is accepted, and what is refused with a word."""

import datetime
import json
import tempfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from host_tests.mqtt_rig import NodeProcess
from host_tests.relay import Relay

NOW = datetime.datetime.now(datetime.UTC)


class Authority:
    """An EC P-256 CA in `folder`: `pem` and `der` are its certificate's paths."""

    def __init__(self, folder, name):
        self.folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = named(name)
        self._cert = certificate(subject, subject, self._key.public_key(), self._key, authority=True)
        self.pem, self.der = folder / f"{name}.pem", folder / f"{name}.der"
        self.pem.write_bytes(self._cert.public_bytes(serialization.Encoding.PEM))
        self.der.write_bytes(self._cert.public_bytes(serialization.Encoding.DER))

    def issue(self, host, days=30):
        """mosquitto's listener lines with a certificate for `host` that ends in `days`."""
        key, cert = self._sign(host, host, days)
        cert_path, key_path = self.folder / f"{host}.crt", self.folder / f"{host}.key"
        cert_path.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        return [f"cafile {self.pem}", f"certfile {cert_path}", f"keyfile {key_path}"]

    def _sign(self, name, host=None, days=30):
        key = ec.generate_private_key(ec.SECP256R1())
        return key, certificate(named(name), self._cert.subject, key.public_key(), self._key, host=host, days=days)

    def client(self, name, form=serialization.PrivateFormat.PKCS8):
        """A node's broker.certificate and broker.key, as DER."""
        key, cert = self._sign(name)
        paths = {"certificate": self.folder / f"{name}.cert.der", "key": self.folder / f"{name}.key.der"}
        paths["certificate"].write_bytes(cert.public_bytes(serialization.Encoding.DER))
        plain = serialization.NoEncryption()
        paths["key"].write_bytes(key.private_bytes(serialization.Encoding.DER, form, plain))
        return {which: str(path) for which, path in paths.items()}


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, issuer, public_key, key, authority=False, host=None, days=30):
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=90))
        .not_valid_after(NOW + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(key, hashes.SHA256())


@pytest.fixture
def authority():
    """In a folder with a short name: MicroPython's unix port takes no argument beyond 255 bytes."""
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        yield Authority(Path(folder), "authority")


@pytest.mark.parametrize("form", ["pem", "der"])
def test_accepted(mpy, mosquitto_factory, authority, form):
    broker = mosquitto_factory(listener_lines=authority.issue("localhost"))
    ca = str(getattr(authority, form))
    with NodeProcess(mpy, host="localhost", port=broker.port, ca=ca, records=500) as node:
        report = node.report()
    print(mpy.name, form, "longest step", report["longest_step_us"], "us")
    assert report["acknowledged"] == 502 and report["connections"] == 1 and not report["last_error"]


@pytest.mark.parametrize(
    "what, words",
    [
        ("wrong host name", "does not match with the expected CN"),
        ("unknown CA", "not correctly signed by the trusted CA"),
        ("expired", "validity has expired"),
        ("no TLS", ""),
    ],
)
def test_refused(mpy, mosquitto_factory, authority, tmp_path, what, words):
    """Not connected, said why, tried again, and still alive at the end."""
    ca = authority.pem
    lines = authority.issue(
        "elsewhere" if what == "wrong host name" else "localhost", -1 if what == "expired" else 30
    )
    if what == "unknown CA":
        ca = Authority(tmp_path, "stranger").pem
    elif what == "no TLS":
        lines = []
    broker = mosquitto_factory(listener_lines=lines)
    with NodeProcess(mpy, host="localhost", port=broker.port, ca=str(ca), records=10, limit_s=1) as node:
        report = node.report()
    print(mpy.name, what, "->", report["last_error"])
    assert report["connections"] == 0 and report["waiting"] == 10 and report["dropped"] == 0
    assert report["last_error"] and words in report["last_error"], report["last_error"]
    assert node.said("next try in")


def test_a_ca_that_is_none_is_said_at_the_start(mpy, tmp_path):
    (tmp_path / "broken.pem").write_text("this is no certificate")
    for name, words in (("absent.pem", "cannot be read"), ("broken.pem", "holds no certificate")):
        broker = {"ca": str(tmp_path / name), "certificate": "", "key": ""}
        done = mpy("-c", f"from boards.unix.network import Network; Network({broker})")
        assert f"ValueError: broker.ca: {tmp_path / name} {words}" in done.stderr


MUTUAL = ["require_certificate true", "use_identity_as_username true"]


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_a_node_shows_its_certificate(mpy, mosquitto_factory, authority, form):
    broker = mosquitto_factory(listener_lines=authority.issue("localhost") + MUTUAL)
    files = authority.client("m765", form)
    with NodeProcess(mpy, host="localhost", port=broker.port, ca=str(authority.der), records=200, **files) as node:
        report = node.report()
    print(mpy.name, "longest step", report["longest_step_us"], "us")
    assert report["acknowledged"] == 202 and report["connections"] == 1 and not report["last_error"]
    assert "u'm765'" in broker.log.read_text(), "known by its certificate"


@pytest.mark.parametrize("what", ["none", "a stranger's", "another's key"])
def test_a_wrong_certificate_is_refused(mpy, mosquitto_factory, authority, what):
    """Not connected, said why, tried again, and still alive at the end."""
    broker = mosquitto_factory(listener_lines=authority.issue("localhost") + MUTUAL)
    files = {}
    if what == "a stranger's":
        files = Authority(authority.folder, "stranger").client("m765")
    elif what == "another's key":
        files = authority.client("m765")
        files["key"] = authority.client("m766")["key"]
    options = {"host": "localhost", "port": broker.port, "ca": str(authority.der), "records": 10, "limit_s": 1}
    with NodeProcess(mpy, **options, **files) as node:
        report = node.report()
    print(mpy.name, what, "->", report["last_error"])
    assert report["connections"] == 0 and report["waiting"] == 10 and report["dropped"] == 0
    assert "is our certificate missing, or not trusted?" in report["last_error"] and node.said("next try in")


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"key": "broken"}, "broker.key: the file holds none"),
        ({"certificate": "broken"}, "broker.certificate: {broken} holds none"),
        ({"key": "absent"}, "broker.key: the file cannot be read"),
        ({"certificate": "absent"}, "broker.certificate: {absent} cannot be read"),
        ({"key": ""}, "broker.key: (none is given) cannot be read"),
        ({"certificate": ""}, "broker.certificate: (none is given) cannot be read"),
    ],
)
def test_what_is_no_key_is_said_at_the_start(mpy, authority, tmp_path, changed, words):
    paths = {"broken": tmp_path / "broken.der", "absent": tmp_path / "absent.der"}
    paths["broken"].write_bytes(b"0\x82\x01\x00 this is none")
    broker = {"ca": str(authority.der), **authority.client("m765")}
    broker.update({which: str(paths.get(value, value)) for which, value in changed.items()})
    done = mpy("-c", f"from boards.unix.network import Network; Network({broker})")
    assert "ValueError: " + words.format(**paths) in done.stderr, done.stderr


@pytest.mark.parametrize("name, connections", [("localhost", 30), ("elsewhere", 0)])
def test_attempts_leave_nothing_behind(mpy, mosquitto_factory, authority, name, connections):
    """Neither a file nor a byte, accepted or refused: a node does this for years."""
    broker = mosquitto_factory(listener_lines=authority.issue(name))
    options = {"host": "localhost", "port": broker.port, "ca": str(authority.der)}
    done = mpy("host_tests/mpy/node_attempts.py", json.dumps(options), 30)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    print(mpy.name, report)
    assert report["connections"] == connections and report["files"] == 0 and report["bytes"] <= 512


def test_commands_and_cuts_over_tls(mpy, mosquitto_factory, authority):
    """Byte by byte towards the node, cut in the middle, and again."""
    broker = mosquitto_factory(listener_lines=authority.issue("localhost"))
    assert broker
    with Relay(broker.port) as relay:
        relay.bytewise = True
        options = {"host": "localhost", "port": relay.port, "ca": str(authority.pem)}
        with NodeProcess(mpy, records=300, rate=100, mark=20, linger_s=0, **options) as node:
            node.wait_said("acknowledged 40")
            relay.cut()
            node.wait_said("connected", 2)
            relay.bytewise = False
            report = node.report()
    assert report["connections"] == 2 and report["waiting"] == report["dropped"] == report["faults"] == 0
