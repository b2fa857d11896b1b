"""What a board's code asks of MicroPython's modules, held against the type stubs of its port.

Types are followed as far as boards go: imports, what a constructor makes, attributes of `self`, a module that is
handed to a constructor under its own name.
"""

import ast
import zipfile
from pathlib import Path

WHEELS = {"rp2": "micropython_rp2_rpi_pico_w_stubs", "esp32": "micropython_esp32_stubs"}
# In the documentation (class DMA; class ssl.SSLContext) and in MicroPython's source (ports/rp2/rp2_dma.c,
# extmod/modtls_mbedtls.c), but not in the stubs.
MISSING = {
    ("rp2", "DMA"): {"read", "write", "count", "ctrl", "channel", "registers"},
    ("tls", "SSLContext"): {"verify_mode"},
}
INJECTED = {"network"}  # parameters of this name are the module


class Stubs:
    """The modules of one port. `members(module, class or None)`: {name: definitions}."""

    def __init__(self, folder, port):
        (wheel,) = Path(folder).glob(WHEELS[port] + "-*.whl")
        self._zip = zipfile.ZipFile(wheel)
        self._names = set(self._zip.namelist())
        self._trees = {}

    def _tree(self, module):
        if module not in self._trees:
            for name in (f"{module}.pyi", f"{module}/__init__.pyi"):
                if name in self._names:
                    self._trees[module] = ast.parse(self._zip.read(name))
                    break
            else:
                self._trees[module] = None
        return self._trees[module]

    def has(self, module):
        return self._tree(module) is not None

    def members(self, module, owner=None):
        body = self._tree(module).body
        found = {}
        if owner:
            (definition,) = [node for node in body if isinstance(node, ast.ClassDef) and node.name == owner][:1]
            for base in definition.bases:
                if isinstance(base, ast.Name) and base.id in self.members(module):
                    found.update(self.members(module, base.id))
            body = definition.body
            found.update({name: [None] for name in MISSING.get((module, owner), ())})
        for node in body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.AnnAssign):
                found.setdefault(node.target.id, []).append(None)
            elif isinstance(node, ast.Assign):
                found.update({target.id: [None] for target in node.targets if isinstance(target, ast.Name)})
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found.update({alias.asname or alias.name: [None] for alias in node.names})
        return found


class Checker(ast.NodeVisitor):
    """`found`: a line for each use that the stubs do not know; `uses`: how many they do."""

    def __init__(self, stubs, where):
        self._stubs, self._where = stubs, where
        # "name" or "self.name": ("module", m), ("class", m, c), ("instance", m, c), ("function", m[, c], f)
        self._env = {}
        self.found, self.uses = [], 0

    def check(self, source):
        tree = ast.parse(source, self._where)
        for node in ast.walk(tree):  # imports may stand anywhere; all is known before anything is checked
            self._import(node)
        for _ in range(2):  # an attribute of self may be used above where it is made
            for node in ast.walk(tree):
                self._bind(node)
        self.found.clear()
        self.uses = 0
        for node in ast.walk(tree):
            self._import(node)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                self._type(node, tell=True)
            elif isinstance(node, ast.Call):
                self._call(node)
        return self.found

    def _tell(self, node, text):
        line = f"{self._where}:{node.lineno}: {text}"
        if line not in self.found:
            self.found.append(line)

    def _import(self, node):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if self._stubs.has(alias.name):
                    self._env[alias.asname or alias.name] = ("module", alias.name)
        elif isinstance(node, ast.ImportFrom) and self._stubs.has(node.module):
            for alias in node.names:
                known = self._member(("module", node.module), alias.name)
                if known is None:
                    self._tell(node, f"{node.module} has no {alias.name}")
                else:
                    self._env[alias.asname or alias.name] = known
        elif isinstance(node, ast.FunctionDef):
            for argument in node.args.args:
                if argument.arg in INJECTED:
                    self._env[argument.arg] = ("module", argument.arg)

    def _bind(self, node):
        if isinstance(node, ast.Assign):
            pairs = []
            for target in node.targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs += zip(target.elts, node.value.elts, strict=False)
                else:
                    pairs.append((target, node.value))
            for target, value in pairs:
                self._set(target, self._type(value))
        elif isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.iter, ast.Tuple):
            kinds = {self._type(value) for value in node.iter.elts}
            if len(kinds) == 1:
                self._set(node.target, kinds.pop())

    def _set(self, target, kind):
        if kind and kind[0] != "unknown":
            name = self._name(target)
            if name:
                self._env[name] = kind

    @staticmethod
    def _name(node):
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            return f"self.{node.attr}"
        return None

    def _member(self, kind, name):
        """What `name` of a module or class is; None if there is no such thing."""
        if kind[0] == "module":
            members = self._stubs.members(kind[1])
            owner = (kind[1],)
        else:
            members = self._stubs.members(kind[1], kind[2])
            owner = kind[1:]
        if name not in members:
            return None
        definitions = members[name]
        if isinstance(definitions[0], ast.ClassDef):
            return ("class", kind[1], name)
        if isinstance(definitions[0], ast.FunctionDef):
            return ("function", *owner, name)
        return ("unknown",)

    def _type(self, node, tell=False):
        name = self._name(node)
        if name in self._env:
            return self._env[name]
        if isinstance(node, ast.Call):
            kind = self._type(node.func)
            return ("instance", *kind[1:]) if kind and kind[0] == "class" else None
        if isinstance(node, ast.Attribute):
            kind = self._type(node.value)
            if kind and kind[0] in ("module", "class", "instance"):
                known = self._member(kind, node.attr)
                if tell:
                    self.uses += 1
                    if known is None:
                        self._tell(node, f"{'.'.join(kind[1:])} has no {node.attr}")
                return known
        return None

    def _call(self, node):
        kind = self._type(node.func)
        if not kind or kind[0] not in ("class", "function"):
            return
        if kind[0] == "class":
            definitions = self._stubs.members(*kind[1:]).get("__init__", [])
        else:
            definitions = self._stubs.members(*kind[1:-1])[kind[-1]]
        definitions = [one for one in definitions if isinstance(one, ast.FunctionDef)]
        if not definitions or any(one.args.kwarg for one in definitions):
            return
        known = {a.arg for one in definitions for a in one.args.args + one.args.kwonlyargs}
        for keyword in node.keywords:
            self.uses += 1
            if keyword.arg and keyword.arg not in known:
                self._tell(node, f"{'.'.join(kind[1:])}() takes no {keyword.arg}")
