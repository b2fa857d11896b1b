"""Looks on while a board starts, until its first frame or event was acknowledged."""

import re
import time

from gridmote.fault import Fault

_RUNNING = re.compile(r"running: (.*)")
_ACKED = re.compile(r"first (frame|event) acknowledged|events are told here only")  # where there is no broker
_NOT = re.compile(r"application \w+ does not start: (.*)")
_SAFE = re.compile(r"safe mode: (.*)")
_REPL = re.compile(r'^(>>> |Type "help\(\)")')
_AWAY_S = 20  # how long a USB port may be away while the board starts


class _Console:
    """Lines of a board; its port may go and come again."""

    def __init__(self, link, reopen):
        self.link, self._reopen = link, reopen
        self._rest = b""
        self._away_since = None

    def lines(self):
        """The whole lines that have come since."""
        try:
            if self.link is None:
                self.link = self._reopen()
                self._away_since = None
            data = self.link.read_some()
        except (Fault, OSError) as error:
            now = time.monotonic()
            self._away_since = self._away_since or now
            if now - self._away_since > _AWAY_S:
                raise Fault(f"the port has not come back within {_AWAY_S} s: {error}\nlook at the LED: the node "
                            "may well run") from error
            if self.link is not None:
                self.link.close()
            self.link = None
            time.sleep(0.3)
            return []
        *whole, self._rest = (self._rest + data).split(b"\n")
        if self._rest.startswith(b">>> "):  # a prompt never ends its line
            whole.append(self._rest)
            self._rest = b""
        return [line.decode(errors="replace").strip("\r\x04") for line in whole]


def watch(link, reopen, say, patience_s):
    """Until the first frame or event was acknowledged; Fault that says how far it came.

    reopen(): a new Link after the old one broke. say(line): what the board writes.
    """
    console, end = _Console(link, reopen), time.monotonic() + patience_s
    running, trouble = "", []
    try:
        while time.monotonic() < end:
            for line in console.lines():
                if line.strip():
                    say(line)
                if _ACKED.search(line):
                    return
                running = (_RUNNING.search(line) or [0, running])[1]
                if new := _NOT.search(line):
                    raise Fault(f"the new application does not start: {new[1]}\n"
                                "the board goes on with the one before, if it has it")
                safe = _SAFE.search(line)
                if safe:
                    raise Fault(f"the node is in safe mode: {safe[1]}")
                if line.startswith("Traceback") or trouble:
                    trouble.append(line)
                if _REPL.match(line):
                    raise Fault("the application has ended: " + ([t for t in trouble if t[:1] not in " >T"]
                                or ["nothing runs on the board"])[0])
    finally:
        if console.link is not None:
            console.link.close()
    if running:
        raise Fault(f"{running} runs, but no frame of it was acknowledged within {patience_s:.0f} s: is the "
                    "network there, is the broker right (gridmote doctor)? Its STATUS and its LED say more")
    raise Fault(f"within {patience_s:.0f} s the board did not say that it runs: see what it says, or raise the "
                "log level of its configuration to info")
