"""`gridmote provision`: what a node's folder holds, what stays, what is refused, and that no secret is shown."""

import json
import os
import stat
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from gridmote.node import config as node_config
from gridmote.provision.authority import Authority
from gridmote.provision.folder import FolderPlace
from gridmote.provision.layout import read_set
from gridmote.provision.passwords import Passwords
from gridmote.provision.run import Run, Wishes
from host_tests.property import examples
from host_tests.provision_rig import BASE, MQTT, WIFI, Workplace
from host_tests.test_mqtt_tls import Authority as BrokerAuthority
from settings.schema import SECRETS, check, merge

FIRST = ("m1", "--config", "meter.json", "--wifi", "Lab")


@pytest.fixture
def work(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture
def ca(tmp_path):
    return BrokerAuthority(tmp_path, "broker").pem


def test_a_folder_as_the_device_has_it(work, ca):
    work.run(*FIRST, "--ca", ca, "--user", "meter", "--broker", "b1", "--broker", "b2:99", "--set", "log=debug")
    config, secrets = work.node()
    full = check(merge(config, secrets))
    assert full["broker"]["password"] == MQTT and full["wifi"] == {"ssid": "Lab", "password": WIFI, "country": ""}
    assert full["broker"]["port"] == 8883 and full["broker"]["fallback"] == [{"host": "b2", "port": 99}]
    assert full["log"] == "debug" and len(full["gossip"]["node_key"]) == len(full["gossip"]["segment_key"]) == 64
    text = json.dumps(config)
    assert not any(full[section][key] in text for section, key in (secret.split(".") for secret in SECRETS))
    for name in ("ca", "certificate", "key"):
        assert full["broker"][name].startswith(f"/node/keys/{name}-")
    modes = {name: stat.S_IMODE((work.folder / "m1" / name).stat().st_mode) for name in work.files()}
    assert all(mode == 0o600 for name, mode in modes.items() if name != "config.json"), modes
    assert {stat.S_IMODE(path.stat().st_mode) for path in (work.folder / "fleet-keys").rglob("*")} == {0o600, 0o700}


def test_the_certificate_is_one_of_a_tls_client(work, ca):
    work.run(*FIRST, "--ca", ca)
    node = read_set(FolderPlace(work.folder / "m1"))
    certificate = x509.load_der_x509_certificate(node.key_file("certificate"))
    key = serialization.load_der_private_key(node.key_file("key"), None)
    authority = x509.load_pem_x509_certificate((work.folder / "fleet-keys/ca.pem").read_bytes())
    certificate.verify_directly_issued_by(authority)
    assert certificate.public_key() == key.public_key() and isinstance(key.curve, ec.SECP256R1)
    assert certificate.subject.rfc4514_string() == "CN=m1"
    extension = certificate.extensions.get_extension_for_class
    usage = extension(x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature and not usage.value.key_cert_sign
    assert list(extension(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not extension(x509.BasicConstraints).value.ca
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    told = subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile",
                           work.folder / "fleet-keys/ca.pem", "/dev/stdin"], capture_output=True,
                          input=certificate.public_bytes(serialization.Encoding.PEM))
    assert told.returncode == 0, told.stderr


def test_what_exists_stays(work, ca):
    work.run(*FIRST, "--ca", ca, "--user", "meter")
    before = work.files()
    assert "as it was" in work.run("m1", wifi=None, mqtt=None).stdout and work.files() == before
    work.run(*FIRST, "--ca", ca, "--user", "meter", wifi=None, mqtt=None)
    assert work.files() == before
    work.run("m1", "--set", "measurement.rate=25", wifi=None, mqtt=None)
    after = work.files()
    assert after.pop("config.good") == before["config.json"] and after.pop("secrets.good") == before["secrets.json"]
    assert work.node()[0]["measurement"]["rate"] == 25
    assert {**after, "config.json": 0} == {**before, "config.json": 0}
    work.run("m1", "--new-keys", wifi=None, mqtt=None)
    new = work.node()
    assert new[1]["gossip"]["node_key"] not in before["secrets.json"].decode()
    assert new[1]["gossip"]["segment_key"] in before["secrets.json"].decode()
    assert new[0]["broker"]["key"] not in before["config.json"].decode()


def test_keys_survive_the_loss_of_either_folder(work, ca):
    work.run(*FIRST, "--ca", ca)
    gossip = work.node()[1]["gossip"]
    (work.folder / "m1").rename(work.folder / "away")
    work.run(*FIRST, "--ca", ca)
    assert work.node()[1]["gossip"] == gossip
    (work.folder / "fleet-keys").rename(work.folder / "lost")
    before = work.files()
    work.run("m1")
    assert work.node()[1]["gossip"] == gossip and work.files() == before
    assert (work.folder / "fleet-keys/nodes/m1.key").read_text() == gossip["node_key"] + "\n"


def test_segments_share_a_key_and_nodes_do_not(work):
    keys = {}
    for name, place in (("a", "x/y/1"), ("b", "x/y/1"), ("c", "x/y/2")):
        work.run(name, "--config", "meter.json", "--id", name, "--topic", place)
        keys[name] = work.node(name)[1]["gossip"]
    assert keys["a"]["segment_key"] == keys["b"]["segment_key"] != keys["c"]["segment_key"]
    assert len({one["node_key"] for one in keys.values()}) == 3
    work.run("c", "--topic", "x/y/1")
    assert work.node("c")[1]["gossip"]["segment_key"] == keys["a"]["segment_key"]


def test_names_with_dots_do_not_make_one_segment_of_two(work):
    for name, place in (("a", "x.y/z/1"), ("b", "x/y.z/1"), ("c", "../../..")):
        work.run(name, "--config", "meter.json", "--id", name, "--topic", place)
    assert len({work.node(name)[1]["gossip"]["segment_key"] for name in "abc"}) == 3
    assert len(list((work.folder / "fleet-keys/segments").glob("*.key"))) == 3


def test_a_certificate_near_its_end_is_made_anew_for_the_same_key(work, ca):
    work.run(*FIRST, "--ca", ca, "--days", 20)
    before = read_set(FolderPlace(work.folder / "m1"))
    assert "made, CN m1" in work.run("m1").stdout
    after = read_set(FolderPlace(work.folder / "m1"))
    assert after.key_file("key") == before.key_file("key")
    assert after.key_file("certificate") != before.key_file("certificate")
    assert after.secrets == before.secrets and "kept, CN m1" in work.run("m1").stdout


def test_two_at_once(work):
    with Authority(work.folder / "fleet-keys", None).held():
        assert "in use by another" in work.run(*FIRST, status=1).stderr
    assert not (work.folder / "m1").exists()
    work.run(*FIRST)


def test_tls_at_the_port_of_plain_mqtt_is_remarked(work, ca):
    assert "8883 is usual" in work.run(*FIRST, "--ca", ca, "--broker", "b:1883").stdout
    assert "8883 is usual" not in work.run("m1", "--broker", "b").stdout


def test_an_exception_that_nobody_expected_shows_no_secret(work, ca):
    code = ("import gridmote.provision.run as run\nfrom gridmote.cli import app\n"
            "def broken(place, new, keep_good):\n  raise RuntimeError('unexpected')\n"
            "run.install = broken\napp(prog_name='gridmote')")
    words = {"GRIDMOTE_WIFI_PASSWORD": WIFI, "GRIDMOTE_PASSWORD": MQTT}
    done = subprocess.run([sys.executable, "-c", code, "provision", *FIRST, "--ca", ca, "--user", "u"],
                          cwd=work.folder, env={**os.environ, **words}, capture_output=True, text=True)
    assert "Traceback" in done.stderr and "unexpected" in done.stderr
    work.check(done.stdout + done.stderr)


def test_a_copied_configuration_does_not_copy_an_identity(work, ca):
    work.run(*FIRST, "--ca", ca)
    work.run("m2", "--config", "m1/config.json", "--id", "m2")
    one, two = (read_set(FolderPlace(work.folder / name)) for name in ("m1", "m2"))
    assert one.key_file("ca") == two.key_file("ca")
    assert one.key_file("key") != two.key_file("key")
    assert one.secrets["gossip"]["node_key"] != two.secrets["gossip"]["node_key"]


def test_a_ca_of_ones_own_with_an_encrypted_key(work, ca):
    keys = Authority(work.folder / "fleet-keys", None)
    with keys.held():
        _, key = keys.ca
    word = "ca-word-42"
    work.secrets.add(word)
    (work.folder / "fleet-keys/ca.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(word.encode())))
    assert "GRIDMOTE_CA_PASSWORD" in work.run(*FIRST, "--ca", ca, status=1).stderr
    assert "wrong" in work.run(*FIRST, "--ca", ca, status=1, GRIDMOTE_CA_PASSWORD="ca-word-43").stderr
    work.run(*FIRST, "--ca", ca, GRIDMOTE_CA_PASSWORD=word)
    assert not (work.folder / "m2").exists()


def test_a_certificate_of_another_ca_is_taken_over_and_stays(work, ca):
    work.run(*FIRST, "--ca", ca)
    node = read_set(FolderPlace(work.folder / "m1"))
    for name in ("certificate", "key"):
        (work.folder / f"own-{name}").write_bytes(node.key_file(name))
    own = ["--set", "broker.certificate=own-certificate", "--set", "broker.key=own-key", "--authority", "other"]
    told = work.run("m2", "--config", "meter.json", "--id", "m2", "--ca", ca, *own)
    assert "given, CN m1" in told.stdout and read_set(FolderPlace(work.folder / "m2")).keys == node.keys
    before = work.files("m2")
    work.run("m2", "--authority", "other")
    assert work.files("m2") == before
    assert "one is of no use" in work.run("m2", *own[:2], "--set", "broker.key=", status=1).stderr


@pytest.mark.parametrize("args, words, status", [
    (["m1"], "--config FILE", 1),
    ([], "where to?", 2),
    (["m1", "--port", "x"], "where to?", 2),
    ([*FIRST, "--authority", "m1"], "which no node gets", 2),
    ([*FIRST, "--set", f"wifi.password={WIFI}"], "a secret is not said on the command line", 1),
    ([*FIRST, "--set", f"gossip.node_key={WIFI}"], "a secret is not said on the command line", 1),
    ([*FIRST, "--set", "measurement.rate=7"], "measurement.rate: must be one of", 1),
    ([*FIRST, "--set", "no.such=7"], "no.such: unknown", 1),
    ([*FIRST, "--set", "broker=7"], "a section", 1),
    ([*FIRST, "--topic", "a/b"], "three levels", 1),
    ([*FIRST, "--id", ".."], "must not begin with a dot", 1),
    ([*FIRST, "--id", "a/b"], "id: must be", 1),
    ([*FIRST, "--role", "toaster"], "role: must be one of", 1),
    ([*FIRST, "--broker", "mqtts://b"], "TLS needs --ca", 1),
    ([*FIRST, "--broker", f"mqtt://u:{MQTT}@b"], "no password in the address", 1),
    ([*FIRST, "--ca", "meter.json"], "no certificate", 1),
    ([*FIRST, "--wifi-password-file", "nothing"], "nothing: No such file", 1),
    (["m1", "--config", "nothing.json"], "nothing.json", 2),
])
def test_refused(work, args, words, status):
    if "--config" in args and "nothing.json" in args:
        args, status = ["m1", "--config", str(work.folder)], 2
        words = "is a directory"
    done = work.run(*args, status=status)
    assert words in " ".join(done.stderr.replace("│", " ").split()) and done.stdout == ""
    assert not (work.folder / "m1").exists() and not (work.folder / "fleet-keys").exists()


def test_a_wrong_secret_is_told_and_not_shown(work):
    assert "wifi.password: must be 8 to 63" in work.run(*FIRST, wifi="x4711x", status=1).stderr
    base = {**BASE, "wifi": {"ssid": "Lab", "password": "x4711x"}, "gossip": {"node_key": MQTT}}
    (work.folder / "meter.json").write_text(json.dumps(base))
    done = work.run(*FIRST, status=1)
    assert "x4711x" not in done.stderr
    assert "gossip.node_key: must be" in done.stderr and "wifi.password: must be" in done.stderr
    (work.folder / "meter.json").write_text(f'{{"wifi": {{"password": "{WIFI}" {MQTT}')
    assert "not JSON" in work.run(*FIRST, status=1).stderr
    work.run("--help")


def test_another_node_is_not_overwritten(work):
    work.run(*FIRST)
    before = work.files()
    assert "is node m1, not m2" in work.run("m1", "--id", "m2", status=1).stderr
    assert work.files() == before
    work.run("m1", "--id", "m2", "--new-keys")
    assert work.node()[0]["id"] == "m2" and work.files()["config.good"] == before["config.json"]


def test_passwords_come_from_files_and_a_hidden_prompt(work):
    (work.folder / "word").write_text(WIFI + "\n")
    work.run(*FIRST, "--wifi-password-file", "word", wifi=None)
    assert work.node()[1]["wifi"]["password"] == WIFI
    assert "no terminal" in work.run("m1", "--wifi", "Other", wifi=None, status=1).stderr
    work.run("m1", "--wifi", "Open", wifi="")
    assert "wifi" not in work.node()[1]
    status, seen = work.at_terminal("m1", "--wifi", "Lab", answers=[WIFI, WIFI])
    assert status == 0 and "Once more" in seen and work.node()[1]["wifi"]["password"] == WIFI


def test_what_it_tells_is_not_cut(work, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = "a-node-with-a-name-of-quite-some-length-in-it"
    told = work.run(name, "--config", "meter.json", "--id", name).stdout
    assert f"node         {name}\nin           {name}, written\n" in told


LEVEL = st.text("abcXYZ019-_.", min_size=1, max_size=12)
HOST = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)


@examples(50)
@given(node_id=LEVEL.filter(lambda text: text[0] != "."), levels=st.tuples(LEVEL, LEVEL, LEVEL),
       idcode=st.integers(1, 65534), ssid=st.text(max_size=8).filter(lambda text: "\0" not in text),
       hosts=st.lists(st.tuples(HOST, st.integers(1, 65535)), min_size=1, max_size=5),
       rate=st.sampled_from([1, 10, 25, 50]), password=st.text(min_size=8, max_size=12))
def test_round_trip(tmp_path_factory, node_id, levels, idcode, ssid, hosts, rate, password):
    folder = tmp_path_factory.mktemp("round")
    (folder / "meter.json").write_text(json.dumps(BASE))
    (folder / "word").write_text(password, newline="")
    said = Passwords({"wifi.password": folder / "word"})
    stored = (folder / "word").read_text().rstrip("\r\n")
    if len(stored) < 8:
        return
    place = FolderPlace(folder / "node")
    wishes = Wishes(node_id, None, "/".join(levels), idcode, ssid, tuple(f"{host}:{port}" for host, port in hosts),
                    settings=(f"measurement.rate={rate}",))
    run = Run(Authority(folder / "keys", None), said)
    assert run.one(place, folder / "meter.json", wishes).changed
    _, full = node_config.read(folder / "node")
    assert full["id"] == node_id and tuple(full["topic"].values()) == levels
    assert (full["measurement"]["idcode"], full["measurement"]["rate"]) == (idcode, rate)
    assert [(full["broker"]["host"], full["broker"]["port"])] == hosts[:1]
    assert [(one["host"], one["port"]) for one in full["broker"]["fallback"]] == hosts[1:]
    assert full["wifi"]["ssid"] == ssid and full["wifi"]["password"] == (stored if ssid else "")
    assert not run.one(place, None, Wishes()).changed
