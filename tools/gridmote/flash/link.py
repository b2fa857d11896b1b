"""The line to a board: mpremote's transport, with patience that ends and words for what goes wrong."""

import contextlib
import os
import struct
import time

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial import SerialException

from gridmote.fault import Fault

_SILENCE_S = 10  # of a board that should answer
_STOP_S = 25  # for the application to end after Ctrl-C: it says good-bye to its broker
_BANNER = b"raw REPL; CTRL-B to exit\r\n"
_REBOOT = b"soft reboot\r\n"
# The chip's watchdog would bite while the application does not run. RP2: cleared. ESP32: given ten minutes.
_QUIET = """
import sys
try:
 import machine
 if sys.platform == 'rp2':
  machine.mem32[(0x400d8000 if 'RP2350' in sys.implementation._machine else 0x40058000) + 0x3000] = 1 << 30
 elif sys.platform == 'esp32':
  machine.WDT(timeout=600000)
except Exception as e:
 print(repr(e))
"""
# The CRC of the pack that runs, which ends its index: /main.py opens a module as its whole pack.
_RUNNING = """
try:
 with open('/pack/firmware/device.mpy', 'rb') as f:
  f.seek(8)
  f.seek(8 + 12 * int.from_bytes(f.read(4), 'little'))
  print(''.join('%02x' % c for c in f.read(4)))
except Exception:
 print()
"""
# If the host goes away without a word, the board starts again by itself, with the application it had.
_DEADMAN = """
try:
 import machine
 _deadman = machine.Timer(-1 if sys.platform == 'rp2' else 0)
 def alive(ms=%d):
  _deadman.init(mode=machine.Timer.ONE_SHOT, period=ms, callback=lambda t: machine.reset())
 alive()
except Exception:
 def alive():
  pass
"""


class Broken(Fault):
    """The line is gone, or the board does not answer any more."""


class Refused(Exception):
    """An exception on the board: its traceback."""

    @property
    def last(self):
        return (str(self).strip().splitlines() or ["?"])[-1]


class Link(SerialTransport):
    """An open line to `place`: a serial port, a pseudo-terminal, socket://HOST:PORT. Fault if it cannot be opened.

    deadman_s: the board starts again after so much silence of the host, between stop() and reset().
    """

    def __init__(self, place, deadman_s=60):
        self.place, self._deadman_s = place, deadman_s
        self.stopped, self.running = False, ""  # running: CRC of the pack that ran, if the board could tell
        try:
            super().__init__(place, timeout=_SILENCE_S)
            self.serial.write_timeout = _SILENCE_S
        except (TransportError, SerialException, OSError, ValueError) as error:
            raise Fault(_why_not(place, error)) from error

    @contextlib.contextmanager
    def _spoken(self):
        try:
            yield
        except (OSError, TransportError, struct.error) as error:
            raise Broken(f"{self.place}: the line broke, or the board fell silent: {error}") from error

    def close(self):
        with contextlib.suppress(OSError):
            super().close()

    def stop(self, waiting=lambda most_s: None):
        """End the application, quiet the watchdog, clear the heap: the raw REPL of an idle board. waiting(most_s):
        when it does not answer at once."""
        with self._spoken():
            self.interrupt(waiting)
            self.stopped = True
            self.run(_QUIET)
            self.running = self.run(_RUNNING).strip()
            self.read_until(1, b">", timeout=5)
            self.serial.write(b"\x04")
            for word in (_REBOOT, _BANNER):
                if not self.read_until(1, word, timeout=_SILENCE_S).endswith(word):
                    raise TransportError("no soft reset")
            self.run("import sys" + _DEADMAN % (self._deadman_s * 1000))

    def interrupt(self, waiting=lambda most_s: None):
        """End what runs: the raw REPL, everything still in memory. Fault if there is no MicroPython."""
        end, heard, tries = time.monotonic() + _STOP_S, b"", 0
        while time.monotonic() < end:
            tries += 1
            if tries == 2:
                waiting(round(end - time.monotonic()))
            self.serial.write(b"\r\x03")
            time.sleep(0.1)
            self._drain()
            self.serial.write(b"\r\x01")
            self.serial.timeout = 1  # of the first byte
            heard = self.read_until(1, _BANNER, timeout=3, timeout_overall=6)
            self.serial.timeout = _SILENCE_S
            if heard.endswith(_BANNER):
                self._drain()
                self.serial.write(b"\x01")  # a fresh prompt, however often we had asked
                if self.read_until(1, _BANNER, timeout=3).endswith(_BANNER):
                    self.in_raw_repl = True
                    return
        said = heard.decode(errors="replace").strip().splitlines()
        raise Fault(f"{self.place}: no MicroPython answers there" + (f"; it says: {said[-1][:100]}" if said else "")
                    + "\nis MicroPython on the board (micropython.org/download), is it the right port? "
                    "Unplug it, plug it in and try again")

    def _drain(self):
        """Throw away what comes, until a tenth of a second of silence."""
        quiet = time.monotonic() + 0.1
        while time.monotonic() < quiet:
            if self.serial.in_waiting:
                self.serial.read(self.serial.in_waiting)
                quiet = time.monotonic() + 0.1
            time.sleep(0.01)

    def run(self, code, timeout_s=_SILENCE_S):
        """Execute on the board; what it prints. Refused with its traceback; Broken."""
        with self._spoken():
            out, error = self.exec_raw(code, timeout=timeout_s)
        if error:
            raise Refused(error.decode(errors="replace"))
        return out.decode(errors="replace").replace("\r\n", "\n")

    def reset(self):
        """Start the board anew; what it says then comes by read_some()."""
        with self._spoken():
            self.exec_raw_no_follow("import machine, time\ntime.sleep_ms(100)\nmachine.reset()\n")

    def read_some(self):
        """Bytes that have come, b"" after a moment of silence. OSError when the line is gone."""
        self.serial.timeout = 0.1
        return self.serial.read(max(1, self.serial.in_waiting))


def _why_not(place, error):
    if not place.startswith("/"):
        return f"{place} cannot be opened: {error}"
    if not os.path.exists(place):
        return f"{place}: no such port; is the board plugged in? Without --port it is looked for"
    if not os.access(place, os.R_OK | os.W_OK):
        return (f"{place}: no permission; add yourself to the group of the port "
                f"(sudo usermod -aG {_group(place)} $USER), log out and in again")
    return f"{place} is in use, or no serial port: close what has it open (mpremote, Thonny, a terminal), try again"


def _group(place):
    import grp

    try:
        return grp.getgrgid(os.stat(place).st_gid).gr_name
    except (KeyError, OSError):
        return "dialout"
