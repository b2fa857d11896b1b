"""What firmware/spent.py lets go of is there, in modules that a test on this computer may not load, too."""

import ast
from pathlib import Path

from needed import sources

LISTS = "_SPENT", "_UNUSED"
ROOT = Path(__file__).resolve().parent.parent


def spent(sorted_only=False):
    """(module, class or "-", name) of each entry, or of the first list alone."""
    tree = ast.parse((ROOT / "firmware/spent.py").read_text())
    texts = [n.value.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id in LISTS]
    for line in "".join(texts[:1] if sorted_only else texts).split("\n"):
        module, owner, names = line.split(" ", 2) if line else ("", "", "")
        for name in names.split():
            yield module, owner, name


def names_in(body):
    """What a module or class has after its body ran: functions, classes, what it imports."""
    found = {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name: node for alias in node.names}
    return found


def test_each_name_is_there():
    files = {}
    for board in ("unix", "rp2", "esp32"):
        for path, file in sources(ROOT, board).items():
            files[path.removeprefix("lib/").removesuffix(".py").replace("/", ".")] = file
    missing = []
    for module, owner, name in spent():
        if module:
            found = names_in(ast.parse(files[module].read_text()).body)
            if owner != "-":
                found = names_in(found[owner].body)
            if name not in found:
                missing.append((module, owner, name))
    assert not missing


def test_lines_are_in_order():
    """So that none is there twice."""
    modules = [module for module, _, _ in spent(True) if module]
    assert modules == sorted(modules)
