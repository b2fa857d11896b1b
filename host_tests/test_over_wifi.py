"""A node as on a board: Wi-Fi, look-ups by its own resolver, time by NTP, to frames at the broker."""

import time

from host_tests.conftest import free_port
from host_tests.meter_rig import RATE, configuration, listening
from host_tests.mqtt_rig import Process
from host_tests.test_dns import NameServer, a, reply
from host_tests.test_ntp import Server, honest

SECTIONS = {
    "wifi": {"ssid": "ours", "password": "secret word", "country": "DE"},
    "ntp": {"servers": ["time.example"], "every_s": 16},
}


def test_from_wifi_to_frames_at_the_broker(mpy, mosquitto, tmp_path):
    ntp = free_port()
    path = configuration(tmp_path, "broker.example", mosquitto.port, **SECTIONS)
    asked = set()

    def answers(query, n):
        asked.add(query[12:-5])
        return [reply(a(address=(127, 0, 0, 1)), query=query)]

    with listening(mosquitto) as ear, NameServer(answers) as names, Server(honest, ntp):
        argv = mpy.command("host_tests/mpy/node_over_wifi.py", path, names.port, ntp, 14)
        began = time.time()
        with Process(argv, mpy.environment()) as node:
            assert node.wait(60) == 0, node.lines
    print(mpy.name, *node.lines, sep="\n")
    assert asked == {b"\6broker\7example", b"\4time\7example"}
    words = [line.split("Wi-Fi: ")[1] for line in node.lines if "Wi-Fi: " in line]
    assert words == ["joining", "up", "joining", "up"]
    assert "secret" not in "".join(node.lines)

    # what was made before the time was known, moved to where it belongs; then live frames, each in its time
    live = ear.live()
    assert len(live) > 6 * RATE and not ear.conflicts
    # over loopback: a frame is two cycles and a half in the making, and comes at once; after the outage as backlog
    late = [frame.arrived_s - frame.number / RATE for frame in live]
    assert min(late) > -0.01 and sorted(late)[len(late) // 2] < 0.2, (min(late), sorted(late)[len(late) // 2])
    numbers = sorted(ear.numbers())
    assert began < numbers[0] / RATE < began + 3, "from the node's first second on"
    known = numbers.index(min(frame.number for frame in live))
    assert numbers[known - 1] - numbers[0] == known - 1 > RATE, "made before, without a gap"
    assert numbers[-1] - numbers[known] == len(numbers) - known - 1 and not ear.untimed
    status = ear.statuses[-1]
    assert status["state"] == "stopped" and status["time_known"] and status["time_quality"] <= 9, status
    assert status["wifi"] == "up" and status["rssi"] == -61 and not status["time_error"]
    (step,) = [event for event in ear.events if event["event"] == "clock"]
    assert abs(step["step_s"] - (time.time() - 1609459200)) < 60
