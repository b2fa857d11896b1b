"""A board's console on the unix port: MicroPython's friendly and raw REPL (with raw paste) on stdin and stdout.

    micropython board_repl.py SETTINGS.json     {"image": FILE, "mode": "cold" | "soft" | "raw", "platform": ...}

The root is a littlefs in a file. Like a board it runs boot.py and main.py, except on its way to the raw REPL;
it ends itself with a status of its own where a board would reset. Ctrl-C comes as SIGINT (board_rig.Device).
Written after MicroPython's shared/runtime/pyexec.c and its documentation of the raw REPL.
"""

import sys

import fake_machine
from fake_machine import COLD, SOFT, SOFT_RAW, leave

_A, _B, _C, _D, _E = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"
RUN, READ = "\x0e", "\x0f"  # to the rig, not to the host: Ctrl-C is to be a signal; is a byte
_WINDOW = 128  # bytes that the host may send ahead, twice
_BANNER = "MicroPython v1.25.0 on a pseudo-terminal; %s\r\nType \"help()\" for more information.\r\n"

_stdin, _stdout = sys.stdin.buffer, sys.stdout


def tx(text):
    _stdout.write(text)


def rx():
    """The next byte; Ctrl-C also where it came as a signal, late."""
    try:
        got = _stdin.read(1)
    except KeyboardInterrupt:
        return _C
    if not got:
        leave(COLD)
    return got


def execute(source, name, scope):
    """Run `source`; its exception, or None. SystemExit is a soft reset, as on a board."""
    failed = None
    try:
        tx(RUN)
        exec(compile(source, name, "exec"), scope)
    except SystemExit:
        raise
    except BaseException as error:
        failed = error
    tx(READ)
    return failed


class _Paste:
    """What raw paste brings, with its flow control."""

    def __init__(self):
        tx("R\x01%c\x00\x01" % _WINDOW)

    def read(self):
        """The source, or None after Ctrl-C."""
        source, left = bytearray(), _WINDOW
        while True:
            got = rx()
            if got in (_C, _D):
                tx("\x04")
                return None if got == _C else bytes(source)
            source += got
            left -= 1
            if not left:
                tx("\x01")
                left = _WINDOW


def _line():
    """A program typed to the raw REPL; None: leave it."""
    line = b""
    while True:
        got = rx()
        if got == _A:
            if line[:1] == _E:
                if line == b"\x05A":
                    return _Paste().read() or b"\n"
                tx("R\x00")
            else:
                tx("raw REPL; CTRL-B to exit\r\n")
            tx(">")
            line = b""
        elif got == _B:
            return None
        elif got == _C:
            line = b""
        elif got == _D:
            tx("OK")
            if not line:
                tx("\r\nMPY: soft reboot\r\n")
                leave(SOFT_RAW)
            return line
        else:
            line += got


def raw_repl(scope):
    """Programs to be executed, until Ctrl-B."""
    tx(READ)
    tx("raw REPL; CTRL-B to exit\r\n")
    while True:
        tx(">")
        try:
            line = _line()
        except KeyboardInterrupt:  # the signal came between two bytes
            line = b"\n"
        if line is None:
            tx("\r\n")
            return
        try:
            error = execute(line, "<stdin>", scope)
        except SystemExit:
            tx("\x04\x04MPY: soft reboot\r\n")
            leave(SOFT_RAW)
        tx("\x04")
        if error is not None:
            sys.print_exception(error)
        tx("\x04")


def friendly_repl(scope):
    """Only what tools need of it: control characters, and whole lines that are executed."""
    tx(READ)
    tx(_BANNER % fake_machine.settings["machine"])
    tx(">>> ")
    line = b""
    while True:
        got = rx()
        if got == _A:
            raw_repl(scope)
            tx(_BANNER % fake_machine.settings["machine"])
            tx(">>> ")
            line = b""
        elif got == _D and not line:
            tx("\r\nMPY: soft reboot\r\n")
            leave(SOFT)
        elif got in (_B, _C):
            tx("\r\n>>> ")
            line = b""
        elif got in b"\r\n":
            tx("\r\n")
            error = execute(line, "<stdin>", scope)
            if error is not None:
                sys.print_exception(error)
            tx(">>> ")
            line = b""
        else:
            tx(got)
            line += got


def run_file(name, scope):
    """boot.py or main.py, if there is one."""
    try:
        with open("/" + name) as file:
            source = file.read()
    except OSError:
        return
    try:
        error = execute(source, name, scope)
    except SystemExit:
        tx("MPY: soft reboot\r\n")
        leave(SOFT)
    if error is not None:
        sys.print_exception(error)


def main(settings):
    scope = {"__name__": "__main__"}
    fake_machine.become(settings)
    try:
        run_file("boot.py", scope)
        if settings["mode"] == "raw":
            raw_repl(scope)
        else:
            run_file("main.py", scope)
    except KeyboardInterrupt:
        pass
    while True:
        try:
            friendly_repl(scope)
        except KeyboardInterrupt:  # the signal came between two bytes
            pass


if __name__ == "__main__":
    import json

    with open(sys.argv[1]) as file:  # an argument has at most 255 bytes
        given = json.load(file)
    main(given)
