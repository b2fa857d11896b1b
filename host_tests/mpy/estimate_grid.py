"""Estimates a synthetic grid: argument {"grid": {...}, "rate": 50, "frames": 20}, one JSON line a frame."""

import json
import sys
from array import array

from boards.synthetic import Synthetic
from phasor.estimator import Estimator

task = json.loads(sys.argv[1])
block_samples = task.get("block_samples", 32)
source = Synthetic(task["grid"], block_samples)
channels = len(source.channels)
out = array("i", bytes(16 * channels))
estimator = Estimator(source.fs_hz, source.f0_hz, task["rate"], channels, block_samples, out)
start = -300000000
source.start(start)
frames = 0
while frames < task["frames"]:
    n = source.fill()
    estimator.push(source.block, n, source.sec, source.ns)
    while estimator.next() and frames < task["frames"]:
        print(json.dumps([estimator.sec - start, estimator.frame, list(out)]))
        frames += 1
scales = [c["scale"] for c in source.channels]
print(json.dumps({"gaps": estimator.gaps, "skipped": estimator.skipped, "scale": scales}))
