"""C37.118 frames in words and engineering units, as dictionaries that JSON can hold."""

import cmath
import math
from datetime import UTC, datetime, timedelta

from c37118.config import CURRENT, VOLTAGE
from c37118.frame import CFG1, CFG2, COMMAND, DATA, NAMES

_WITHIN = ("1 ns", "10 ns", "100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s")
_MSG_TQ = {0: "locked to UTC", 15: "clock fault, time not reliable"}
_MSG_TQ |= {n: f"within {text} of UTC" for n, text in enumerate(_WITHIN, 1)}
_DATA_ERROR = ("good", "PMU error, no information", "test mode or absent data", "PMU error, do not use")
_STAT_BITS = (
    (13, "not synchronised to UTC"),
    (12, "sorted by arrival"),
    (11, "trigger"),
    (10, "configuration changes soon"),
    (9, "data modified"),
)
_PMU_TQ = (None, "time within 100 ns", "time within 1 µs", "time within 10 µs", "time within 100 µs",
           "time within 1 ms", "time within 10 ms", "time beyond 10 ms or unknown")
_UNLOCKED = (None, "unlocked for 10 s", "unlocked for 100 s", "unlocked for over 1000 s")
_TRIGGER = {0: "manual", 1: "magnitude low", 2: "magnitude high", 3: "phase angle", 4: "frequency",
            5: "df/dt", 7: "digital"}
_COMMANDS = {1: "data off", 2: "data on", 3: "send header", 4: "send CFG-1", 5: "send CFG-2", 6: "send CFG-3",
             8: "extended frame"}
_UNITS = {VOLTAGE: "V", CURRENT: "A"}
_ANALOG_TYPES = {0: "point on wave", 1: "rms", 2: "peak"}


def describe(frame, config=None):
    """A dict of the decoded `frame`; config: the Config of its IDCODE, which all but data frames can lack.

    Angles in degrees, frequency in Hz, ROCOF in Hz/s, phasors in V and A; what is absent is None.
    """
    if frame.kind in (CFG1, CFG2):
        config = frame
    out = {
        "kind": NAMES[frame.kind], "idcode": frame.idcode, "version": frame.version,
        "time": utc(frame, config), "soc": frame.soc, "fracsec": frame.fracsec,
        "time_quality": time_quality(frame.tq), "tq": frame.tq,
    }
    if frame.kind == DATA:
        out["pmus"] = [_pmu_data(block, pmu) for block, pmu in zip(frame.pmus, config.pmus, strict=True)]
    elif frame.kind == COMMAND:
        out |= {"command": frame.cmd, "meaning": command_words(frame.cmd), "extframe": frame.ext.hex()}
    elif frame.kind in (CFG1, CFG2):
        rate = f"{frame.rate} frames a second" if frame.rate > 0 else f"{-frame.rate} seconds a frame"
        out |= {"time_base": frame.time_base, "data_rate": frame.rate, "rate": rate,
                "pmus": [_pmu_config(pmu) for pmu in frame.pmus]}
    else:
        out["text"] = frame.text
    return out


def utc(frame, config):
    """ISO 8601 to the microsecond; without a usable TIME_BASE the second only."""
    time = datetime.fromtimestamp(frame.soc, UTC).replace(tzinfo=None)
    time_base = config.time_base & 0xFFFFFF if config else 0
    if not time_base:
        return time.isoformat() + "Z"
    time += timedelta(microseconds=round(frame.fracsec * 1_000_000 / time_base))
    return time.isoformat(timespec="microseconds") + "Z"


def time_quality(tq):
    """The words of the time quality byte, a list (Table 3 and clause 6.2.2)."""
    words = [_MSG_TQ.get(tq & 15, f"reserved time quality {tq & 15:X}")]
    what = "deletion" if tq & 0x40 else "insertion"
    if tq & 0x10:
        words.append(f"leap second {what} pending")
    if tq & 0x20:
        words.append(f"leap second {what} occurred")
    return words


def stat_words(stat):
    """The words of a STAT word, a list that begins with the data error (Table 7)."""
    words = [_DATA_ERROR[stat >> 14]] + [text for bit, text in _STAT_BITS if stat >> bit & 1]
    if stat >> 11 & 1:
        words[words.index("trigger")] = "trigger: " + _TRIGGER.get(stat & 15, f"reason {stat & 15:X}")
    return words + [text for text in (_PMU_TQ[stat >> 6 & 7], _UNLOCKED[stat >> 4 & 3]) if text]


def command_words(cmd):
    user = "user command" if 0x0100 <= cmd <= 0x0FFF else "reserved"
    return _COMMANDS.get(cmd, user)


def _number(value):
    """JSON has neither NaN nor infinity."""
    return None if value != value else str(value) if math.isinf(value) else value


def _name(name):
    """Without the NULs that some devices pad names with."""
    return name.rstrip("\0 ")


def _pmu_data(block, pmu):
    phasors = []
    for i, (name, kind, _) in enumerate(pmu.phasors):
        value = block.phasor(pmu, i)
        phasors.append({
            "name": _name(name), "unit": _UNITS.get(kind, "?"),
            "magnitude": None if value is None else _number(abs(value)),
            "angle_deg": None if value is None else _number(math.degrees(cmath.phase(value))),
        })
    digitals = []
    for word, (names, _, valid) in zip(block.digitals, pmu.digitals, strict=True):
        bits = [{"name": _name(name), "state": word >> i & 1}
                for i, name in enumerate(names) if valid >> i & 1]
        digitals.append({"word": word, "valid_bits": bits})
    return {
        "station": _name(pmu.stn), "idcode": pmu.idcode, "stat": block.stat, "status": stat_words(block.stat),
        "phasors": phasors,
        "frequency_hz": _number(block.frequency_hz(pmu)), "rocof_hz_s": _number(block.rocof_hz_s(pmu)),
        "analogs": [{"name": _name(name), "type": analog_type(kind), "value": _number(block.analog(pmu, i))}
                    for i, (name, kind, _) in enumerate(pmu.analogs)],
        "digitals": digitals,
    }


def analog_type(kind):
    return _ANALOG_TYPES.get(kind, f"user type {kind}" if kind > 64 else f"reserved type {kind}")


def _pmu_config(pmu):
    def number(is_float):
        return "float32" if is_float else "int16"

    return {
        "station": _name(pmu.stn), "idcode": pmu.idcode, "format": pmu.fmt,
        "formats": {"phasors": number(pmu.phasors_float) + (" polar" if pmu.polar else " rectangular"),
                    "analogs": number(pmu.analogs_float), "frequency": number(pmu.freq_float)},
        "phasors": [{"name": _name(name), "unit": _UNITS.get(kind, "?"), "factor": factor}
                    for name, kind, factor in pmu.phasors],
        "analogs": [{"name": _name(name), "type": analog_type(kind), "factor": factor}
                    for name, kind, factor in pmu.analogs],
        "digitals": [{"names": [_name(name) for name in names], "normal": normal, "valid": valid}
                     for names, normal, valid in pmu.digitals],
        "nominal_hz": pmu.f0_hz, "cfgcnt": pmu.cfgcnt,
    }
