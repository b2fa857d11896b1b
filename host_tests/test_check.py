"""tools/check.py finds what it is there for, each with its file and line, in trees made for the purpose."""

import check
import pytest


def tree(tmp_path, **files):
    """A repository of one-line files; `__` in a name is a slash, `lib__room__part="import x"`."""
    for name, text in files.items():
        path = tmp_path / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "name, text, named",
    [
        ("lib__room__part", "import asyncio", "asyncio"),
        ("lib__room__part", "\ndef f():\n    from time import sleep_ms\n", "time"),
        ("lib__room__part", "import socket", "socket"),
        ("lib__room__part", "import select, struct", "select"),
        ("lib__room__part", "from machine import Pin", "machine"),
        ("lib__room__part", "__import__('network')", "network"),
        ("lib__room__part", "from firmware.meter import Meter", "firmware.meter"),
        ("lib__room__part", "import numpy", "numpy"),
        ("lib__room__part", "from gridmote import cli", "gridmote"),
        ("firmware__meter", "import machine", "machine"),
        ("firmware__meter", "import network", "network"),
        ("firmware__meter", "from boards.unix.board import Board", "boards.unix.board"),
        ("firmware__meter", "import gridmote.pdc", "gridmote.pdc"),
        ("boards__unix__board", "from firmware import meter", "firmware"),
        ("tools__gridmote__cli", "import firmware.meter", "firmware.meter"),
        ("tools__gridmote__cli", "import importlib\nimportlib.import_module('boards.unix')", "boards.unix"),
        ("tools__gridmote__cli", "from lib.room import part", "lib.room"),
    ],
)
def test_import_against_the_directions(tmp_path, name, text, named):
    root = tree(tmp_path, lib__room__x="", tools__gridmote__x="", **{name: text})
    found = check.check_directions(root)
    assert len(found) == 1 and named in found[0]
    line = 1 + text[: text.index(named)].count("\n")
    assert found[0].startswith(f"{name.replace('__', '/')}.py:{line}: ")


def test_import_along_the_directions(tmp_path):
    root = tree(
        tmp_path,
        lib__room__part="import struct\nfrom array import array\nfrom room import other\nfrom . import other",
        lib__room__other="try:\n    import micropython\nexcept ImportError:\n    import plainviper",
        lib__plainviper="",
        firmware__meter="import asyncio\nfrom room.part import x\nfrom firmware import link",
        firmware__main="import machine\nfrom boards.unix.board import Board\nfrom firmware import meter",
        boards__unix__board="import machine, socket\nfrom room import part",
        tools__gridmote__cli="import typer\nfrom room import part\nfrom gridmote import pdc",
        host_tests__test_all="import firmware, boards, room, gridmote",
    )
    assert check.check_directions(root) == []


def test_syntax_error_is_a_finding(tmp_path):
    assert check.check_directions(tree(tmp_path, lib__room="x = \n"))[0].startswith("lib/room.py:1: ")


@pytest.mark.parametrize(
    "text, ports",
    [
        ("def f(a, /): pass", {"micropython", "micropython32"}),  # syntax that MicroPython has not
        ("x = 1\nfrom struct import iter_unpack", {"micropython", "micropython32"}),
        ("import micropython", {"CPython"}),
        ("1 / 0", {"CPython", "micropython", "micropython32"}),
        ("import sys\nsys.exit(3)", {"CPython", "micropython", "micropython32"}),
    ],
)
def test_module_that_does_not_import(tmp_path, text, ports):
    root = tree(tmp_path, lib__good="import struct", lib__room__part=text)
    found = check.check_lib_imports(root)
    assert {port for port in check.PORTS for line in found if f" on {port}" in line} == ports
    assert len(found) == len(ports)
    if "exit" not in text:
        line = text.count("\n") + 1
        assert all(finding.startswith(f"lib/room/part.py:{line}: ") for finding in found)


def test_error_in_a_neighbour_names_the_neighbour(tmp_path):
    root = tree(tmp_path, lib__part="import sys\nimport worse", lib__worse="\n\n1 / 0")
    assert all(line.startswith("lib/worse.py:3: ") for line in check.check_lib_imports(root))
