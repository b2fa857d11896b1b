"""`gridmote node`: one node, the firmware itself, on MicroPython's unix port."""

import contextlib
import fcntl
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from gridmote import processes
from gridmote.fault import Fault, give_up
from gridmote.node import config as node_config

_GOOD_BYE_S = 8.0  # the node drains for 3 s at most
# not `-m firmware.main`, with which the unix port does not turn SIGINT into KeyboardInterrupt
_MAIN = "import sys; from firmware.main import main; sys.exit(main(sys.argv))"
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Teller:
    """Prints what the node says, with the time, for people or as one JSON object a line."""

    def __init__(self, as_json):
        self._json = as_json

    def __call__(self, event, text, **fields):
        if self._json:
            line = json.dumps({"event": event, "time": round(time.time(), 3), "text": text, **fields})
        else:
            line = f"{time.strftime('%H:%M:%S')}  {text}"
        print(line, flush=True)


@contextlib.contextmanager
def _locked(folder):
    """Two nodes on one outbox.folder would spoil each other's log: Fault if there is one already."""
    if not folder:
        yield
        return
    with contextlib.suppress(OSError):  # what is wrong with the folder the node itself tells
        os.mkdir(folder)
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield
        return
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fault(f"outbox.folder: {folder} is in use by another node") from None
        yield
    finally:
        os.close(held)


class Runner:
    """One run of firmware/main.py. `run()` gives the exit status; signals end it cleanly."""

    def __init__(self, path, prepared, word_size, heap, seconds, tell):
        self._shown, self._prepared, self._tell = str(path), prepared, tell
        self._word_size, self._heap, self._seconds = word_size, heap, seconds
        self._process = None
        self._asked = 0

    def run(self):
        with (tempfile.TemporaryDirectory(prefix="gridmote-") as folder,  # 0700: passwords
              _locked(self._prepared.get("outbox", {}).get("folder"))):
            place = Path(folder) / "node.json"
            place.write_text(json.dumps(self._prepared))
            limit = [self._seconds] if self._seconds else []
            argv = processes.micropython(self._word_size, self._heap, "-c", _MAIN, place, *limit)
            environment = processes.compiled(Path(folder) / "node", self._word_size)
            before = {number: signal.signal(number, self._stop) for number in _STOPS}
            try:
                with processes.started(argv, patience_s=_GOOD_BYE_S, env=environment,
                                       stdout=-1, stderr=-2, text=True, errors="replace") as process:
                    self._process = process
                    if self._asked:
                        self._stop(signal.SIGINT, None)
                    return self._follow(process, str(place))
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _stop(self, number, frame):
        self._asked += 1
        if self._process and self._process.poll() is None:
            if self._asked < 3:
                self._process.send_signal(signal.SIGINT)
                signal.signal(signal.SIGALRM, lambda *_: self._process.kill())
                signal.alarm(int(_GOOD_BYE_S))
            else:
                self._process.kill()

    def _follow(self, process, place):
        """Pass its lines on; a traceback goes to stderr, a refusal becomes a Fault."""
        trouble = []
        for line in process.stdout:
            line = line.rstrip("\n")
            if line.startswith(place) or line.startswith("Traceback") or trouble:
                trouble.append(line.replace(place, self._shown))
            else:
                self._tell("log", line)
        status = process.wait()
        signal.alarm(0)
        if status == 0 or self._asked and trouble[-1:] == ["KeyboardInterrupt: "]:
            return 0
        if trouble and not trouble[0].startswith("Traceback"):
            raise Fault("\n".join(trouble))
        for line in trouble:
            typer.echo(line, err=True)
        if trouble and "MemoryError" in trouble[-1]:
            raise Fault("the node ran out of memory: "
                        + (f"its heap is {self._heap}; try --heap 256K" if self._heap else "try --heap 4M"))
        raise Fault(f"the node ended with {f'signal {-status}' if status < 0 else f'status {status}'}")


def _example(as_json):
    print(json.dumps(node_config.EXAMPLE, indent=None if as_json else 2))


def _schema(as_json):
    rows = node_config.schema_rows()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("key", "default", "allowed", "meaning", title="A node's configuration (JSON)", show_lines=False,
                  caption="File names are relative to the configuration. Keys without a default must be given.",
                  title_justify="left", caption_justify="left")
    for row in rows:
        group = row["allowed"] == "an object of:"
        default = "" if row["default"] is None or group else json.dumps(row["default"])
        table.add_row(Text(row["key"], style="bold cyan" if group else "cyan"), Text(default),
                      Text(row["allowed"]), Text(row["meaning"]))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _introduce(config, word_size, heap, tell):
    measurement, broker, source = config["measurement"], config["broker"], config["source"]
    topic = "/".join([*config["topic"].values(), "PMU" if measurement else "EVENT", config["id"]])
    if measurement:
        what = Path(source["file"]).name if source["kind"] == "replay" else "a synthetic grid"
        what += f", {measurement['rate']} frames/s, IDCODE {measurement['idcode']}"
    else:
        names = ", ".join(f"{one['name']} ({one['kind']})" for one in config["appliances"])
        what = f"{config['role']}, {names or 'measures nothing'}"
    tell("start", f"node {config['id']} on {word_size} bits, heap {heap or 'default'}: {what}")
    if config["gossip"] and config["gossip"]["segment_key"]:
        tell("start", f"gossip: number {config['gossip']['number']}, port {config['gossip']['port']}")
    if not broker["host"]:
        tell("start", "no broker: events are told here; Ctrl-C ends it")
        return
    tell("start", f"topic {topic} at {broker['host']}:{broker['port']}{' with TLS' if broker['ca'] else ''}"
         "; Ctrl-C ends it", topic=topic)


_CONFIG = typer.Argument(help="The node's configuration (JSON), or the folder that gridmote provision made.",
                         show_default=False)
_WORD = typer.Option(help="32: the word size of the boards. 64: that of this computer.")
_HEAP = typer.Option(help="Heap of MicroPython, such as 168K or 2M. Without: MicroPython's own default.",
                     show_default=False)
_SECONDS = typer.Option(help="Measure for so long, then end. Without: until Ctrl-C.", min=0.1, show_default=False)
_SCHEMA = typer.Option("--schema", help="Print every key of a configuration: default, what is allowed, meaning.")
_EXAMPLE = typer.Option("--example", help="Print a configuration to begin with.")
_JSON = typer.Option("--json", help="One JSON object a line.")


def node(
    config: Annotated[Path | None, _CONFIG] = None,
    word_size: Annotated[int, _WORD] = 32,
    heap: Annotated[str | None, _HEAP] = None,
    seconds: Annotated[float | None, _SECONDS] = None,
    schema: Annotated[bool, _SCHEMA] = False,
    example: Annotated[bool, _EXAMPLE] = False,
    as_json: Annotated[bool, _JSON] = False,
):
    """Run one node on this computer: the firmware, compiled as for a board, on MicroPython's unix port.

    A configuration to begin with: [bold]gridmote node --example > node.json[/]. All that it may hold:
    [bold]gridmote node --schema[/]. It is checked first, every mistake is named.

    Samples come from a synthetic grid or from a COMTRADE recording (source.file), which is converted
    into build/recordings. Ctrl-C (or SIGTERM) ends measuring; what waits is still sent, then the node
    says good-bye.
    """
    if example or schema:
        _example(as_json) if example else _schema(as_json)
        return
    if config is None:
        give_up("node", "which configuration? `gridmote node --example` prints one to begin with", 2)
    if word_size not in (32, 64):
        give_up("node", f"--word-size {word_size}: 32 or 64", 2)
    if heap and not (heap[:-1].isdecimal() and heap[-1] in "kKmM" or heap.isdecimal()):
        give_up("node", f"--heap {heap}: a number of bytes, with K or M for more, such as 168K", 2)
    tell = Teller(as_json)
    try:
        given, checked = node_config.read(config)
        prepared = node_config.prepare(given, checked, node_config.folder_of(config), _convert)
        if left := node_config.interrupted(config):
            tell("start", f"{config}: {left}")
        _introduce(checked, word_size, heap, tell)
        Runner(config, prepared, word_size, heap, seconds, tell).run()
    except Fault as fault:
        give_up("node", fault)


def _convert(*args, **options):
    from gridmote.signals.recording import convert  # numpy takes its time

    convert(*args, **options)
