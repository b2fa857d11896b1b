"""Encoding and estimation on both word sizes, and pypmu on CPython."""

import json
import os
import subprocess
import sys

from host_tests.conftest import ROOT, Port

HERE = ROOT / "host_tests/bench"


def node(name, *args, timeout_s=300, **options):
    """What a node script of this folder prints, on one word size."""
    done = Port(name)(HERE / args[0], *args[1:], timeout_s=timeout_s, **options)
    if done.returncode:
        raise RuntimeError(f"{args[0]} on {name}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def pypmu(folder):
    """(microseconds a frame or None, notes); installed into a temporary folder."""
    target = folder / "pypmu"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
    install += ["--target", str(target), "-r", str(HERE / "pypmu.txt")]
    done = subprocess.run(install, capture_output=True, text=True, timeout=300)
    if done.returncode == 0:
        done = subprocess.run(
            [sys.executable, str(HERE / "pypmu.py")],
            env={**os.environ, "PYTHONPATH": str(target)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    if done.returncode:
        return None, ["pypmu was not measured: " + done.stderr.strip().splitlines()[-1]]
    return float(done.stdout), ["pypmu 1.0.0a0 on CPython, collections.Sequence put back for it"]


def run(folder):
    wide, narrow = node("micropython", "node_codec.py"), node("micropython32", "node_codec.py")
    figures = {name: value for name, value in wide.items() if name != "heap_bytes_per_frame"}
    figures |= {f"{name}_32": value for name, value in narrow.items()}
    time_us, notes = pypmu(folder)
    if time_us is not None:
        figures["encode_pypmu_us"] = time_us
        figures["encode_ratio_pypmu"] = time_us / wide["encode_us"]
        figures["encode_measured_ratio_pypmu"] = time_us / wide["encode_measured_us"]
    notes.append("encode: integers ready for the wire; encode_measured: from the estimator's values, scaled")
    return figures, notes
