"""Makes the source of a configuration's ADC inputs. Run once, then let go."""

from array import array

from boards.once import once
from boards.rp2.adc import Sampler
from boards.sampled import Sampled

_CLOCK = 48000000 * 256  # clk_adc, in steps of its divider (datasheet 4.9.2.2)
_LEAST, _MOST = 96 * 256, 65536 * 256 + 255  # a conversion takes 96 cycles; the divider has 16 + 8 bits
_DEFAULT_HZ = 1600


def sampled(config, clock, depth_ms, base, dreq):
    """The Sampled of a checked configuration. ValueError for a rate that the ADC does not have exactly."""
    adc = once("boards.adc", "plan", config, (26, 27, 28), _DEFAULT_HZ, depth_ms)
    width = len(adc.gpios)
    if not _exact(adc.fs_hz * width):
        raise ValueError("source.adc.fs_hz: %d inputs at %d Hz are no whole division of 48 MHz / 256; try %d"
                         % (width, adc.fs_hz, _nearest(adc.fs_hz, width)))  # fmt: skip
    for i, channel in enumerate(adc.channels):  # sampled one after the other
        channel["delay_ns"] = i * 1000000000 // (width * adc.fs_hz)
    ring = array("H", bytes(2 * width * adc.block_samples * adc.blocks))
    return Sampled(Sampler(ring, adc.gpios, _CLOCK // (adc.fs_hz * width), base, dreq), clock, adc)


def _exact(rate):
    return _CLOCK % rate == 0 and _LEAST <= _CLOCK // rate <= _MOST


def _nearest(fs_hz, width):
    off = 1
    while True:
        for candidate in (fs_hz - off, fs_hz + off):
            if 800 <= candidate <= 6400 and _exact(candidate * width):
                return candidate
        off += 1
