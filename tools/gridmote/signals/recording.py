"""A COMTRADE recording becomes what the node replays: voltages and currents at one whole sampling rate.

COMTRADE 1991, 1999 and 2013 (IEEE C37.111), ASCII, BINARY, BINARY32 and FLOAT32, .cfg with .dat or .cff.
"""

import re
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import comtrade
import numpy as np

from gridmote.signals import seamless
from gridmote.signals.gmr import to_counts, write_gmr
from gridmote.signals.resample import resample
from waveform import MAX_FS_HZ
from waveform.gmr import RecordingError

_UNIT = re.compile(r"([kmuµμ]?)(v|volts?|a|amps?|amperes?)", re.IGNORECASE)
_PREFIX = {"": 1.0, "k": 1e3, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6}
_PHASES = (("A", "A L1 R 1 AN A-N"), ("B", "B L2 S 2 BN B-N"), ("C", "C L3 T 3 CN C-N"), ("N", "N G E 0"))
_PHASE = {word: phase for phase, words in _PHASES for word in words.split()}
_SECTION = re.compile(rb"(?im)^[ \t]*--- *file type: *(\w+)[^\r\n]*---[ \t]*\r?\n")
_VALUE_BYTES = {"BINARY": 2, "BINARY32": 4, "FLOAT32": 4}
_MISSING = 1e30  # FLOAT32 marks a missing value with the most negative number


@dataclass
class Recording:
    """`values`: (samples, channels) in V or A; `channels`: name, kind, phase, resolution (V or A a count)."""

    path: str
    fs_hz: int
    f0_hz: int
    channels: list
    values: np.ndarray
    notes: list = field(default_factory=list)  # what was assumed, skipped or changed
    loop: seamless.Loop | None = None
    start: datetime | None = None  # of the first sample as the .cfg states it, taken for UTC; None: it does not


def unit_factor(unit):
    """(kind "V" or "I", V or A a unit); None for others. "MV" is mega, "mV" milli; "MA" is milli too."""
    match = _UNIT.fullmatch(unit.strip())
    if not match:
        return None
    kind = "V" if match[2][0] in "vV" else "I"
    return kind, 1e6 if match[1] == "M" and kind == "V" else _PREFIX[match[1].lower()]


def _text(raw):
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _parts(path):
    """The configuration's text and the data's bytes of a .cfg with its .dat, or of a .cff."""
    raw = path.read_bytes()
    if path.suffix.lower() == ".cff":
        marks = list(_SECTION.finditer(raw))
        kinds = [mark[1].upper() for mark in marks]
        if b"CFG" not in kinds or b"DAT" not in kinds:
            raise RecordingError(f"{path}: no CFG or no DAT section")
        cfg = kinds.index(b"CFG")
        end = marks[cfg + 1].start() if cfg + 1 < len(marks) else len(raw)
        return _text(raw[marks[cfg].end() : end]), raw[marks[kinds.index(b"DAT")].end() :]
    if path.suffix.lower() != ".cfg":
        raise RecordingError(f"{path}: a .cfg or .cff file expected")
    for other in sorted(path.parent.iterdir()):
        if other.stem == path.stem and other.suffix.lower() == ".dat":
            return _text(raw), other.read_bytes()
    raise RecordingError(f"{path}: its .dat file is missing")


def _load(path):
    """The parsed recording and the number of rows that its data really has."""
    try:
        text, data = _parts(path)
        cfg = comtrade.Cfg(ignore_warnings=True)
        cfg.read(text)
        lines = text.splitlines()
        at = 3 + cfg.analog_count + cfg.status_count  # the line with the number of rates
        if len(cfg.sample_rates) == 1 and cfg.sample_rates[0][0] == 0:
            lines[at] = "0"  # some writers say one rate, of 0: the time stamps are meant
        kind = cfg.ft.upper()
        if kind == "ASCII":
            data = "\n".join(s for s in _text(data).replace("\x1a", "").splitlines() if s.strip(" ,"))
            rows = data.count("\n") + 1 if data else 0
        elif kind in _VALUE_BYTES:
            rows = len(data) // (8 + cfg.analog_count * _VALUE_BYTES[kind] + 2 * -(-cfg.status_count // 16))
        else:
            raise RecordingError(f"{path}: data file type {cfg.ft!r} is unknown")
        record = comtrade.Comtrade(ignore_warnings=True, use_numpy_arrays=True, use_double_precision=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record.read("\n".join(lines), data)
    except OSError as e:
        raise RecordingError(f"{path}: {e.strerror}") from e
    except RecordingError:
        raise
    except (ValueError, IndexError, TypeError, OverflowError, MemoryError, comtrade.ComtradeError) as e:
        raise RecordingError(f"{path}: not a COMTRADE recording that can be read ({e})") from e
    if rows == 0:
        raise RecordingError(f"{path}: holds no samples")
    return record, rows


def _uniform_rate(path, time_s, tick_s):
    """The sampling rate that the time stamps have; RecordingError where they leave it."""
    span = time_s[-1] - time_s[0] if len(time_s) > 2 else 0
    if span <= 0:
        raise RecordingError(f"{path}: no sampling rate, and no rising time stamps either")
    period = span / (len(time_s) - 1)
    off = np.abs(time_s - time_s[0] - period * np.arange(len(time_s)))
    worst = int(np.argmax(off))
    if off[worst] > max(2 * tick_s, 0.05 * period):
        raise RecordingError(
            f"{path}: no sampling rate, and the time stamps are not uniform "
            f"(sample {worst + 1} is {off[worst] * 1e6:.0f} µs off)"
        )
    return 1 / period


def _section(path, record, rows, notes):
    """(rate in Hz, first, end) of the longest stretch of one rate."""
    sections, first = [], 0
    for rate, last in record.cfg.sample_rates:
        if sections and sections[-1][0] == rate:
            first = sections.pop()[1]
        sections.append((rate, first, min(int(last), rows)))
        first = int(last)
    if record.cfg.sample_rates[-1][1] > rows:
        notes.append(f"cut off: {rows} of {record.cfg.sample_rates[-1][1]} samples are there")
    if len(sections) > 1 and not all(rate > 0 for rate, _, _ in sections):
        raise RecordingError(f"{path}: several sampling rates, and one of them is 0")
    rate, first, end = max(sections, key=lambda s: (s[2] - s[1]) / (s[0] or 1))
    if len(sections) > 1:
        notes.append(f"{len(sections)} rates: only samples {first + 1} to {end} are used, {rate:g} Hz")
    if end - first < 2:
        raise RecordingError(f"{path}: holds {max(end - first, 0)} samples")
    if rate == 0:
        tick_s = record.time_base * record.cfg.timemult
        rate = _uniform_rate(path, np.asarray(record.time)[first:end], tick_s)
        notes.append(f"the sampling rate, {rate:.6g} Hz, is that of the time stamps")
    if not (rate > 0 and np.isfinite(rate)):
        raise RecordingError(f"{path}: sampling rate {rate:g} Hz")
    return rate, first, end


def _filled(channel, values, notes):
    """`values` without gaps; None when nothing is left."""
    bad = ~np.isfinite(values) | (np.abs(values) > abs(channel.a) * _MISSING)
    if bad.all():
        return None
    if bad.any():
        notes.append(f"{channel.name}: {bad.sum()} missing values interpolated")
        index = np.arange(len(values))
        between = np.interp(index[bad], index[~bad], values[~bad])
        step = channel.a or 1.0
        values = values.copy()
        values[bad] = channel.b + step * np.round((between - channel.b) / step)
    return values


def _selected(path, analog, wanted):
    """Indices of the wanted channels (names, or numbers from 1), in that order; all when none are named."""
    if not wanted:
        return list(range(len(analog)))
    names = [channel.name.strip() for channel in analog]
    chosen = []
    for one in map(str, wanted):
        if one in names:
            chosen.append(names.index(one))
        elif one.isdigit() and 1 <= int(one) <= len(names):
            chosen.append(int(one) - 1)
        else:
            raise RecordingError(f"{path}: no channel {one!r}, there are {', '.join(names)}")
    return chosen


def _start(record, after_s):
    """The time after_s behind the first sample's time stamp; None when that is none."""
    stamp = record.start_timestamp
    if not isinstance(stamp, datetime) or stamp.year < 1970:
        return None
    return stamp.replace(tzinfo=UTC) + timedelta(seconds=after_s)


def nominal_hz(written_hz, values, fs_hz):
    """50 or 60: what is nearest to the frequency written or, without one, to the strongest line."""
    if written_hz <= 0:
        x = values - values.mean(axis=0)
        spectrum = (np.abs(np.fft.rfft(x / (x.std(axis=0) + 1e-300), 8 * fs_hz, axis=0)) ** 2).sum(axis=1)
        written_hz = np.argmax(spectrum[: 8 * 100]) / 8
    return 60 if written_hz > 55 else 50


def read(path, channels=None, f0_hz=None):
    """The voltages and currents of a COMTRADE file, and notes on all that was decided; RecordingError."""
    path = Path(path)
    record, rows = _load(path)
    notes, found, columns = [], [], []
    rate, first, end = _section(path, record, rows, notes)
    fs_hz = round(rate / np.ceil(rate / MAX_FS_HZ))
    if fs_hz < 1:
        raise RecordingError(f"{path}: sampling rate {rate:g} Hz")
    step = rate / fs_hz
    if abs(step - 1) < 1e-9:
        step = 1.0
    else:
        notes.append(f"resampled from {rate:.9g} to {fs_hz} Hz")
    positions = np.arange(int((end - first - 1) / step + 1e-9) + 1) * step
    for k in _selected(path, record.cfg.analog_channels, channels):
        channel = record.cfg.analog_channels[k]
        name = channel.name.strip() or f"channel {channel.n}"
        unit = unit_factor(channel.uu)
        values = unit and _filled(channel, np.asarray(record.analog[k], float)[first:end], notes)
        if values is None:
            notes.append(f"{name}: skipped, " + ("empty" if unit else f"its unit is {channel.uu!r}"))
            continue
        resolution = abs(channel.a) * unit[1]
        shift = channel.skew * 1e-6 * rate  # samples by which the channel was taken late
        if step != 1 or shift:
            values, resolution = resample(values, positions - shift, step), 0.0
        if channel.skew:
            notes.append(f"{name}: time skew of {channel.skew:g} µs taken out")
        columns.append(values * unit[1])
        phase = _PHASE.get(channel.ph.strip().upper(), "")
        found.append({"name": name, "kind": unit[0], "phase": phase, "resolution": resolution})
        side = {"P": "primary", "S": "secondary"}.get(channel.pors.strip().upper(), "unstated")
        notes.append(f"{name}: {side} values, transformer {channel.primary:g}:{channel.secondary:g}")
    if not found:
        raise RecordingError(f"{path}: no voltage and no current in it: {'; '.join(notes)}")
    values = np.column_stack(columns)
    f0_hz = f0_hz or nominal_hz(record.cfg.frequency, values, fs_hz)
    return Recording(str(path), fs_hz, f0_hz, found, values, notes, start=_start(record, first / rate))


def convert(path, out_path, channels=None, repeat=True, f0_hz=None):
    """Write `path` (.cfg or .cff) as a .gmr file; returns the Recording. With `repeat`, the file holds a loop
    that continues in phase (the voltages rule, if there are any), cross-faded, and ends with it.
    """
    recording = read(path, channels, f0_hz)
    if repeat:
        volts = [k for k, channel in enumerate(recording.channels) if channel["kind"] == "V"]
        ruling = recording.values[:, volts] if volts else recording.values
        try:
            recording.loop = loop = seamless.choose(ruling, recording.fs_hz, recording.f0_hz)
        except ValueError as e:
            raise RecordingError(f"{path}: {e}") from e
        recording.notes.append(f"repeated from {loop.end} to {loop.start}, phase step {loop.step_deg:+.4f}°")
    counts = []
    for channel, values in zip(recording.channels, recording.values.T, strict=True):
        column, channel["scale"] = to_counts(values, channel["resolution"])
        counts.append(column)
    counts = np.column_stack(counts)
    if recording.loop:
        counts = np.round(seamless.blend(counts, recording.loop))
    loop = recording.loop and (recording.loop.start, recording.loop.length)
    write_gmr(out_path, recording.channels, recording.fs_hz, counts, recording.f0_hz, loop)
    return recording
