"""`gridmote doctor` against the real mosquitto: shipped settings are good, each bad one is found and no other."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from gridmote.broker.login import Login
from gridmote.broker.mosquitto import SHIPPED, Broker, configuration
from gridmote.cli import app
from gridmote.commands import doctor as tool
from gridmote.doctor import crash as doctor_crash
from gridmote.doctor.findings import BAD, GOOD, NOTE, UNKNOWN, Finding, judge
from gridmote.processes import gridmote
from host_tests.fake_broker import FakeBroker
from host_tests.mqtt_rig import wait_for
from settings.schema import SCHEMA

ALL_GOOD = {"protocol", "keep-alive", "QoS", "rights", "retained", "message size", "persistent session",
            "session expiry", "messages in flight", "queue", "delay", "$SYS"}
CANNOT_BE_SEEN = {"a crash of the broker": UNKNOWN}


@pytest.fixture
def shipped(mosquitto_factory, tmp_path):
    """`shipped(changes, *more lines)` -> a broker with the shipped settings, but nothing saved unless asked for."""

    def start(changes, *more):
        listener = ("listener", "user")
        changes = {"persistence": "false", "persistence_location": f"{tmp_path}/"} | changes
        lines = [line for line in configuration(changes).splitlines()
                 if line and line[0] != "#" and line.split()[0] not in listener]
        # max_qos belongs to a listener, which the fixture writes last
        return mosquitto_factory(lines=[line for line in lines + list(more) if not line.startswith("max_qos")],
                                 listener_lines=[line for line in more if line.startswith("max_qos")])
    return start


def examine(broker, place=None):
    """{subject: finding} and the facts."""
    facts = tool.examine(Login(f"{broker.host}:{broker.port}"), place, lambda text: None)
    return {finding.subject: finding for finding in judge(facts)}, facts


def not_good(findings):
    return {subject: finding.verdict for subject, finding in findings.items() if finding.verdict != GOOD}


def test_the_shipped_settings_are_good(shipped):
    findings, facts = examine(shipped({}))
    assert not_good(findings) == CANNOT_BE_SEEN
    assert set(findings) == ALL_GOOD | set(CANNOT_BE_SEEN)
    assert facts["queued"] == 4000
    assert "up for 0 seconds" not in findings["$SYS"].found
    told = findings["a crash of the broker"]  # what it calls for is what is shipped
    shipped_lines = set(SHIPPED.read_text().splitlines())
    assert shipped_lines >= set(told.mosquitto.split(";")[0].split(", ")) and "two seconds" in told.cost


BAD_SETTINGS = [
    pytest.param({"max_queued_messages": 1000}, (), {"queue": BAD}, marks=pytest.mark.torture),
    pytest.param({"max_queued_messages": 3500}, (), {"queue": NOTE}, marks=pytest.mark.torture),
    pytest.param({"max_queued_bytes": 52 * 1000}, (), {"queue": BAD}, marks=pytest.mark.torture),
    pytest.param({"retain_available": "false"}, (), {"retained": BAD, "$SYS": UNKNOWN}, marks=pytest.mark.torture),
    ({"max_packet_size": 1000}, (), {"message size": BAD}),
    pytest.param({"max_packet_size": 9000}, (), {"message size": NOTE}, marks=pytest.mark.torture),
    pytest.param({}, ("message_size_limit 1000",), {"message size": BAD}, marks=pytest.mark.torture),
    pytest.param({}, ("max_keepalive 5",), {"keep-alive": BAD}, marks=pytest.mark.torture),
    pytest.param({}, ("max_keepalive 3600",), {"keep-alive": NOTE}, marks=pytest.mark.torture),
    pytest.param({"set_tcp_nodelay": "false"}, (), {"delay": NOTE}, marks=pytest.mark.torture),
    pytest.param({"max_inflight_messages": 20}, (), {"messages in flight": NOTE, "receive maximum": NOTE},
                 marks=pytest.mark.torture),
    pytest.param({"sys_interval": 0}, (), {"$SYS": NOTE}, marks=pytest.mark.torture),
    ({}, ("max_qos 0",), {"QoS": BAD, "queue": UNKNOWN}),
    pytest.param({}, ("allow_zero_length_clientid false",), {}, marks=pytest.mark.torture),  # all have an id
]


@pytest.mark.parametrize("changes, more, expected", BAD_SETTINGS, ids=lambda value: str(value)[:40])
def test_each_bad_setting_is_found_and_no_other(shipped, changes, more, expected):
    findings, _ = examine(shipped(changes, *more))
    assert not_good(findings) == expected | CANNOT_BE_SEEN
    for subject in expected:
        finding = findings[subject]
        if finding.verdict in (BAD, NOTE):
            assert finding.cost and finding.mosquitto
    for name in changes:  # the remedy names the setting
        assert any(name.replace("_bytes", "_messages") in findings[subject].mosquitto for subject in expected)


def test_what_an_acl_denies(shipped, tmp_path):
    """Nothing allowed: the rights are bad, and what needs them cannot be told rather than guessed."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite elsewhere/#\ntopic read $SYS/#\n")
    findings, _ = examine(shipped({}, f"acl_file {acl}"))
    assert not_good(findings) == CANNOT_BE_SEEN | {"rights": BAD} | dict.fromkeys(
        ("retained", "message size", "persistent session", "queue", "delay"), UNKNOWN)
    assert "PMU" in findings["rights"].found and "acl_file" in findings["rights"].mosquitto


@pytest.mark.parametrize("rule, words", [
    pytest.param("topic read gridmote-doctor/+/+/METER/+", "METER: Not authorized", marks=pytest.mark.torture),
    pytest.param("topic write gridmote-doctor/+/+/METER/+", "METER: acknowledged, but does not arrive",
                 marks=pytest.mark.torture)])
def test_an_acl_that_denies_one_kind(shipped, tmp_path, rule, words):
    kinds = ("PMU", "PMU-BACKFILL", "PMU-UNTIMED", "EVENT", "STATUS", "CMD", "DOCTOR")
    acl = tmp_path / "acl"
    acl.write_text("".join(f"topic readwrite gridmote-doctor/+/+/{kind}/+\n" for kind in kinds)
                   + f"topic read $SYS/#\n{rule}\n")
    findings, _ = examine(shipped({}, f"acl_file {acl}"))
    assert not_good(findings) == CANNOT_BE_SEEN | {"rights": BAD}
    assert findings["rights"].found == words


@pytest.mark.torture
def test_rights_at_a_place(shipped, tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite area/station/7/#\ntopic read $SYS/#\n")
    findings, _ = examine(shipped({}, f"acl_file {acl}"), place="area/station/7")
    assert not_good(findings) == CANNOT_BE_SEEN


JUDGED = [  # (changes of good facts, what becomes of the findings): what mosquitto cannot be made to do
    ({"v311_refused": "Unsupported protocol version"}, {"protocol": BAD}),
    ({"v5_refused": "Unsupported protocol version", "keepalive_s": None, "maximum_qos": None, "expiry_s": None,
      "receive_maximum": None}, {"protocol": NOTE}),
    ({"keepalive_s": 3600}, {}),
    ({"session_kept": False, "window": None}, {"persistent session": BAD}),
    ({"session_kept": None}, {"persistent session": UNKNOWN}),
    ({"expiry_s": 60}, {"session expiry": BAD}),
    ({"expiry_s": 86400}, {"session expiry": NOTE}),
    ({"queue_sent": 1000, "queued": 1000, "queue_rate": 250.0}, {"queue": UNKNOWN}),
    ({"queue_rate": 40.0, "queue_sent": 360, "queued": 360}, {"queue": NOTE}),
    ({"queued": 0}, {"queue": BAD}),
    ({"pair_gap_s": None}, {"delay": UNKNOWN}),
    ({"pair_gap_s": 0.012}, {"delay": UNKNOWN}),
    ({"retained": "it does not reach a new subscriber"}, {"retained": BAD}),
    ({"system": {"version": "x", "dropped": "17"}}, {"$SYS": NOTE}),
    ({"left_behind": ["session x"]}, {"left behind": NOTE}),
]


@pytest.mark.parametrize("changes, expected", JUDGED)
def test_what_facts_mean(changes, expected):
    facts = {
        "v5_refused": "", "v311_refused": "", "connect_s": 0.001, "keepalive_s": 65535, "maximum_qos": 2,
        "retain_available": True, "packet_size": 0, "receive_maximum": 1000, "expiry_s": 7 * 86400,
        "rights": dict.fromkeys(("PMU", "DOCTOR"), ""), "system": {"version": "x", "dropped": "0"}, "retained": "",
        "size": 65600, "size_trouble": "", "session_kept": True, "window": 150, "pair_gap_s": 0.0001,
        "queued": 4000, "queue_sent": 4000, "queue_rate": 5000.0,
    }
    findings = {finding.subject: finding for finding in judge(facts | changes)}
    assert not_good(findings) == expected | CANNOT_BE_SEEN


@pytest.mark.parametrize("verdicts, words", [
    ((), "0 good, nothing that costs data, 0 to note, 0 cannot be told"),
    ((BAD, GOOD), "1 good, 1 costs data, 0 to note, 0 cannot be told"),
    ((BAD, BAD, NOTE), "0 good, 2 cost data, 1 to note, 0 cannot be told")])
def test_the_sum_in_words(verdicts, words):
    assert tool._summary([Finding("x", verdict, "y") for verdict in verdicts]) == words


def test_nothing_stays_behind(shipped, tmp_path):
    """Neither a session nor a message: mosquitto, asked to save, has nothing of the doctor's to write down."""
    broker = shipped({"persistence": "true", "autosave_interval": 0})
    examine(broker)
    broker._process.send_signal(signal.SIGUSR1)
    saved = tmp_path / "mosquitto.db"
    wait_for(saved.exists, "the save")
    assert b"gridmote-doctor" not in saved.read_bytes()


def test_the_command(shipped):
    broker = shipped({"max_queued_messages": 1000})
    address = f"{broker.host}:{broker.port}"
    done = CliRunner().invoke(app, ["doctor", address, "--json"])
    result = json.loads(done.stdout)
    assert done.exit_code == 1 and result["good"] is False and result["broker"] == f"mqtt://{address}"
    bad = [finding for finding in result["findings"] if finding["verdict"] == BAD]
    assert [finding["subject"] for finding in bad] == ["queue"]
    assert "bridges 20 s at 50/s; a minute away loses 2000 frames" in bad[0]["cost"]


def test_conf_is_the_shipped_file():
    done = CliRunner().invoke(app, ["doctor", "--conf"])
    assert done.exit_code == 0 and done.stdout == SHIPPED.read_text()


def test_no_way_in(mosquitto_factory, tmp_path):
    """Exit status 2 and one line that says what is the matter."""
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    private = mosquitto_factory(lines=["allow_anonymous false", f"password_file {passwords}"])
    with socket.socket() as nobody, FakeBroker(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n", drops=True) as web:
        nobody.bind(("127.0.0.1", 0))  # not listening
        cases = [
            ([f"127.0.0.1:{nobody.getsockname()[1]}"], "cannot be reached"),
            ([f"127.0.0.1:{private.port}"], "refuses nobody (no --user given): Not authorized"),
            ([f"127.0.0.1:{private.port}", "--user", "me"], "refuses user 'me': "),
            ([f"mqtts://127.0.0.1:{private.port}"], "TLS fails"),
            ([f"127.0.0.1:{web.port}"], "not as an MQTT broker"),
            (["http://127.0.0.1"], "the scheme is mqtt or mqtts"),
            ([], "BROKER is missing"),
            ([f"127.0.0.1:{private.port}", "--place", "a/+/c"], "--place: three levels"),
        ]
        for arguments, words in cases:
            done = CliRunner().invoke(app, ["doctor", *arguments])
            assert done.exit_code == 2 and words in done.stderr, (arguments, done.stderr)
            assert "Traceback" not in done.output


CRASHES = [  # (numbers lost of those before `acknowledged`, session present, verdict, words)
    ((), 500, True, GOOD, "0 of 500 acknowledged messages are lost, the session is there"),
    ((499,), 500, True, NOTE, "the loss began 0.0 s before"),
    (range(400, 500), 500, True, NOTE, "the loss began 2.0 s before the last PUBACK"),
    ((250, 400), 500, True, NOTE, "2 of 500 acknowledged messages are lost, the session is there, the loss"),
    (range(249, 500), 500, True, BAD, "251 of 500"),
    ((3,), 500, True, BAD, "1 of 500"),
    (range(100), 100, False, BAD, "100 of 100 acknowledged messages are lost, the session is gone"),
]


@pytest.mark.parametrize("lost, acknowledged, present, verdict, words", CRASHES)
def test_what_a_crash_means(lost, acknowledged, present, verdict, words):
    """What nodes send again costs them nothing; what is older, or has no session to be sent to, is lost."""
    numbers = set(range(acknowledged))
    finding = doctor_crash.judge_crash(numbers, numbers - set(lost), present)
    assert finding.verdict == verdict and words in finding.found
    assert ("autosave_on_changes false" in finding.mosquitto) == (verdict == BAD)
    assert ("autosave_on_changes true" in finding.mosquitto) == (verdict == NOTE)


def test_the_seconds_that_nodes_send_again():
    assert SCHEMA["outbox"][0]["again_s"][1] == doctor_crash._AGAIN_S


def test_crash(tmp_path, monkeypatch):
    """With the shipped settings a crash costs nodes nothing. (Half the time that the command takes.)"""
    monkeypatch.setattr(doctor_crash, "_ENOUGH", 150)
    said = []
    with Broker(tmp_path, persistent=True) as broker:
        def say(text):
            said.append(text)
            if "kill" in text:
                saved = tmp_path / "mosquitto.db"
                wait_for(lambda: b"gridmote-doctor" in saved.read_bytes(), "the session, saved")
                broker.kill()
            else:
                broker.start()
        finding = doctor_crash.survives(Login(f"{broker.host}:{broker.port}"), None, tool.enter, say)
    assert len(said) == 2 and finding.verdict in (GOOD, NOTE), finding


@pytest.mark.torture
@pytest.mark.parametrize("persistent, changes, allowed", [
    (True, {}, (GOOD, NOTE)), (True, {"autosave_on_changes": "true"}, (GOOD, NOTE)), (False, {}, (BAD,))])
def test_crash_by_the_command(tmp_path, persistent, changes, allowed):
    """The broker killed when the doctor asks for it."""
    with Broker(tmp_path, persistent, **changes) as broker:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(gridmote("doctor", f"{broker.host}:{broker.port}", "--crash", "--json"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        try:
            assert "kill the broker" in process.stderr.readline()
            broker.kill()
            assert "gone" in process.stderr.readline()
            broker.start()
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    finding = json.loads(out)["findings"][0]
    print(finding["found"])
    lost, acknowledged = map(int, finding["found"].split(" acknowledged")[0].split(" of "))
    assert acknowledged >= 300 and finding["verdict"] in allowed, err
    assert process.returncode == (finding["verdict"] == BAD)
    if not persistent:
        assert lost == acknowledged
    elif changes:
        assert lost <= 1  # its PUBACK left just before the save
