"""pypmu building and encoding the 52-byte frame on CPython. Prints microseconds; run with pypmu on the path."""

import collections
import collections.abc
import time

collections.Sequence = collections.abc.Sequence  # it was written for Python < 3.10

from synchrophasor.frame import ConfigFrame2, DataFrame  # noqa: E402

CHANNELS = [f"P{i}" for i in range(6)] + ["A0", "A1"] + [f"D{i}" for i in range(16)]
config = ConfigFrame2(
    7, 1_000_000, 1, "BENCH", 7, (True, False, False, False), 6, 2, 1, CHANNELS,
    [(25000, "v")] * 6, [(1, "pow")] * 2, [(0, 0xFFFF)], 50, 1, 50,
)  # fmt: skip
PHASORS = [(22000 + i, 11700 - 3 * i) for i in range(6)]


def frame():
    status = ("ok", True, "timestamp", False, False, False, 0, "<10", 0)
    data = DataFrame(7, status, PHASORS, 1234, 251, [100, 101], [102], config, 1_800_000_000, 20_000)
    return data.convert2bytes()


assert len(frame()) == 52
rounds = []
for _ in range(9):
    begin = time.perf_counter()
    for _ in range(500):
        frame()
    rounds.append((time.perf_counter() - begin) / 500 * 1e6)
print(sorted(rounds)[4])
