"""The meter replays the recording; tshark reads what reaches the broker, in every FORMAT."""

import json

import pytest

from gridmote.signals.recording import convert
from host_tests.mqtt_rig import subscriber, wait_for
from settings.schema import FORMATS


@pytest.mark.parametrize("fmt", FORMATS)
def test_tshark_has_no_complaint(mpy, mosquitto, shared, check_frames, tmp_path, fmt):
    convert(shared / "data/comtrade/generator-50hz.cfg", tmp_path / "generator.gmr")
    config = {
        "id": "replay",
        "topic": {"area": "test", "location_type": "secondary-station", "location_id": "1"},
        "broker": {"host": mosquitto.host, "port": mosquitto.port},
        "measurement": {"idcode": 77, "format": fmt},
        "source": {"kind": "replay", "file": str(tmp_path / "generator.gmr")},
    }
    path = tmp_path / "node.json"
    path.write_text(json.dumps(config))
    with subscriber(mosquitto, "test/+/+/PMU/replay") as heard:
        done = mpy("-m", "firmware.main", path, 3)
        assert done.returncode == 0, done.stdout + done.stderr
        made = int(done.stdout.split("stopped: ")[1].split()[0])
        wait_for(lambda: len(heard.messages) == made + 1, f"{made} frames and their configuration")
        frames = [payload for _, payload, _ in heard.messages]
    verdicts = check_frames(frames)
    assert len(verdicts) == made + 1 > 50
    assert [v for v in verdicts if not v["ok"]] == []
    assert [v["type"] for v in verdicts] == ["cfg2"] + ["data"] * made
    volts = [b["phasors"][3]["mag"] for v in verdicts[1:] for b in v["tshark"]["blocks"]]
    assert all(3300 < u < 5400 for u in volts), (min(volts), max(volts))  # the generator's two levels
    frequencies = [b["freq_hz"] for v in verdicts[1:] for b in v["tshark"]["blocks"]]
    assert 49.9 < sorted(frequencies)[made // 2] < 50.05
