"""What a board needs of the source tree: the modules that its entry reaches by imports, compiled."""

import ast
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gridmote.fault import Fault
from size import ROOT, compile_one, prepare, sources

BOARDS = ("rp2", "esp32", "unix")
ENTRY = "boards/main.py"  # what goes to /main.py, as source


def module_name(path):
    """Import name of a path on the node: "lib/outbox/log.py" -> "outbox.log"."""
    return path.removeprefix("lib/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _named(node):
    """Names that an AST node may import; a string that is a module's name counts (boards.once, forget)."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
        return [node.value]
    return []


def _imports(tree, board):
    """Names that a module imports, but for functions that are for another board."""
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


def _parsed(path):
    return ast.parse(Path(path).read_text(encoding="utf-8"), str(path))


def needed(board, root=ROOT):
    """{path on the node: source file} of what runs on `board`: all that ENTRY and the board itself import."""
    files = sources(root, board)
    modules = {module_name(path): path for path in files}
    reached, todo = set(), [*_imports(_parsed(root / ENTRY), board), f"boards.{board}.board"]
    while todo:
        name = todo.pop()
        if name in reached:
            continue
        reached.add(name)
        if name in modules:
            todo += _imports(_parsed(files[modules[name]]), board)
        if "." in name:
            todo.append(name.rpartition(".")[0])
    return {path: file for path, file in files.items() if module_name(path) in reached}


def compiled(board, march, root=ROOT):
    """{path on the node, .mpy: bytes}. Fault with the words of mpy-cross."""
    prepare()
    files = needed(board, root)
    with tempfile.TemporaryDirectory(prefix="gridmote-") as folder:

        def one(path):
            target = (Path(folder) / path).with_suffix(".mpy")
            compile_one(files[path], target, path, march)
            return target.read_bytes()

        try:
            with ThreadPoolExecutor(2) as pool:
                bodies = list(pool.map(one, files))
        except ValueError as error:
            raise Fault(error) from error
    return {path.removesuffix(".py") + ".mpy": body for path, body in zip(files, bodies, strict=True)}


def main_file(root=ROOT):
    """What goes to /main.py."""
    return (root / ENTRY).read_bytes()
