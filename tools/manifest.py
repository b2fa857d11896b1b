# ruff: noqa: F821
"""Freezes into an image of MicroPython what `gridmote flash` would send to options.board, and boards/main.py.

Included by boards/*/manifest.py; `make setup` first, which fetches umqtt.simple.
"""

import os
import sys

sys.path.insert(0, os.getcwd())  # a manifest runs in its own folder
from needed import MAIN, ROOT, needed  # noqa: E402

_PLACES = {"lib/umqtt/": ".deps/umqtt", "lib/": "lib", "": "."}  # head of the path on the node: folder to freeze
_parts = {place: [] for place in _PLACES.values()}
for _path in needed(options.board):
    _head = next(head for head in _PLACES if _path.startswith(head))
    _parts[_PLACES[_head]].append(_path.removeprefix("lib/") if _head else _path)
for _place, _names in _parts.items():
    freeze(str(ROOT / _place), tuple(_names))
freeze(str(ROOT / "boards"), os.path.basename(MAIN))  # runs before the file system's main.py
