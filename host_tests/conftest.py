"""Fixtures that drive the real programs: both MicroPython word sizes, mosquitto, and tshark as decoder."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import settings

import host_tests.property  # noqa: F401  registers the profile
from host_tests.pdc_rig import Adapter, Publisher

settings.load_profile("gridmote")

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".deps/bin"
NODE_PATH = (".frozen", "lib", ".", ".deps/umqtt", "host_tests/mpy")  # relative to ROOT, where the programs run


class Port:
    """MicroPython's unix port in one word size."""

    def __init__(self, name):
        self.name = name  # "micropython" or "micropython32"
        self.march = {"micropython": "x64", "micropython32": "x86"}[
            name
        ]  # what its .mpy files are compiled for

    def command(self, *args, heapsize=None):
        """argv; `heapsize` as -X takes it: bytes, or "96k"."""
        return [str(BIN / self.name), *(["-X", f"heapsize={heapsize}"] if heapsize else []), *map(str, args)]

    def environment(self, path=NODE_PATH):
        """The environment with `path` as the places to import from."""
        return {**os.environ, "MICROPYPATH": ":".join(map(str, path))}

    def __call__(self, *args, heapsize=None, path=NODE_PATH, cwd=ROOT, timeout_s=60, stdin=""):
        """Run `args` (script and arguments, or "-c" and code) in cwd; CompletedProcess with text. A module of "-m"
        is looked for in cwd first, then in `path`."""
        return subprocess.run(
            self.command(*args, heapsize=heapsize),
            env=self.environment(path),
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )


class Broker:
    """A mosquitto on a loopback port of its own; its log is kept in `log`."""

    host = "127.0.0.1"

    def __init__(self, folder, lines=(), listener_lines=(), port=None):
        self.port = port or free_port()
        self.log = folder / f"mosquitto-{self.port}.log"
        self._config = folder / f"mosquitto-{self.port}.conf"
        config = [
            "allow_anonymous true",
            "persistence false",
            "set_tcp_nodelay true",
            "max_queued_messages 0",
            "log_type all",
            *lines,
            f"listener {self.port} {self.host}",
            *listener_lines,
        ]
        if os.geteuid() == 0:
            config.insert(0, "user root")  # else it turns into nobody, who cannot read what the test made
        for line in lines:
            key = line.split()[0]
            config = [kept for kept in config if kept in lines or not kept.startswith(f"{key} ")]
        self._config.write_text("".join(f"{line}\n" for line in config))
        self._process = None
        self.start()

    def start(self):
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [str(BIN / "mosquitto"), "-c", str(self._config)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + 15
        while self._process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
                return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"mosquitto does not start: {self.log.read_text()[-2000:]}")

    def stop(self):
        """End it at once, as a power cut would; start() begins anew on the same port."""
        self._process.kill()
        self._process.wait(10)


def free_port():
    """A TCP port that is free on the loopback now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(params=["micropython", "micropython32"])
def mpy(request):
    """The test runs once on each word size: `mpy("script.py", "arg", heapsize="96k")`."""
    return Port(request.param)


@pytest.fixture
def mosquitto_factory(tmp_path):
    """`mosquitto_factory(lines=[...], listener_lines=[...])` -> Broker; ended with the test."""
    started = []

    def start(**options):
        started.append(Broker(tmp_path, **options))
        return started[-1]

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def mosquitto(mosquitto_factory):
    """A plain broker without passwords: `.host`, `.port`, `.stop()`, `.start()`, `.log`."""
    return mosquitto_factory()


@pytest.fixture
def publisher(mosquitto):
    with contextlib.closing(Publisher(mosquitto)) as made:
        yield made


@pytest.fixture
def run_adapter(mosquitto):
    """`run_adapter(*options)` -> Adapter at `mosquitto` or `broker=`; ended with the test."""
    made = []

    def start(*options, broker=mosquitto, **keywords):
        made.append(Adapter(broker, *options, **keywords))
        return made[-1]

    yield start
    for adapter in made:
        if adapter.process.poll() is None:
            adapter.kill()


@pytest.fixture(scope="session")
def shared():
    """The folder of real recordings and the frame checker, beside the clone or where GRIDMOTE_SHARED says."""
    folder = Path(os.environ.get("GRIDMOTE_SHARED") or ROOT.parent / "shared")
    if not (folder / "tools/check_frames.py").is_file():
        pytest.skip(f"no shared data: {folder} is absent (set GRIDMOTE_SHARED)")
    return folder.resolve()


@pytest.fixture(scope="session")
def check_frames(shared):
    """`check_frames(frames, *options)`: tshark's verdict on each (bytes or "tag: hex"), a list of objects."""

    def check(frames, *options):
        text = "".join(
            f"{frame.hex() if isinstance(frame, (bytes, bytearray)) else frame}\n" for frame in frames
        )
        done = subprocess.run(
            [
                sys.executable,
                str(shared / "tools/check_frames.py"),
                "-",
                "--tshark",
                str(BIN / "tshark"),
                *options,
            ],
            input=text,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return check
