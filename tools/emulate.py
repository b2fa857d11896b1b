"""make emulate UF2=...: `gridmote flash` and the meter on an emulated Pico W, with a broker beside it.

    emulate.py [--image UF2] [--config meter.json] [--spec FILE.py:NAME] [--once]

The emulator (rp2040py, pinned with hashes) goes to .deps/emulator when it is first used. It runs at a tenth of a
chip's pace or so. Without an image there is nothing to run, which is said and is no error.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gridmote import processes
from gridmote.broker.mosquitto import Broker, free_port
from gridmote.fault import Fault
from gridmote.flash.identity import Identity
from gridmote.node.config import EXAMPLE
from gridmote.provision import layout
from needed import ROOT

EMULATOR = ROOT / ".deps/emulator"
LOCK = ROOT / "tools/emulator/requirements.lock"
SPEC = f"{ROOT / 'tools/emulator/pico_w.py'}:PICO_W"
_START_S = 120
_FIRST_FRAME_S = 900


def fetch():
    """The emulator into .deps/emulator, unless it is there as LOCK names it. Fault."""
    stamp = EMULATOR / "requirements.lock"
    if stamp.exists() and stamp.read_text() == LOCK.read_text():
        return
    print("emulate: fetching the emulator ...", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check", "--upgrade",
         "--require-hashes", "--target", str(EMULATOR), "-r", str(LOCK)], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise Fault(f"the emulator cannot be fetched: {last}")
    stamp.write_text(LOCK.read_text())


def read(path):
    """The configuration in that file, or the example; Fault."""
    if path is None:
        return EXAMPLE
    Identity(path)
    return layout.decode(Path(path).read_bytes(), path)


def configuration(given, port):
    """The configuration for the emulated network: Wi-Fi, broker and time there, without TLS, the rest as given."""
    broker = {key: value for key, value in given.get("broker", {}).items() if key not in layout.KEY_FILES}
    return {**given, "broker": {**broker, "host": "10.0.0.1", "port": port, "fallback": []},
            "wifi": {"ssid": "RP2040PY-GUEST", **given.get("wifi", {})},
            "ntp": {"servers": ["10.0.0.1"], **given.get("ntp", {})}}


def _wait_for(place, process, log):
    """Until the console says that it listens; Fault with its last words."""
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        if "listening" in log.read_text(errors="replace"):
            return
        time.sleep(0.2)
    raise Fault(f"the emulator does not start {place}: {log.read_text(errors='replace').strip()[-500:]}")


def emulate(image, config, spec, once):
    """Until Ctrl-C, or with `once` until the first frame was acknowledged; exit status of flash."""
    given = read(config)
    fetch()
    with tempfile.TemporaryDirectory(prefix="gridmote-") as name, Broker(name) as broker:
        folder = Path(name)
        meter, log, port = folder / "meter.json", folder / "emulator.log", free_port()
        meter.write_text(json.dumps(configuration(given, broker.port)))
        environment = {**os.environ, "PYTHONPATH": str(EMULATOR), "PYTHONUNBUFFERED": "1"}
        argv = [sys.executable, "-m", "rp2040py", "micropython", "--board-spec", spec, "--image", str(image),
                "--tcp-port", str(port)]
        with log.open("w") as out, processes.started(argv, env=environment, stdout=out, stderr=-2) as process:
            _wait_for(f"with {image}", process, log)
            print(f"emulate: RP2040 at socket://127.0.0.1:{port}, broker at 127.0.0.1:{broker.port}", flush=True)
            status = subprocess.run(processes.gridmote(
                "flash", "--board", "rp2", "--port", f"socket://127.0.0.1:{port}", "--config", meter,
                "--patience", _FIRST_FRAME_S)).returncode
            if status == 0 and not once:
                print(f"emulate: gridmote watch 127.0.0.1:{broker.port} shows it; Ctrl-C ends it", flush=True)
                process.wait()
            return status


def main(argv):
    parser = argparse.ArgumentParser(prog="emulate", description=__doc__.partition("\n")[0])
    parser.add_argument("--image", help="MicroPython 1.25 for the Pico W (.uf2)")
    parser.add_argument("--config", help="configuration of the meter; its broker, Wi-Fi and NTP are replaced")
    parser.add_argument("--spec", default=SPEC, help="another BoardSpec of rp2040py, for an image of one's own")
    parser.add_argument("--once", action="store_true", help="end with the first acknowledged frame")
    options = parser.parse_args(argv)
    if not options.image:
        print("emulate: skipped, there is no image: UF2=... names a MicroPython 1.25 for the Pico W "
              "(micropython.org/download/RPI_PICO_W)")
        return 0
    if not Path(options.image).is_file():
        print(f"emulate: {options.image}: no such file", file=sys.stderr)
        return 2
    try:
        return emulate(options.image, options.config, options.spec, options.once)
    except (Fault, OSError, ValueError) as error:
        for line in str(error).splitlines():
            print(f"emulate: {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
