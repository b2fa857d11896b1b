"""Makes the source of a configuration's ADC inputs. Run once, then let go."""

from array import array

from boards.esp32.adc import Sampler
from boards.once import once
from boards.sampled import Sampled

_DEFAULT_HZ = 800
_MOST_HZ = 1600  # what a timer's callbacks in Python keep up with


def sampled(config, clock, depth_ms, pins):
    """The Sampled of a checked configuration. ValueError for a rate that is no whole number of microseconds."""
    adc = once("boards.adc", "plan", config, pins, _DEFAULT_HZ, depth_ms)
    if adc.fs_hz > _MOST_HZ or 1000000 % adc.fs_hz:
        raise ValueError("source.adc.fs_hz: 800, 1000, 1250 or 1600 on an ESP32, not %d" % adc.fs_hz)
    ring = array("H", bytes(2 * len(adc.gpios) * adc.block_samples * adc.blocks))
    return Sampled(Sampler(ring, adc.gpios, 1000000 // adc.fs_hz), clock, adc)
