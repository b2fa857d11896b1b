"""What the tests of `gridmote provision` share: a base configuration, and runs of the command."""

import contextlib
import fcntl
import json
import os
import pty
import select
import subprocess
import termios
import tty

from typer.testing import CliRunner

from gridmote.cli import app
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

    def run(self, *args, wifi=WIFI, mqtt=MQTT, status=0, **environment):
        """In this process: a start of Python takes ten times as long as what it does."""
        words = {"GRIDMOTE_WIFI_PASSWORD": wifi, "GRIDMOTE_PASSWORD": mqtt, **environment}
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(app, ["provision", *map(str, args)], env=words)
        self.check(done.stdout + done.stderr)
        wanted = done.exception is None or isinstance(done.exception, SystemExit)
        assert wanted and done.exit_code == status, (done.stdout + done.stderr, done.exception)
        return done

    def at_terminal(self, *args, answers=(), before=lambda: None):
        """(exit status, what it showed) of a process at a terminal, at whose prompts `answers` are typed, before()
        ahead of the first."""
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        process = subprocess.Popen(gridmote("provision", *args), cwd=self.folder, stdin=theirs, stdout=theirs,
                                   stderr=theirs, start_new_session=True,
                                   preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(theirs)
        seen, left = b"", list(answers)
        while select.select([ours], [], [], 30)[0]:
            try:
                chunk = os.read(ours, 4096)
            except OSError:
                break
            seen += chunk
            if seen.endswith(b": ") and left:
                before()
                before = lambda: None  # noqa: E731
                os.write(ours, left.pop(0).encode() + b"\n")
        os.close(ours)
        status = process.wait(30)
        self.check(seen.decode())
        return status, seen.decode()

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
