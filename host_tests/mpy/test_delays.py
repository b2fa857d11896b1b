"""Channels that are sampled one after the other: their angles are those of the stamp, in polar and rectangular."""

import math
from array import array

from phasor.estimator import Estimator

FS_HZ, F0_HZ, RATE, BLOCK = 1600, 50, 50, 32
SEC = 1_790_000_000 - (1 << 31)


def angles(hz, delays_ns, told, rectangular, magnitude=8000):
    """Largest error of an angle (degrees) over frames and channels, each a cosine of its own angle."""
    channels = len(delays_ns)
    out = array("i", bytes(16 * channels))
    given = {"delays_ns": delays_ns} if told else {}
    estimator = Estimator(FS_HZ, F0_HZ, RATE, channels, BLOCK, out, rectangular=rectangular, **given)
    first = [0.3 - 1.1 * c for c in range(channels)]
    worst = 0
    for n in range(0, FS_HZ // 2, BLOCK):
        block = array("h")
        for i in range(n, n + BLOCK):
            for c in range(channels):
                t = i / FS_HZ + delays_ns[c] / 1e9
                block.append(round(magnitude * math.cos(2 * math.pi * hz * t + first[c])))
        estimator.push(block, BLOCK, SEC, n * 1000000000 // FS_HZ)
        while estimator.next():
            t = estimator.frame / RATE
            for c in range(channels):
                a, b = out[4 * c], out[4 * c + 1]
                angle = math.atan2(b, a) if rectangular else b / (1 << 30) * 2 * math.pi
                off = angle - first[c] - 2 * math.pi * (hz - F0_HZ) * t
                off = (off + math.pi) % (2 * math.pi) - math.pi
                worst = max(worst, abs(math.degrees(off)))
                size = math.sqrt(a * 1.0 * a + b * 1.0 * b) if rectangular else a
                assert abs(size / (1 << 14) / (magnitude / math.sqrt(2)) - 1) < 0.002
    return worst


ROUND_ROBIN = [0, 1e9 / 3 / FS_HZ, 2e9 / 3 / FS_HZ]
for hz in (47.5, 49.3, 50, 51.7):
    for rectangular in (False, True):
        plain = angles(hz, [0, 0, 0], False, rectangular)
        told = angles(hz, ROUND_ROBIN, True, rectangular)
        untold = angles(hz, ROUND_ROBIN, False, rectangular)
        # what it is when nobody corrects it: the advance of the signal within the delay
        advance = 360 * hz * ROUND_ROBIN[2] / 1e9
        assert abs(untold - advance) < 0.1, (hz, untold, advance)
        assert plain < 0.05 and told < 0.05, (hz, rectangular, plain, told)
