"""make check: imports follow the directions of the design, and lib imports on CPython and on MicroPython.

    tools, host_tests -> lib <- firmware, boards          only firmware/main.py meets firmware and boards

Every finding is one line `file:line: what is wrong`; exit status 1 when there is one.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORTS = {  # on which each module of lib has to import, with nothing but lib on the path
    "CPython": [sys.executable, "-S", "-B", "-X", "utf8"],
    "micropython": [str(ROOT / ".deps/bin/micropython")],
    "micropython32": [str(ROOT / ".deps/bin/micropython32")],
}
# modules that CPython and MicroPython both have and that touch neither a clock nor the world
LIB_BUILTINS = {
    "array",
    "binascii",
    "collections",
    "errno",
    "gc",
    "hashlib",
    "heapq",
    "io",
    "json",
    "math",
    "micropython",
    "random",
    "struct",
    "sys",
}
HARDWARE = {"bluetooth", "esp", "esp32", "espnow", "machine", "network", "neopixel", "rp2"}
# part of the repository -> parts that it may import
DIRECTIONS = {
    "lib": {"lib"},
    "firmware": {"firmware", "lib"},
    "boards": {"boards", "lib"},
    "tools": {"tools", "lib"},
}
MEETING_PLACES = ("firmware/main.py", "boards/main.py")  # the files that know the application and its board


def modules_of(root):
    """{top-level import name: the part of the repository it belongs to}."""
    owner = {
        "firmware": "firmware",
        "boards": "boards",
        "host_tests": "host_tests",
        "lib": "lib",
        "tools": "tools",
    }
    for part in ("lib", "tools"):
        for path in (root / part).glob("*"):
            if path.suffix == ".py" or any(path.glob("*.py")):
                owner[path.stem] = part
    return owner


def imports(tree):
    """(line, dotted name) of every absolute import: at the top, in functions, by __import__ of a literal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            if called in ("__import__", "import_module"):
                yield node.lineno, str(node.args[0].value)


def complaint(part, name, owner):
    """Why `part` may not import `name`, or None when it may."""
    top = name.split(".")[0]
    to = owner.get(top)
    if top in ("lib", "tools"):
        return f"{name} is imported without '{top}.' in front"
    if to is not None and to not in DIRECTIONS[part]:
        return f"{part} imports {name}: {part} may only know {' and '.join(sorted(DIRECTIONS[part]))}"
    if part == "lib" and to is None and top not in LIB_BUILTINS:
        return f"lib imports {name}: lib may only use its own rooms and {', '.join(sorted(LIB_BUILTINS))}"
    if part == "firmware" and top in HARDWARE:
        return f"firmware imports {name}: hardware comes in through constructors, from boards"
    return None


def check_directions(root):
    """Findings of every import in lib, firmware, boards and tools."""
    owner, found = modules_of(root), []
    for part in DIRECTIONS:
        for path in sorted((root / part).rglob("*.py")):
            where = path.relative_to(root).as_posix()
            if where in MEETING_PLACES:
                continue
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"), where)
            except SyntaxError as error:
                found.append(f"{where}:{error.lineno}: {error.msg}")
                continue
            for line, name in imports(tree):
                why = complaint(part, name, owner)
                if why:
                    found.append(f"{where}:{line}: {why}")
    return found


# Runs on every port, so it is written for the smallest; one line a failure: module, error, traceback.
_PROBE = """
import io, sys
for name in sys.argv[1:]:
    try:
        __import__(name)
    except Exception as error:
        if hasattr(sys, "print_exception"):
            out = io.StringIO()
            sys.print_exception(error, out)
            trace = out.getvalue()
        else:
            import traceback
            trace = "".join(traceback.format_exception(error))
        print(name + "\\t" + type(error).__name__ + ": " + str(error) + "\\t" + repr(trace))
print("end")
"""


def check_lib_imports(root, ports=None):
    """Findings of lib's modules that do not import on a port."""
    files = {
        ".".join(path.relative_to(root / "lib").with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((root / "lib").rglob("*.py"))
    }
    found = []
    for port, command in (ports or PORTS).items():
        environment = {**os.environ, "MICROPYPATH": "lib", "PYTHONPATH": "lib"}
        done = subprocess.run(
            [*command, "-c", _PROBE, *files],
            cwd=root,
            env=environment,
            timeout=60,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        *failures, last = done.stdout.splitlines() or [""]
        if last != "end":
            found.append(f"lib: the imports on {port} broke off: {last}")
        for failure in failures:
            name, _, rest = failure.partition("\t")
            if name not in files:  # printed by a module
                found.append(f"lib: importing on {port} prints {failure!r}")
                continue
            error, _, trace = rest.partition("\t")
            found.append(
                f"{innermost(ast.literal_eval(trace), files[name].relative_to(root).as_posix())}: "
                f"{name} does not import on {port}: {error}"
            )
    return found


def innermost(trace, otherwise):
    """`file:line` of the last place in lib that a traceback names, else `otherwise:1`."""
    place = f"{otherwise}:1"
    for line in trace.splitlines():
        if line.strip().startswith('File "') and "lib/" in line:
            _, name, rest = line.split('"', 2)
            number = "".join(c for c in rest.split("line", 1)[-1].split(",")[0] if c.isdigit())
            place = f"lib/{name.rsplit('lib/', 1)[1]}:{number}"
    return place


def main():
    found = check_directions(ROOT) + check_lib_imports(ROOT)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
