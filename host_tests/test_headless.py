"""A board that is left alone: whatever goes wrong in it, it comes back by itself and says what it was."""

import json
import signal

import pytest

from host_tests.device_rig import Device
from host_tests.meter_rig import NODE_ID, PLACE, listening
from host_tests.mqtt_rig import wait_for
from size import stage

SECRET = "correct horse battery"


def config(broker, folder, **sections):
    return {
        "id": NODE_ID,
        "topic": PLACE,
        "broker": {"host": broker.host, "port": broker.port},
        "measurement": {"idcode": 765, "rate": 50},
        "source": {"kind": "synthetic"},
        "outbox": {"folder": str(folder / "outbox")},
        "status_s": 1,
        **sections,
    }


def events(heard, name):
    """Each once: the broker has each at least once."""
    found = {(event["boot"], event["seq"]): event for event in list(heard.events)}
    return [event for event in found.values() if event["event"] == name]


@pytest.mark.parametrize("part", ["meter", "link", "report", "watch", "lamp", "pump"])
def test_an_exception_in_any_task_is_recorded_told_once_and_restarts(mpy, mosquitto, tmp_path, part):
    given = config(mosquitto, tmp_path)
    with listening(mosquitto) as heard, Device(mpy, tmp_path, given, **{"raise": part}) as device:
        device.wait_lives(1)
        device.fault()
        wait_for(lambda: events(heard, "crash"), "EVENT crash", 30)
        device.wait_said("first frame acknowledged", 1)
        number = len(events(heard, "crash"))
        assert "injected into " + part in events(heard, "crash")[-1]["text"]
        status = heard.wait_status(crashes=number, state="online")
        assert status["reset"] == "restart" and "injected into " + part in status["last_crash"]
        assert status["stage"] == "normal" and status["config"] == "given"
        device.power_cut()
        device.power_on()
        wait_for(lambda: events(heard, "start")[-1]["reset"] == "power", "the next start", 30)
        heard.wait_status(crashes=0, reset="power")
        assert [event["number"] for event in events(heard, "crash")] == list(range(1, number + 1)), "told once"
        assert device.lives == ["restart"] * number + ["cut"]


@pytest.fixture
def staged(mpy, tmp_path):
    """The path to import from: everything compiled, as on a board."""
    folder = tmp_path / "mpy"
    stage(folder, mpy.march)
    return (".frozen", f"{folder}/lib", str(folder), "host_tests/mpy")


@pytest.mark.parametrize(("fault", "reason"), [
    ({"still": "measuring"}, "measuring stood still"), ({"still": "link"}, "link stood still"),
    ({"still": "memory"}, "memory stood still"), ({"leak": 1}, "memory: "),
])
def test_what_stands_still_or_leaks_is_restarted_with_its_reason(mpy, mosquitto, tmp_path, fault, reason, staged):
    if "leak" in fault and mpy.name == "micropython":
        pytest.skip("the floor of 8 KiB is one for 32 bits")
    given, times = config(mosquitto, tmp_path), {"looks": 6}
    with listening(mosquitto) as heard, Device(mpy, tmp_path, given, path=staged, times=times, **fault) as device:
        device.wait_lives(1)
        device.fault()
        wait_for(lambda: [e for e in heard.events if e["event"] in ("restart", "crash")], "what it was", 30)
        told = events(heard, "restart") or events(heard, "crash")  # of memory, should it not suffice for an order
        assert reason in told[0]["text"].lower().replace("memoryerror", "memory")
        assert set(device.lives) == {"restart"}
        heard.wait_status(state="online", reset="restart", crashes=len(device.lives))


@pytest.mark.parametrize("part", ["measuring", "link"])
def test_the_watchdog_bites_what_hangs(mpy, mosquitto, tmp_path, part):
    with listening(mosquitto) as heard, Device(mpy, tmp_path, config(mosquitto, tmp_path), hang=part) as device:
        device.wait_lives(1)
        device.fault()
        status = heard.wait_status(state="online", reset="watchdog")
        assert set(device.lives) == {"watchdog"} and status["crashes"] == len(device.lives)
        assert events(heard, "start")[-1]["during"] == "running"


def test_a_crash_whose_end_hangs_is_one(mpy, mosquitto, tmp_path):
    given = config(mosquitto, tmp_path)
    with listening(mosquitto) as heard, Device(mpy, tmp_path, given, end=1, **{"raise": "report"}) as device:
        device.wait_lives(1)
        device.fault()
        status = heard.wait_status(state="online", reset="watchdog")
        assert status["crashes"] == len(device.lives) and set(device.lives) == {"watchdog"}
        assert "injected into report" in status["last_crash"]


def test_from_normal_through_the_last_good_configuration_to_safe_mode_and_back(mpy, mosquitto, tmp_path):
    """What crashes is in the program, so no configuration helps; an hour later it is repaired."""
    given = config(mosquitto, tmp_path)
    with listening(mosquitto) as heard:
        device = Device(mpy, tmp_path, given, times={"hour_s": 6}, **{"raise": "build"})
        device.put("config.good", {**given, "status_s": 2})
        with device:
            wait_for(lambda: [s for s in list(heard.statuses) if s["state"] == "safe"], "safe mode", 60)
            status = [s for s in list(heard.statuses) if s["state"] == "safe"][-1]
            assert status["why"].startswith("8 crashes") or "injected into build" in status["why"], status
            assert status["stage"] == "safe" and device.said("safe mode: ")
            assert len(device.lives) == 8 and set(device.lives) == {"restart"}, device.lives
            device.fault(times={"healthy_s": 2})
            device.wait_said("running: 765", 1)
            heard.wait_status(state="online", stage="normal", crashes=0)
            wait_for(lambda: (device.node / "config.good").read_bytes() == json.dumps(given).encode(), "a good one")
            number = len(events(heard, "crash"))
            assert number == 4, "as many as the ring holds"


def test_a_command_ends_safe_mode(mpy, mosquitto, tmp_path):
    given = config(mosquitto, tmp_path, measurement={"idcode": 0})
    with listening(mosquitto) as heard, Device(mpy, tmp_path, given) as device:
        wait_for(lambda: [s for s in list(heard.statuses) if s["state"] == "safe"], "safe mode", 30)
        assert "measurement.idcode" in heard.statuses[-1]["why"]
        device.put("config.json", config(mosquitto, tmp_path))
        import paho.mqtt.publish as publish

        topic = "/".join([*PLACE.values(), "CMD", NODE_ID])
        publish.single(topic, b"restart", qos=1, hostname=mosquitto.host, port=mosquitto.port)
        heard.wait_status(state="online", config="given")
        assert device.lives == ["restart"]


def test_without_any_configuration_it_waits_and_begins_anew(mpy, tmp_path):
    with Device(mpy, tmp_path, times={"hour_s": 4}) as device:
        device.wait_said("safe mode: config.json: [Errno 2]", 2)
        assert device.lives == ["restart"]


def test_crashes_are_forgotten_when_the_node_was_healthy_and_power_cuts_never_count(mpy, mosquitto, tmp_path):
    given = config(mosquitto, tmp_path)
    with listening(mosquitto) as heard, Device(mpy, tmp_path, given, hang="link") as device:
        device.wait_lives(1)
        device.fault(times={"healthy_s": 3})
        heard.wait_status(state="online", reset="watchdog", crashes=len(device.lives))
        heard.wait_status(state="online", reset="watchdog", crashes=0)
        assert int((device.node / "note").read_text()) & 0xFF == 0
        wait_for((device.node / "config.good").exists, "the last good configuration")
        for _ in range(6):
            device.power_cut()
            device.power_on()
            device.wait_said("running: ", len(device.lives) + 1)
        assert int((device.node / "note").read_text()) & 0xFF == 0


def test_crashes_are_forgotten_without_a_broker_too_but_no_configuration_is_good_then(mpy, mosquitto, tmp_path):
    given = config(mosquitto, tmp_path)
    broker = given["broker"]
    given["broker"] = {**broker, "port": 1}
    with Device(mpy, tmp_path, given, times={"steady_s": 6, "healthy_s": 3}) as device:
        device.wait_said("running: ")
        (device.node / "note").write_text(str(5 << 8 | 4))
        (device.node / "reset").write_text("restart")
        device.restart()
        device.wait_said("running: ", 2)
        assert int((device.node / "note").read_text()) & 0xFF == 4
        wait_for(lambda: int((device.node / "note").read_text() or "4") & 0xFF == 0, "the count forgotten", 30)
        assert not (device.node / "config.good").exists()
        device.put("config.json", {**given, "broker": broker})
        device.restart()
        wait_for((device.node / "config.good").exists, "the last good configuration", 30)


def test_ctrl_c_gives_the_board_back(mpy, mosquitto, tmp_path):
    with Device(mpy, tmp_path, config(mosquitto, tmp_path)) as device:
        device.wait_said("first frame acknowledged")
        device.signal(signal.SIGINT)
        wait_for(lambda: device.lives, "its end", 20)
        assert device.lives == [0] and device.said("watchdog released") and device.said("stopped: ")
        assert int((device.node / "note").read_text()) == 0, "nothing is under way"


def test_no_secret_is_said(mpy, mosquitto_factory, tmp_path):
    """With a broker that refuses the password, in a crash, in safe mode: at the most talkative level."""
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    broker = mosquitto_factory(lines=["allow_anonymous false", f"password_file {passwords}"])
    given = config(broker, tmp_path, log="debug")
    given["broker"]["user"] = "node"
    secrets = {"broker": {"password": SECRET}, "wifi": {"password": SECRET}}
    with Device(mpy, tmp_path, given, secrets, times={"hour_s": 4}, **{"raise": "report"}) as device:
        device.wait_said("refused the connection")
        device.put("config.json", {**given, "status_s": 0})
        device.wait_said("safe mode: ")
        device.wait_said("refused the connection", 2)
        device.put("secrets.json", {"broker": {"password": 7, "user": SECRET}})
        device.wait_lives(len(device.lives) + 1)
        device.wait_said("safe mode: ", 2)
        everything = "\n".join(device.lines).encode() + (device.node / "crashes").read_bytes()
        assert SECRET.encode() not in everything
