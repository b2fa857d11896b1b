"""The application for a board, compiled."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gridmote.fault import Fault
from needed import MAIN, ROOT, needed
from size import compile_one, prepare


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
    return (Path(root) / MAIN).read_bytes()
