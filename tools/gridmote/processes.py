"""Programs that a command starts, and that never outlive it: MicroPython with the firmware's path, and others."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from gridmote.fault import Fault
from size import MARCHES, stage

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
_PR_SET_PDEATHSIG = 1  # prctl(2)
_PORTS = {32: "micropython32", 64: "micropython"}


def program(name):
    """Path of a program that `make setup` provides; Fault without it."""
    path = ROOT / ".deps/bin" / name
    if not path.exists():
        raise Fault(f"{path.relative_to(ROOT)} is missing: run `make setup` in {ROOT}")
    return str(path)


def micropython(word_size, heap, *args):
    """argv of MicroPython's unix port; heap as `-X heapsize` takes it, or None for its own default."""
    heap_option = ["-X", f"heapsize={heap}"] if heap else []
    return [program(_PORTS[word_size]), *heap_option, *map(str, args)]


def compiled(folder, word_size):
    """Compile a node's files into `folder`, as on a board; the environment that finds them."""
    try:
        stage(folder, MARCHES[_PORTS[word_size]])
    except ValueError as error:
        raise Fault(error) from error
    return environment(folder / "lib", folder)


def environment(*places):
    """The environment in which MicroPython imports from these folders."""
    return {**os.environ, "MICROPYPATH": ":".join([".frozen", *map(str, places)])}


def gridmote(*args):
    """argv of another gridmote command."""
    return [sys.executable, "-c", "from gridmote.cli import app; app(prog_name='gridmote')", *map(str, args)]


def start(argv, **options):
    """subprocess.Popen in a session of its own, so that Ctrl-C reaches it only through us, and that is
    interrupted when this process dies (Linux). stdin is empty.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def die_with_parent():
        if libc:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(argv, start_new_session=True, preexec_fn=die_with_parent, **options)


def stop(process, patience_s=5.0, signal_number=signal.SIGINT):
    """Interrupt a process; kill it after patience_s. Returns its exit status."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal_number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


@contextlib.contextmanager
def started(argv, patience_s=5.0, **options):
    """A process for the length of a `with` block."""
    process = start(argv, **options)
    try:
        yield process
    finally:
        stop(process, patience_s)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
