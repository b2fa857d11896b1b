"""What a board cannot do without blocking costs no frame and moves no stamp (the board's longest_block_ms)."""

import json

import pytest

from c37118.config import Config
from c37118.data import Data
from c37118.frame import DATA, kind_of
from gridmote.frame.raw import whole_frames
from host_tests.meter_rig import RATE, Meter, all_heard, configuration, listening
from host_tests.mqtt_rig import subscriber, wait_for
from host_tests.relay import Relay


@pytest.mark.parametrize("block_ms", [400, 1500])
def test_no_frame_missing_and_no_stamp_moved(mpy, mosquitto, tmp_path, block_ms):
    config = {
        "id": "held",
        "topic": {"area": "test", "location_type": "secondary-station", "location_id": "1"},
        "broker": {"host": mosquitto.host, "port": mosquitto.port},
        "measurement": {"idcode": 9},
        "source": {"kind": "synthetic", "grid": {"frequency_offset_hz": 0.25}},
    }
    path = tmp_path / "node.json"
    path.write_text(json.dumps(config))
    with subscriber(mosquitto, "test/#") as heard:
        done = mpy("host_tests/mpy/node_blocked.py", path, 2, block_ms, timeout_s=60)
        found = {kind: [] for kind in ("PMU", "PMU-BACKFILL")}
        for topic, payload, _ in heard.messages:
            if topic.split("/")[3] in found:
                found[topic.split("/")[3]] += whole_frames(payload)
    assert done.returncode == 0, done.stderr
    counters = json.loads(done.stdout.splitlines()[-1])
    assert counters["attempts"] >= 3
    assert (counters["dropped"], counters["waiting"], counters["lost_blocks"]) == (0, 0, 0), counters
    cfg = next(Config.decode(p) for p in found["PMU"] if kind_of(p) != DATA)
    # Each once and by its stamp: what waited for a connection follows what is fresh, and may come twice.
    payloads = {p for p in found["PMU-BACKFILL"] + found["PMU"] if kind_of(p) == DATA}
    frames = sorted((Data.decode(p, cfg) for p in payloads), key=lambda f: (f.soc, f.fracsec))
    assert len(frames) == counters["frames"] > 100
    stamps = [f.soc * 50 + f.fracsec // 20000 for f in frames]
    assert stamps == list(range(stamps[0], stamps[0] + len(stamps)))
    # A stamp that had moved would turn the angle: off nominal it advances by 1.8 degrees a frame, always.
    angles = [f.pmus[0].phasors[0][1] for f in frames]
    turns = {(b - a) % 62832 for a, b in zip(angles, angles[1:], strict=False)}
    assert turns <= set(range(311, 318)), turns


@pytest.mark.parametrize("erase_ms", [80, 400])
def test_an_erase_of_flash_costs_no_frame(mpy, mosquitto, tmp_path, erase_ms):
    """While the broker is away each block of the log holds the program: sample blocks and ring bridge it."""
    with Relay(mosquitto.port) as relay, listening(mosquitto) as ear:
        relay.refuse()
        outbox = {"folder": str(tmp_path / "flash"), "erase_ms": erase_ms}
        with Meter(mpy, configuration(tmp_path, "127.0.0.1", relay.port, outbox=outbox)) as node:
            wait_for(lambda: len(node.made()) > 4 * RATE, "four seconds of frames")
            relay.accept()
            all_heard(node, ear)
        status = ear.wait_status(state="stopped")
        assert status["flash_writes"] >= 2
        assert (status["lost_blocks"], status["dropped"], status["gaps"]) == (0, 0, 0)
        numbers = sorted(set(ear.numbers()))
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
