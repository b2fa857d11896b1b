"""The whole meter in the heap of a board: from .mpy files, on the 32-bit port, and only what its role uses.

Free on a Pico W, with nothing frozen into its firmware: 194 KiB beside Wi-Fi, 169 KiB with a TLS session, too.
"""

import json
import subprocess
import time
from pathlib import Path

import pytest

from gridmote.signals.recording import convert
from host_tests.conftest import Port
from host_tests.mqtt_rig import subscriber, wait_for
from size import stage

PATH = (".frozen", "lib", ".")  # the node keeps the path of each module: no longer than on a board
LEAST_AT_A_FRAME = 46 << 10  # bytes free, of 190 KiB; between two looks garbage differs by 3 KiB from run to run
NEVER_STAY = {  # used once, or by other configurations
    "settings.schema",
    "firmware.framing",
    "firmware.keeping",
    "firmware.pen",
    "firmware.spent",
    "firmware.wiring",
    "outbox.salvage",
    "waveform.grid",
    "waveform.plan",
    "c37118.config",
    "c37118.crc",
    "c37118.frame",
    "c37118.data",
    "c37118.decode",
    "c37118.splitter",
    "c37118.command",
    "tls",
}


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """Folder of the firmware compiled for the 32-bit port."""
    folder = tmp_path_factory.mktemp("mpy")
    stage(folder, "x86")
    return folder


def configuration(tmp_path, broker_port, source):
    path = tmp_path / "node.json"
    path.write_text(
        json.dumps(
            {
                "id": "heap",
                "topic": {"area": "test", "location_type": "secondary-station", "location_id": "1"},
                "broker": {"host": "127.0.0.1", "port": broker_port},
                "measurement": {"idcode": 1},
                "source": source,
                "outbox": {"folder": str(tmp_path / "flash")},
                "status_s": 1,
            }
        )
    )
    return path


def run(staged, *args, heapsize, timeout_s=60):
    return Port("micropython32")(*args, heapsize=heapsize, path=PATH, cwd=staged, timeout_s=timeout_s)


def lives_in(heapsize, seconds, staged, mosquitto, tmp_path, source):
    done = run(
        staged,
        "-m",
        "firmware.main",
        configuration(tmp_path, mosquitto.port, source),
        str(seconds),
        heapsize=heapsize,
        timeout_s=seconds + 40,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]  # "stopped: N frames made, N dropped, N not acknowledged"
    made, dropped, waiting = [int(word) for word in last.replace(",", "").split() if word.isdigit()]
    assert (dropped, waiting) == (0, 0), last
    with subscriber(mosquitto, "test/+/+/STATUS/+") as heard:
        wait_for(lambda: heard.messages, "the retained STATUS")
    status = json.loads(heard.messages[0][1])
    assert (status["state"], status["lost_blocks"], status["gaps"]) == ("stopped", 0, 0), status
    # It keeps up, so it made all frames but for those of the first second, which may be a part of one, and of a
    # second in which the machine did not let it run.
    assert made == status["frames"] >= 50 * (seconds - 3), last


def recording(shared, tmp_path):
    """5,760 samples a second: the largest buffers."""
    path = tmp_path / "generator.gmr"
    convert(shared / "data/comtrade/generator-50hz.cfg", path)
    return {"kind": "replay", "file": str(path)}


def test_the_meter_lives_in_156_kib(staged, mosquitto, tmp_path):
    lives_in("156k", 5, staged, mosquitto, tmp_path, {"kind": "synthetic"})


def test_the_meter_replaying_a_recording_lives_in_160_kib(shared, staged, mosquitto, tmp_path):
    lives_in("160k", 5, staged, mosquitto, tmp_path, recording(shared, tmp_path))


@pytest.mark.torture
def test_a_minute_in_160_kib(shared, staged, mosquitto, tmp_path):
    lives_in("160k", 60, staged, mosquitto, tmp_path, recording(shared, tmp_path))


def through_an_outage(program, staged, mosquitto, tmp_path):
    """The meter in 190 KiB, its broker away for 8 s and back -> (STATUS objects, lines); a backlog was on flash."""
    path = configuration(tmp_path, mosquitto.port, {"kind": "synthetic"})
    port = Port("micropython32")
    environment = port.environment(PATH)
    with subscriber(mosquitto, "test/+/+/STATUS/+") as heard:

        def statuses(**fields):
            found = [json.loads(payload) for _, payload, _ in list(heard.messages)]
            return [s for s in found if "heap" in s and all(s[name] == value for name, value in fields.items())]

        argv = port.command(*program, path, heapsize="190k")
        with subprocess.Popen(argv, env=environment, cwd=staged, stdout=subprocess.PIPE, text=True) as node:
            try:
                wait_for(lambda: len(statuses(connections=1)) > 2, "STATUS")
                mosquitto.stop()
                time.sleep(8)
                mosquitto.start()
                wait_for(lambda: len(statuses(connections=2, flash_waiting=0)) > 2, "the end of the backlog", 30)
                assert node.poll() is None
            finally:
                node.kill()
                lines = node.communicate(timeout=20)[0].splitlines()
        assert max(s["flash_waiting"] for s in statuses(connections=2)) > 100
        return statuses(), lines


def test_60_of_190_kib_stay_free_with_a_backlog(staged, mosquitto, tmp_path):
    statuses, _ = through_an_outage(("-m", "firmware.main"), staged, mosquitto, tmp_path)
    assert min(s["heap_free"] for s in statuses) >= 60 << 10


def test_what_is_not_yet_collected_is_little(staged, mosquitto, tmp_path):
    """At any frame, what has become garbage since the last collection counted as used."""
    program = (Path(__file__).parent / "mpy/meter_least.py",)
    _, lines = through_an_outage(program, staged, mosquitto, tmp_path)
    least = [int(line.split()[1]) for line in lines if line.startswith("least ")]
    assert least[-1] >= LEAST_AT_A_FRAME, least


@pytest.mark.parametrize("kind", ["synthetic", "replay"])
def test_a_role_keeps_only_what_it_uses(shared, staged, tmp_path, kind):
    source = {"kind": "synthetic"} if kind == "synthetic" else recording(shared, tmp_path)
    script = Path(__file__).parent / "mpy/node_modules.py"
    done = run(staged, script, configuration(tmp_path, 1, source), heapsize="300k")
    assert done.returncode == 0, done.stderr
    modules = set(json.loads(done.stdout.splitlines()[-1])["modules"])
    source = {"synthetic": "boards.synthetic", "replay": "boards.unix.replay"}
    other = source.pop("replay" if kind == "synthetic" else "synthetic")
    assert not modules & (NEVER_STAY | {other}), modules & NEVER_STAY
    assert {"phasor.kernel", "c37118.writer", "firmware.session", source[kind]} <= modules
