"""From a block of samples to a committed frame nothing is allocated: a locked heap, 1,000 frames, every FORMAT."""

import micropython

from boards.synthetic import Synthetic
from c37118.config import PmuConfig
from c37118.writer import DataWriter
from energy.registers import Registers
from firmware.meter import Meter
from outbox.ring import Ring
from phasor.estimator import Estimator
from phasor.trigger import Trigger


class Clock:
    tq = 0x0F
    stat = 0x2000


def run(fs_hz, fmt, frames):
    block_samples = fs_hz // 50
    source = Synthetic({"fs_hz": fs_hz, "frequency_offset_hz": 0.123, "noise_counts": 3.0}, block_samples)
    source.timed = True
    source.start(-350000001)  # a second goes by at once
    phasors = [(c["name"], c["kind"] == "I", 5000) for c in source.channels]
    pmu = PmuConfig("TEST", 7, fmt, phasors, [], [], 1, 0)
    writer = DataWriter(pmu, 7, [c["scale"] for c in source.channels])
    estimator = Estimator(fs_hz, 50, 50, len(phasors), block_samples, writer.values, 8, not pmu.polar)
    ring = Ring(256, writer.size)  # it fills up and overflows: that allocates nothing either
    ring.trigger = lambda now: None
    registers = Registers(source.channels, writer.values, 50, not pmu.polar)
    trigger = Trigger(source.channels, writer.values, 50, 0, 230, 100, 500, 90, 110, not pmu.polar)
    meter = Meter(source, estimator, writer, ring, Clock(), 20000, 0x8000, lambda: None, registers, trigger)
    meter.take()
    micropython.heap_lock()
    while meter.frames < frames:
        meter.take()
    micropython.heap_unlock()
    assert (estimator.gaps, estimator.skipped) == (0, 0)
    assert registers.phases == "ABC" and meter.triggers
    assert ring.dropped == frames - 256 and len(ring) == 256


for fmt in range(16):
    run(1600, fmt, 1000 if fmt in (1, 0x0B) else 300)
run(5760, 1, 1000)
run(4001, 1, 1000)
