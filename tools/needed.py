"""What a board needs of the source tree: the modules that /main.py and the board reach by their imports.

Standard library only: MicroPython's own build reads it by boards/*/manifest.py.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOARDS = ("rp2", "esp32", "unix")
MAIN = "boards/main.py"  # goes to /main.py, as source
NOT_MODULES = {"plainviper.py", "main.py", "manifest.py"}  # in lib: never imported on MicroPython; in boards


def sources(root=ROOT, board="unix"):
    """{path on the node: source file} of lib, umqtt.simple, firmware and one board."""
    root = Path(root)
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
        if path.name not in NOT_MODULES or place == "firmware"
    }
    for path in sorted((root / "boards").glob("*.py")):  # what all boards share
        if path.name not in NOT_MODULES:
            found[f"boards/{path.name}"] = path
    return found


def module_name(path):
    """Import name of a path on the node: "lib/outbox/log.py" -> "outbox.log"."""
    return path.removeprefix("lib/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _named(node):
    """Names that an AST node may import; a string that is a module's name counts (boards.once)."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
        return [node.value]
    return []


def _imports(path, board):
    """Names that a file imports, but for functions that are for another board."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), str(path))
    others = tuple(f"boards.{other}" for other in BOARDS if other != board)
    found, todo = [], [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef) and any(
            name.startswith(others) for part in ast.walk(node) for name in _named(part)
        ):
            continue
        found += _named(node)
        todo += ast.iter_child_nodes(node)
    return found


def needed(board, root=ROOT):
    """{path on the node: source file} of what runs on `board`: all that MAIN and the board itself import."""
    files = sources(root, board)
    modules = {module_name(path): path for path in files}
    reached, todo = set(), [*_imports(Path(root) / MAIN, board), f"boards.{board}.board"]
    while todo:
        name = todo.pop()
        if name in reached:
            continue
        reached.add(name)
        if name in modules:
            todo += _imports(files[modules[name]], board)
        if "." in name:
            todo.append(name.rpartition(".")[0])
    return {path: file for path, file in files.items()
            if module_name(path) in reached and not is_empty(path, file)}


def is_empty(path, file):
    """An __init__.py with nothing but a docstring: MicroPython takes a folder for a package without it."""
    if not path.endswith("/__init__.py"):
        return False
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return not body or len(body) == 1 and isinstance(body[0], ast.Expr)
