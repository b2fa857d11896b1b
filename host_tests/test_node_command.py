"""`gridmote node`: what it says about a configuration, and that it runs and ends cleanly."""

import copy
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from c37118.frame import CFG2, DATA, kind_of
from gridmote.demo.flash import frames
from gridmote.frame.raw import identity, whole_frames
from gridmote.processes import gridmote
from host_tests.conftest import ROOT
from host_tests.mqtt_rig import hearing
from host_tests.test_recording import files
from settings.schema import check

WAIT_S = 30  # a bound, never an expectation


def run(*args, timeout_s=WAIT_S, **options):
    return subprocess.run(gridmote(*args), capture_output=True, text=True, timeout=timeout_s, **options)


@pytest.fixture
def config():
    """A good configuration; at its broker nobody listens."""
    return {
        "id": "765",
        "topic": {"area": "here", "location_type": "secondary-station", "location_id": "1156"},
        "broker": {"host": "127.0.0.1", "port": 1},
        "measurement": {"idcode": 765},
        "source": {"kind": "synthetic"},
    }


def written(tmp_path, config):
    path = tmp_path / "node.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return path


def test_help_lists_every_command_without_loading_them():
    code = ("import sys; from gridmote.cli import app\ntry: app(['--help'])\nexcept SystemExit: pass\n"
            "print([m for m in ('numpy', 'paho', 'matplotlib', 'comtrade') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S)
    assert done.stdout.rstrip().endswith("[]"), done.stdout
    for name in ("demo", "node", "pdc", "frames", "estimate"):
        assert f" {name} " in done.stdout
        told = run(name, "--help")
        assert told.returncode == 0 and "--json" in told.stdout


MISTAKES = {
    "topic.area": ("topic", "area", "a b"),
    "broker.port": ("broker", "port", 0),
    "broker.window": ("broker", "window", "32"),
    "broker.hots: unknown": ("broker", "hots", "x"),
    "measurement.rate": ("measurement", "rate", 7),
    "source.kind": ("source", "kind", "cd"),
    "source.grid: fs": ("source", "grid", {"fs": 1600}),
    "broker.ca": ("broker", "ca", "no-such.pem"),
}


@pytest.mark.parametrize("path", MISTAKES)
def test_a_mistake_is_named_with_its_path(tmp_path, config, path):
    group, key, value = MISTAKES[path]
    config[group][key] = value
    done = run("node", written(tmp_path, config))
    assert done.returncode == 1 and done.stdout == ""
    line, = done.stderr.splitlines()
    assert path in line and "node.json" in line


def test_every_mistake_has_its_line_and_a_password_is_not_shown(tmp_path, config):
    config["broker"].update(password=12345, port=70000)
    del config["measurement"]["idcode"]
    done = run("node", written(tmp_path, config))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 3 and "12345" not in done.stderr
    for name in ("broker.password", "broker.port", "measurement.idcode"):
        assert sum(name in line for line in lines) == 1


@pytest.mark.parametrize("text, where", [
    ('{"id": "1",\n "topic": }', ":2:11:"), ("", ":1:1:"), ('{"id": "1", "id": "2"}', "id: given twice"),
    ("[]", "an object is needed"), ("[" * 100_000, "nested"),
])
def test_what_is_no_configuration(tmp_path, text, where):
    done = run("node", written(tmp_path, text))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and where in done.stderr


def test_files_that_are_not_there(tmp_path, config):
    done = run("node", tmp_path / "nothing.json")
    assert done.returncode == 1 and "nothing.json: No such file" in done.stderr
    config["source"] = {"kind": "replay", "file": "nothing.cfg"}
    done = run("node", written(tmp_path, config))
    assert done.returncode == 1 and "source.file: no file nothing.cfg" in done.stderr
    (tmp_path / "nothing.cfg").write_text("not COMTRADE")
    done = run("node", tmp_path / "node.json")
    assert done.returncode == 1 and "nothing.cfg" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["--word-size", "16"], ["--heap", "much"]])
def test_wrong_use(tmp_path, config, options):
    done = run("node", *([written(tmp_path, config)] if options else []), *options)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_the_example_is_a_configuration_and_the_schema_names_all_its_keys():
    example = json.loads(run("node", "--example").stdout)
    check(copy.deepcopy(example))
    table = run("node", "--schema").stdout
    rows = {row["key"]: row for row in json.loads(run("node", "--schema", "--json").stdout)}

    def keys(part, path=""):
        for key, value in part.items():
            yield path + key
            if isinstance(value, dict) and key != "grid":
                yield from keys(value, f"{path}{key}.")

    for key in keys(example):
        assert key in table and rows[key]["meaning"]
    assert rows["broker.port"]["default"] == 1883 and "65535" in rows["broker.port"]["allowed"]


class Listener:
    """What the broker passes on of one node: data frames, CFG-2 frames, the last STATUS."""

    def __init__(self):
        self.frames, self.configs, self.status = [], [], {}

    def take(self, message):
        if "/STATUS/" in message.topic:
            self.status = json.loads(message.payload)
        elif "/PMU" in message.topic:
            for frame in whole_frames(message.payload):
                {DATA: self.frames, CFG2: self.configs}[kind_of(frame)].append(frame)

    def wait(self, condition):
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.fixture
def listener(mosquitto):
    listener = Listener()
    with hearing(mosquitto, listener.take, "#"):
        yield listener


@pytest.mark.parametrize("word_size, number", [(32, signal.SIGINT), (64, signal.SIGTERM)])
def test_a_signal_ends_it_with_every_frame_sent(tmp_path, config, mosquitto, listener, word_size, number):
    config["broker"]["port"] = mosquitto.port
    argv = gridmote("node", written(tmp_path, config), "--word-size", word_size, "--json")
    node = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        listener.wait(lambda: len(listener.frames) >= 20)
    finally:
        node.send_signal(number)
        out, err = node.communicate(timeout=WAIT_S)
    assert node.returncode == 0 and err == "", err
    last = json.loads(out.splitlines()[-1])["text"]
    listener.wait(lambda: listener.status.get("state") == "stopped")
    made = listener.status["frames"]
    assert last == f"stopped: {made} frames made, 0 dropped, 0 not acknowledged"
    assert len({identity(frame) for frame in listener.frames}) == len(listener.frames) == made
    assert len(listener.configs) == 1 and listener.status["waiting"] == 0


@pytest.mark.parametrize("hurry", [False, True])
def test_without_a_broker_all_is_on_flash_at_the_end(tmp_path, config, hurry):
    """Also when a second signal cuts short the seconds in which it tries to send."""
    argv = gridmote("node", written(tmp_path, config), "--json")
    node = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert any("ECONNREFUSED" in line for line in node.stdout)  # now it runs; its frames begin with a second
        time.sleep(2.5)
        os.killpg(node.pid, signal.SIGINT)
        if hurry:
            time.sleep(1)
            os.killpg(node.pid, signal.SIGINT)
    finally:
        out, _ = node.communicate(timeout=WAIT_S)
    last = json.loads(out.splitlines()[-1])["text"]
    made = int(re.match(r"stopped: (\d+) frames made, 0 dropped", last)[1])
    assert last.endswith("on flash, to be sent at the next start")
    assert len(frames(tmp_path / "765.outbox")) == made > 0


def test_a_recording_beside_the_configuration(tmp_path, config, mosquitto, listener):
    """COMTRADE, named relative to the configuration, run from elsewhere, for a given time."""
    n = np.arange(1600)
    files(tmp_path, np.column_stack([np.round(9000 * np.cos(2 * np.pi * 50 * n / 1600))] * 3))
    config["broker"]["port"] = mosquitto.port
    config["source"] = {"kind": "replay", "file": "r.CFG"}
    done = run("node", written(tmp_path, config), "--seconds", "3", "--heap", "256K", cwd=ROOT / "tools")
    assert done.returncode == 0, done.stderr
    assert "connected" in done.stdout and "0 not acknowledged" in done.stdout
    listener.wait(lambda: listener.status.get("state") == "stopped")
    # It begins with a whole second, and in another one the machine may not let it run.
    assert len(listener.frames) == listener.status["frames"] > 20
    assert b"Va" in listener.configs[0] and b"freq" not in listener.configs[0]


def test_what_only_the_node_can_find_is_told_in_a_line(tmp_path, config):
    config["measurement"]["frequency_from"] = 9
    done = run("node", written(tmp_path, config))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"gridmote node: {tmp_path}/node.json: measurement.frequency_from: 9, but the source has channels 0 to 5"]


def test_two_nodes_on_one_folder(tmp_path, config):
    folder = tmp_path / "765.outbox"
    folder.mkdir()
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    done = run("node", written(tmp_path, config))
    os.close(held)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"gridmote node: outbox.folder: {folder} is in use by another node"]


def test_a_heap_that_is_too_small(tmp_path, config):
    done = run("node", written(tmp_path, config), "--heap", "48K")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("the node ran out of memory: its heap is 48K; try --heap 256K")


def test_nothing_stays_behind(tmp_path, config):
    folder = tmp_path / "temporary"
    folder.mkdir()
    done = run("node", written(tmp_path, config), "--seconds", "1", env={**os.environ, "TMPDIR": str(folder)})
    assert done.returncode == 0 and not list(folder.iterdir())
