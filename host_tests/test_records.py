"""The durable records of a node: energy registers and events, measured and counted through power cuts."""

import math

from c37118.config import Config
from c37118.data import Data
from host_tests.meter_rig import RATE, Meter, configuration, listening
from host_tests.mqtt_rig import wait_for

TRIGGERED = 1 << 11  # STAT: PMU trigger detected
FREQUENCY, ROCOF = 4, 5  # STAT bits 3-0: frequency high or low, df/dt high


def test_energy_goes_on_after_a_power_cut(mpy, mosquitto, tmp_path):
    """Each phase: 230 V, 500 A, cos phi 0.8 in, from the closed form of the synthetic grid."""
    grid = {"voltage_v": 230.0, "current_a": 500.0, "current_angle_deg": -math.degrees(math.acos(0.8))}
    source = {"kind": "synthetic", "grid": grid}
    outbox = {"folder": str(tmp_path / "flash")}
    path = configuration(tmp_path, mosquitto.host, mosquitto.port, source=source, outbox=outbox, energy_s=1)
    with listening(mosquitto) as ear:
        with Meter(mpy, path) as node:
            wait_for(lambda: len(ear.meters) >= 3, "METER records")
            node.kill()
        before = ear.meters[-1]
        with Meter(mpy, path) as node:
            wait_for(lambda: len(ear.meters) >= 6, "METER records of the second boot")
            node.stop()
            made = len(node.made())
        wait_for(lambda: ear.meters[-1]["reason"] == "shutdown", "the record at the end")
    first, last = next(m for m in ear.meters if m["boot"] == 2), ear.meters[-1]
    assert before["boot"] == 1 and last["boot"] == 2 and last["phases"] == "ABC"
    assert all(b >= a for a, b in zip(before["wh_in"], first["wh_in"], strict=True)), "registers never go back"
    watts = 230 * 500 * 0.8
    for got in last["wh_in"]:
        assert abs(got - before["wh_in"][0] - watts * made / RATE / 3600) <= 0.002 * got + watts / 3600 + 2
    assert last["wh_out"] == [0, 0, 0]


def test_a_trigger_is_in_stat_and_told(mpy, mosquitto, tmp_path):
    """The frequency falls by 1 Hz/s for a second: above 0.6 Hz/s the ROCOF, beyond 0.5 Hz the frequency."""
    measurement = {"trigger": {"frequency_mhz": 500, "rocof_mhz_s": 600}}
    source = {"kind": "synthetic", "grid": {"ramps": [[1.0, 2.0, -1.0]]}}
    path = configuration(tmp_path, mosquitto.host, mosquitto.port, measurement=measurement, source=source)
    with listening(mosquitto) as ear:
        with Meter(mpy, path) as node:
            wait_for(lambda: len(node.made()) > 3 * RATE, "frames beyond the ramp")
            node.stop()
        wait_for(lambda: [e for e in ear.events if e["event"] == "trigger"], "the event")
    event = [e for e in ear.events if e["event"] == "trigger"][-1]
    config = Config.decode(next(frame for kind, frame in ear.configurations if kind == "PMU"))
    frames = [Data.decode(frame, config) for frame in ear.payloads()]
    stats = {frame.pmus[0].stat for frame in frames}
    reasons = {stat & 15 for stat in stats if stat & TRIGGERED}
    assert reasons == {FREQUENCY, ROCOF} and not [stat for stat in stats if stat & 15 and not stat & TRIGGERED]
    begun = min(frame.soc for frame in frames if frame.pmus[0].stat & TRIGGERED)
    assert event["reason"] in reasons and begun <= event["at"] <= begun + 2 and event["count"] >= 1
