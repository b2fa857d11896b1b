"""How a node's measurements are framed: its CFG-2 and the writer of its data frames. Run once, then let go."""

import math

from c37118.config import CURRENT, FNOM_50_HZ, VOLTAGE, Config, PmuConfig
from c37118.writer import DataWriter

_FORMAT = {"int16-polar": 1, "int16-rectangular": 0, "float32-polar": 0x0B, "float32-rectangular": 0x0A}


def framing(measurement, source, clock):
    """(DataWriter, bytes of the CFG-2 frame, FRACSEC counts between frames, the channel of FREQ) for a source.

    PHUNIT is chosen so that a full-scale sine nearly fills the integer; it is a whole number of 10^-5 V or A,
    and the writer divides by just that. TIME_BASE is a multiple of the rate, so that every stamp is exact.
    """
    rate = measurement["rate"]
    fmt = _FORMAT[measurement["format"]]
    counts = 65000 if fmt & 1 else 32500
    phasors = []
    for channel in source.channels:
        unit = math.ceil(32768 / math.sqrt(2) * channel["scale"] / counts * 1e5)
        if fmt & 2:
            unit = min(unit, 0xFFFFFF)  # floats do not use it
        if not 1 <= unit < 1 << 24:
            raise ValueError(
                "channel %s: %g per count cannot be framed as int16" % (channel["name"], channel["scale"])
            )
        phasors.append((channel["name"][:16], VOLTAGE if channel["kind"] == "V" else CURRENT, unit))
    pmu = PmuConfig(
        measurement["station"],
        measurement["idcode"],
        fmt,
        phasors,
        fnom=FNOM_50_HZ if measurement["f0_hz"] == 50 else 0,
    )
    first = measurement["frequency_from"]
    if first >= len(phasors):
        raise ValueError(
            "measurement.frequency_from: %d, but the source has channels 0 to %d" % (first, len(phasors) - 1)
        )
    if first < 0:
        first = ([i for i, phasor in enumerate(phasors) if phasor[1] == VOLTAGE] or [0])[0]
    scales = [channel["scale"] for channel in source.channels]
    writer = DataWriter(pmu, measurement["idcode"], scales, first)
    time_base = 1000000 // rate * rate
    sec, _ = clock.next_second()
    frame = Config(measurement["idcode"], [pmu], rate, time_base=time_base, soc=sec + (1 << 31), tq=clock.tq)
    return writer, frame.encode(), time_base // rate, first
