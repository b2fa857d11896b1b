"""A board without a board: MicroPython's unix port behind a pseudo-terminal or a TCP port, with a littlefs.

Device starts host_tests/mpy/board_repl.py anew whenever the board would reset, turns Ctrl-C into SIGINT, and can
lose its cable or its power at a chosen byte or write. What is on its file system is asked by `Image`.
"""

import contextlib
import json
import os
import queue
import re
import selectors
import signal
import socket
import subprocess
import threading
import time
import tty
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLD, SOFT, SOFT_RAW, CUT = 10, 11, 12, 13  # exit statuses of fake_machine
_MODES = {COLD: "cold", SOFT: "soft", SOFT_RAW: "raw"}
_WATCHDOG = -signal.SIGALRM
BLOCK = 4096
PICO_W_BLOCKS = 212  # 848 KiB
RP2 = {"platform": "rp2", "machine": "Raspberry Pi Pico W with RP2040"}
ESP32 = {"platform": "esp32", "machine": "Generic ESP32 module with ESP32"}
UNIX = {"platform": "linux", "machine": "linux [GCC 14.2.0] version"}


class Device:
    """One board. `place` is what a tool is given as port; it stays the same when the cable is plugged in again.

    port: conftest.Port. board: RP2, ESP32 or UNIX, plus "implementation" to change. tcp: serve on a socket.
    `events` lists what happened: "cold", "soft", "raw", "watchdog", "cut", "dead STATUS".
    """

    def __init__(self, port, folder, board=RP2, blocks=PICO_W_BLOCKS, heapsize="2M", tcp=False):
        self._port, self._folder, self._board, self._heapsize = port, Path(folder), board, heapsize
        self.image = self._folder / "flash.img"
        if not self.image.exists():
            self.image.write_bytes(b"\xff" * BLOCK * blocks)
            _image(port, "format", self.image)
        self.place = None
        self.events, self.said = [], bytearray()
        self.break_after = None  # bytes from the host after which the cable is gone
        self.cut_after = 0  # writes to flash after which the power is gone
        self.heard = 0  # bytes from the host
        self._tcp, self._tcp_port = tcp, 0
        self._line = self._slave = self._server = None
        self._process = None
        self._wake_in, self._wake_out = os.pipe()
        self._asked = queue.SimpleQueue()  # what the thread shall do for others: it alone touches line and process
        self._ending = False
        self._plug()
        self._power_on("cold", "power")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _do(self, function, *args):
        done = queue.SimpleQueue()
        self._asked.put((function, args, done))
        os.write(self._wake_out, b"x")
        error = done.get(timeout=20)
        if error:
            raise error

    # ---------------------------------------------------------------- cable and power
    def plug(self):
        """Connect the cable; the place is the same."""
        self._do(self._plug)

    def unplug(self):
        """Pull the cable: whoever has the port open sees it go; the board goes on."""
        self._do(self._unplug)

    def power_on(self):
        self._do(self._power_on, "cold", "power")

    def power_cut(self):
        self._do(self._power_cut)

    def close(self):
        self._do(self._power_cut)
        self._do(self._unplug)
        self._ending = True
        os.write(self._wake_out, b"x")
        self._thread.join(10)
        os.close(self._wake_in)
        os.close(self._wake_out)

    @property
    def gone(self):
        """Whether the cable is out."""
        return self._line is None and self._server is None

    @property
    def pty(self):
        """The pseudo-terminal's own name, which changes with every plug()."""
        return os.ttyname(self._slave)

    def _plug(self):
        if self._tcp:
            self._server = socket.create_server(("127.0.0.1", self._tcp_port))
            self._tcp_port = self._server.getsockname()[1]
            self.place = f"socket://127.0.0.1:{self._tcp_port}"
        else:
            self._line, self._slave = os.openpty()
            tty.setraw(self._slave)
            link = self._folder / "tty"
            link.unlink(missing_ok=True)
            link.symlink_to(os.ttyname(self._slave))
            self.place = str(link)
        self.break_after = None

    def _unplug(self):
        for fd in (self._line, self._slave):
            if fd is not None:
                os.close(fd)
        if self._server:
            self._server.close()
        self._line = self._slave = self._server = None

    def _power_on(self, mode, cause):
        settings = {"image": str(self.image), "mode": mode, "cause": cause,
                    "cut_after": self.cut_after, "network": self._board["platform"] != "linux", **self._board}
        self._running = None  # not before it says so
        self.events.append(mode)
        script, place = ROOT / "host_tests/mpy/board_repl.py", self._folder / "board.json"
        place.write_text(json.dumps(settings))
        self._process = subprocess.Popen(
            self._port.command(script, place, heapsize=self._heapsize),
            env=self._port.environment((".frozen", str(ROOT / "host_tests/mpy"))), cwd=self._folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
            start_new_session=True)

    def _power_cut(self):
        self.cut_after = 0
        if self._process:
            self._process.kill()
            self._gone()
        self.events.append("cut")

    def _gone(self):
        """Its exit status, after it has been buried."""
        process, self._process = self._process, None
        process.stdin.close()
        process.stdout.close()
        return process.wait()

    # ---------------------------------------------------------------- the line
    def _serve(self):
        while not self._ending:
            output = self._process.stdout.fileno() if self._process else None
            line = self._line if self._running is not None or not self._process else None
            handlers = {output: self._from_board, line: self._from_host, self._wake_in: self._from_test,
                        self._server: self._accept}
            with selectors.DefaultSelector() as selector:
                for place, handler in handlers.items():
                    if place is not None:
                        selector.register(place, selectors.EVENT_READ, handler)
                selector.select()[0][0].data()  # one at a time: it may change the others

    def _from_test(self):
        os.read(self._wake_in, 1)
        if not self._asked.empty():
            function, args, done = self._asked.get()
            try:
                function(*args)
            except Exception as error:
                done.put(error)
            else:
                done.put(None)

    def _accept(self):
        if self._line is not None:
            os.close(self._line)
        connection, _ = self._server.accept()
        self._line = connection.detach()

    def _from_board(self):
        data = self._process.stdout.read(65536)
        if not data:
            self._ended(self._gone())
            return
        markers = re.findall(rb"[\x0e\x0f]", data)
        if markers:
            self._running, data = markers[-1] == b"\x0e", re.sub(rb"[\x0e\x0f]", b"", data)
        data = re.sub(rb"(?<!\r)\n", b"\r\n", data)
        self.said += data
        if self._line is not None:
            with contextlib.suppress(OSError):
                os.write(self._line, data)

    def _ended(self, status):
        if status == CUT:
            self.cut_after = 0
            self.events.append("cut")
            self._unplug()  # a USB port goes with the power
        elif status == _WATCHDOG:
            self.events.append("watchdog")
            self._power_on("cold", "watchdog")
        elif status in _MODES:
            self._power_on(_MODES[status], "restart")
        elif self.said.endswith(b"\r\n") and b"FATAL: uncaught NLR" in self.said[-60:]:
            self._power_on("cold", "crash")  # the port's SIGINT came in the midst of its C code: no board does that
        else:
            self.events.append(f"dead {status}")

    def _from_host(self):
        try:
            data = os.read(self._line, 4096)
        except OSError:
            data = b""
        if not data:  # a client of the socket went; a pseudo-terminal does not end, as we hold its other end
            os.close(self._line)
            self._line = None
        elif self.break_after is not None and self.heard + len(data) >= self.break_after:
            self._forward(data[: self.break_after - self.heard])
            self._unplug()
        else:
            self._forward(data)

    def _forward(self, data):
        self.heard += len(data)
        for part in re.split(rb"(\x03)", data):
            if part and self._process:
                if part == b"\x03" and self._running:
                    self._interrupt()
                else:
                    with contextlib.suppress(OSError):
                        self._process.stdin.write(part)

    def _interrupt(self):
        """SIGINT once the process waits for something: the port raises it wherever it is, also in its C code, which
        can be the end of it. A board looks at Ctrl-C between two instructions."""
        stat, end = Path(f"/proc/{self._process.pid}/stat"), time.monotonic() + 1
        with contextlib.suppress(OSError):
            while time.monotonic() < end and stat.read_text().rpartition(")")[2].split()[0] != "S":
                time.sleep(0.001)
        self._process.send_signal(signal.SIGINT)
        time.sleep(0.03)  # a second one before the first was seen would end the port

    # ---------------------------------------------------------------- asking
    def wait_said(self, pattern, timeout_s=20, since=0):
        """The match of `pattern` (bytes) in what the board wrote; AssertionError if it does not come."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            found = re.search(pattern, bytes(self.said[since:]))
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} did not come: {bytes(self.said[since:])!r}, {self.events}")


_IMAGE = """
import os, sys, vfs, json, binascii
sys.path.insert(0, sys.argv[3])
from fake_machine import Flash
flash = Flash(sys.argv[2], 0)
if sys.argv[1] == "format":
    vfs.VfsLfs2.mkfs(flash, progsize=256)
vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/image")
found = {}
def walk(folder):
    for entry in os.ilistdir("/image" + folder):
        name = folder + "/" + entry[0]
        if entry[1] == 0x4000:
            walk(name)
        else:
            with open("/image" + name, "rb") as file:
                found[name] = binascii.hexlify(file.read()).decode()
walk("")
print(json.dumps({"files": found, "free": os.statvfs("/image")[3]}))
"""


def _image(port, what, image):
    done = port("-c", _IMAGE, what, image, ROOT / "host_tests/mpy", heapsize="8M")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def read_image(port, image):
    """({path: bytes}, free blocks) of a littlefs image, read by MicroPython itself."""
    told = _image(port, "read", image)
    return {name: bytes.fromhex(text) for name, text in told["files"].items()}, told["free"]
