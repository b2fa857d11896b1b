"""A node as on a board: boards/main.py in a folder laid out as a board's, restarted as a board would be."""

import contextlib
import json
import subprocess
import threading
import time

from host_tests.conftest import NODE_PATH, ROOT
from host_tests.mqtt_rig import wait_for

BITE_S = 4  # the watchdog's patience; a board's is 8.3 s
LIFE = "host_tests/mpy/device_life.py"
RESTART = 3  # exit status of Board.restart()


class Device:
    """`with Device(mpy, folder, config, secrets) as device:` powers it up. `lines`: what it said; `lives`: how each
    of its lives ended, "restart", "watchdog", "cut" or an exit status.

    fault: see mpy/device_life.py, which is `script` unless no fault is wanted; it holds from the next start.
    """

    def __init__(
        self, mpy, folder, config=None, secrets=None, heap="2M", path=NODE_PATH, script=LIFE, **fault
    ):
        self.folder, self.node = folder, folder / "node"
        self.node.mkdir(exist_ok=True)
        self._mpy, self._heap, self._path, self._script = mpy, heap, path, script
        self.lines, self.lives = [], []
        self.fault(**fault)
        for name, what in (("config.json", config), ("secrets.json", secrets)):
            if what is not None:
                self.put(name, what)
        self._process, self._on, self._thread = None, False, None

    def put(self, name, what):
        """A file of /node: bytes, or an object as JSON."""
        (self.node / name).write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())

    def fault(self, **fault):
        (self.folder / "fault").write_text(json.dumps(fault))

    def __enter__(self):
        self.power_on()
        return self

    def __exit__(self, kind, *_):
        self.power_cut()
        if kind:
            print("\n".join(self.lines[-40:]), self.lives)

    def power_on(self):
        self._on = True
        self._thread = threading.Thread(target=self._supply, daemon=True)
        self._thread.start()

    def power_cut(self):
        """What does not survive one is gone: the reset cause and the note."""
        self._on = False
        if self._process:
            self._process.kill()
        self._thread.join(20)
        for name in ("note", "reset"):
            (self.node / name).unlink(missing_ok=True)

    def restart(self):
        """By somebody else: ended, and begun anew with `reset` and `note` of /node as they are."""
        kept = [(self.node / name, (self.node / name).read_bytes()) for name in ("note", "reset")
                if (self.node / name).exists()]
        self.power_cut()
        for path, data in kept:
            path.write_bytes(data)
        self.power_on()

    def signal(self, number):
        self._process.send_signal(number)

    def _supply(self):
        environment = {**self._mpy.environment(self._path), "GRIDMOTE_NODE": str(self.node)}
        argv = self._mpy.command(self._script, self.folder, heapsize=self._heap)
        while self._on:
            fed = self.folder / "fed"
            fed.write_text("")
            self._process = subprocess.Popen(argv, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
            reader = threading.Thread(target=self._read, args=[self._process], daemon=True)
            reader.start()
            bitten = False
            while self._process.poll() is None:
                time.sleep(0.05)
                with contextlib.suppress(OSError):
                    bitten = self._script == LIFE and time.time() - fed.stat().st_mtime > BITE_S
                if bitten:
                    self._process.kill()
                    self._process.wait(10)
            reader.join(10)
            status = self._process.returncode
            if not self._on:
                self.lives.append("cut")
            elif bitten:
                self.lives.append("watchdog")
                (self.node / "reset").write_text("watchdog")
            elif status == RESTART:
                self.lives.append("restart")
            else:
                self.lives.append(status)
                return

    def _read(self, process):
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))

    def said(self, text):
        return [line for line in self.lines if text in line]

    def wait_said(self, text, times=1, most_s=30):
        wait_for(lambda: len(self.said(text)) >= times, f"{text!r}, {times} times", most_s)

    def wait_lives(self, number, most_s=40):
        wait_for(lambda: len(self.lives) >= number, f"{number} lives", most_s)
