"""Magnitude and angle to rectangular against the closed form; absent stays absent."""

import math
from array import array

from phasor.kernel import ABSENT, to_rectangular

for magnitude in (1 << 29, 379631616, 12345678, 54321, 100):
    for k in range(-64, 64):
        angle = (k << 23) + (k * 7919) % 4096
        values = array("i", [magnitude, angle, 0, 0])
        to_rectangular(values, 1)
        radians = angle / (1 << 30) * 2 * math.pi
        tolerance = max(1, magnitude / (1 << 22))
        assert abs(values[0] - magnitude * math.cos(radians)) <= tolerance, (magnitude, angle, values)
        assert abs(values[1] - magnitude * math.sin(radians)) <= tolerance, (magnitude, angle, values)
values = array("i", [77, ABSENT, 1, 2, 0, 5, 3, 4])
to_rectangular(values, 2)
assert list(values) == [ABSENT, ABSENT, 1, 2, 0, 0, 3, 4]
