"""What the tests of `gridmote provision` share: a base configuration, and runs of the command."""

import json
import os
import subprocess

from gridmote.processes import gridmote

WIFI, MQTT = "wi-fi-word-4711", "mqtt-word-0815"  # what must be in no output
BASE = {
    "id": "m1",
    "topic": {"area": "here", "location_type": "station", "location_id": "1156"},
    "broker": {"host": "localhost", "port": 8883},
    "measurement": {"idcode": 765},
    "source": {"kind": "synthetic"},
}


class Workplace:
    """A folder with meter.json; `run(...)` is gridmote provision in it, whose output never holds a secret."""

    def __init__(self, folder):
        self.folder = folder
        self.secrets = {WIFI, MQTT}
        (folder / "meter.json").write_text(json.dumps(BASE))

    def run(self, *args, wifi=WIFI, mqtt=MQTT, stdin=subprocess.DEVNULL, status=0, **environment):
        words = {"GRIDMOTE_WIFI_PASSWORD": wifi, "GRIDMOTE_PASSWORD": mqtt, **environment}
        done = subprocess.run(
            gridmote("provision", *args), cwd=self.folder, stdin=stdin, capture_output=True, text=True, timeout=60,
            env={**os.environ, **{name: word for name, word in words.items() if word is not None}})
        self.check(done.stdout + done.stderr)
        assert done.returncode == status and "Traceback" not in done.stderr, done.stdout + done.stderr
        return done

    def check(self, output):
        """No secret of any file is in it, however it is written."""
        for path in self.folder.rglob("*"):
            if path.suffix == ".key" and path.parent.name in ("nodes", "segments"):
                self.secrets.update(path.read_text().split())
            elif path.name.startswith("key-"):
                self.secrets.add(path.read_bytes().hex())
        for secret in self.secrets:
            assert secret not in output and secret.lower() not in output.lower(), output

    def node(self, name="m1"):
        """(config.json, secrets.json) of a node's folder."""
        top = self.folder / name
        return tuple(json.loads((top / part).read_text()) for part in ("config.json", "secrets.json"))

    def files(self, name="m1"):
        """{name: bytes} of a node's folder."""
        top = self.folder / name
        return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
