"""What `source.adc` of a configuration asks for. Run once, then let go."""

from array import array

_KEYS = {"fs_hz", "vref_mv", "inputs"}
_INPUT = {"gpio", "name", "kind", "phase", "ratio", "offset_mv"}
_FULL = 4096  # counts of 12 bits
_UP = 8  # blocks have them times this


class Plan:
    """fs_hz, block_samples, channels (see boards/README.md), gpios, offsets (12-bit counts), rounds of blocks."""


def plan(config, pins, default_hz, depth_ms):
    """The Plan of a checked configuration. pins: GPIOs that have an ADC; depth_ms: how far back the ring
    is to reach. ValueError names the key and what is allowed.
    """
    adc = config["source"]["adc"]
    _known("source.adc", adc, _KEYS)
    result = Plan()
    result.fs_hz = _number("source.adc.fs_hz", adc.get("fs_hz", default_hz), 800, 6400)
    vref_mv = _number("source.adc.vref_mv", adc.get("vref_mv", 3300), 1000, 5000)
    inputs = adc.get("inputs")
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= 3:
        raise ValueError("source.adc.inputs: a list of 1 to 3 inputs is needed")
    found = []
    for i, one in enumerate(inputs):
        found.append(_input("source.adc.inputs[%d]" % i, one, pins, vref_mv))
    found.sort(key=lambda one: one[0])  # as the round robin takes them
    result.gpios = [one[0] for one in found]
    if len(set(result.gpios)) < len(found):
        raise ValueError("source.adc.inputs: a GPIO is there twice")
    result.offsets = array("H", [one[1] for one in found])
    result.channels = [one[2] for one in found]
    result.block_samples = max(1, result.fs_hz * config["measurement"]["block_ms"] // 1000)
    # one block more: that which is read while the next is filled
    result.blocks = -(-depth_ms * result.fs_hz // (1000 * result.block_samples)) + 1
    return result


def _input(path, one, pins, vref_mv):
    """(GPIO, offset in counts, channel)."""
    _known(path, one, _INPUT)
    gpio = one.get("gpio")
    if gpio not in pins:
        raise ValueError("%s.gpio: one of %s, not %r" % (path, ", ".join([str(p) for p in pins]), gpio))
    kind = one.get("kind", "V")
    phase = one.get("phase", "")
    if kind not in ("V", "I"):
        raise ValueError("%s.kind: 'V' or 'I', not %r" % (path, kind))
    if phase not in ("A", "B", "C", "N", ""):
        raise ValueError("%s.phase: 'A', 'B', 'C', 'N' or '', not %r" % (path, phase))
    ratio = one.get("ratio")
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not ratio:
        raise ValueError("%s.ratio: volts or amperes for one volt at the pin, not %r" % (path, ratio))
    offset_mv = _number(path + ".offset_mv", one.get("offset_mv", vref_mv // 2), 0, vref_mv)
    name = one.get("name", kind + phase)
    if not isinstance(name, str) or not name:
        raise ValueError("%s.name: a name, not %r" % (path, name))
    # a negative ratio is a transducer the other way round: half a turn
    scale = ratio * vref_mv / 1000 / _FULL / _UP
    channel = {"name": name, "kind": kind, "phase": phase, "scale": scale}
    return gpio, min(offset_mv * _FULL // vref_mv, _FULL - 1), channel


def _known(path, given, keys):
    if not isinstance(given, dict):
        raise ValueError("%s: an object is needed, not %r" % (path, given))
    for key in given:
        if key not in keys:
            raise ValueError("%s.%s: unknown; allowed are %s" % (path, key, ", ".join(sorted(keys))))


def _number(path, value, least, most):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError("%s: a whole number from %d to %d, not %r" % (path, least, most, value))
    return value
