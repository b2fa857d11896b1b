"""`gridmote frames`: C37.118 from a file, every frame decoded, or encoded again and compared."""

import json
import sys
import time
from collections import Counter
from itertools import chain
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from c37118.decode import decode
from c37118.frame import CFG1, CFG2, DATA, NAMES, FrameError, NoConfiguration
from c37118.splitter import Splitter
from gridmote.frame.describe import describe

_HEX_CONTROLS = b"\t\n\v\f\r"


def is_hex_text(sample):
    """Whether a file that begins with these bytes is text: a frame's head always holds control characters."""
    return all(b >= 0x20 or b in _HEX_CONTROLS for b in sample)


def read_frames(stream):
    """`read_hex` or `read_raw` of a binary stream, by what it begins with."""
    first = stream.read1(4096)
    if is_hex_text(first):
        return read_hex(chain((first + stream.readline()).splitlines(), stream))
    return read_raw(chain([first], iter(lambda: stream.read1(65536), b"")))


def read_hex(lines):
    """Yields (place dict, bytes or None, error or None) for every line that holds more than a comment."""
    for number, line in enumerate(lines, 1):
        text = line.decode("utf-8", "replace").lstrip("\ufeff").split("#", 1)[0].strip()
        if not text:
            continue
        tag, colon, digits = text.rpartition(":")
        place = {"line": number} | ({"tag": tag.strip()} if colon else {})
        try:
            yield place, bytes.fromhex(digits.replace("0x", "").replace(",", " ")), None
        except ValueError as error:
            yield place, None, f"not hex: {error}"


def read_raw(chunks):
    """As `read_hex`, from a stream in pieces; what is between frames comes with the reason."""
    skipped = {}
    splitter = Splitter(on_skip=lambda run: skipped.setdefault(splitter.frames, bytearray()).extend(run))
    offset = fed = given = 0
    for chunk in chunks:
        fed += len(chunk)
        frames = splitter.feed(chunk)
        for i, raw in enumerate(frames):
            gap = skipped.pop(given + i, None)
            if gap:
                yield {"offset": offset}, None, _why_skipped(gap)
                offset += len(gap)
            yield {"offset": offset}, raw, None
            offset += len(raw)
        given += len(frames)
    gap = skipped.pop(given, None)
    if gap:
        yield {"offset": offset}, None, _why_skipped(gap)
        offset += len(gap)
    if fed > offset:
        yield {"offset": offset}, None, f"{fed - offset} bytes at the end are no whole frame"


def _why_skipped(gap):
    try:
        decode(gap)
    except FrameError as error:
        return f"{len(gap)} bytes are no frame: {error}"
    return f"{len(gap)} bytes are no frame"


class Reader:
    """Decodes one frame after another; remembers the configuration of each IDCODE (CFG-2 before CFG-1)."""

    def __init__(self, roundtrip=False):
        self.roundtrip = roundtrip
        self.configs = {}
        self.counts = Counter()
        self.errors = self.unconfigured = self.differing = 0

    def examine(self, place, raw, error):
        """A dict of one record of `read_hex` or `read_raw`: what it is, "error" or "differences" in it."""
        record = dict(place)
        if error is None:
            record["bytes"] = len(raw)
            try:
                return record | self._decode(raw)
            except NoConfiguration as unknown:
                self.unconfigured += 1
                return record | {"kind": NAMES[DATA], "idcode": raw[4] << 8 | raw[5], "note": str(unknown)}
            except FrameError as refused:
                error = str(refused)
        self.errors += 1
        return record | {"error": error}

    def _decode(self, raw):
        config = self.configs.get(raw[4] << 8 | raw[5]) if len(raw) > 5 else None
        frame = decode(raw, config)
        if frame.kind == CFG2 or frame.kind == CFG1 and (config is None or config.kind == CFG1):
            self.configs[frame.idcode] = frame
        self.counts[NAMES[frame.kind]] += 1
        out = describe(frame, config)
        if self.roundtrip:
            again = frame.encode(config) if frame.kind == DATA else frame.encode()
            out["differences"] = differences(raw, again)
            self.differing += bool(out["differences"])
        return out

    @property
    def summary(self):
        totals = {"frames": dict(self.counts), "unconfigured": self.unconfigured, "errors": self.errors}
        return totals | ({"differing": self.differing} if self.roundtrip else {})

    def summary_line(self):
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.counts.items()) or "none"
        line = f"{sum(self.counts.values())} frames decoded ({kinds}), {self.errors} errors"
        if self.unconfigured:
            line += f", {self.unconfigured} data frames before their configuration not decoded"
        if self.roundtrip:
            line += f", {self.differing} differ when encoded again"
        return line


def differences(was, again):
    """[{offset, was, is}] for every byte that differs; None stands for a byte that is not there."""
    return [{"offset": i, "was": a, "is": b}
            for i in range(max(len(was), len(again)))
            if (a := was[i] if i < len(was) else None) != (b := again[i] if i < len(again) else None)]


def text_of(record):
    """Lines that tell a record to a reader."""
    place = record.get("tag") or (f"line {record['line']}" if "line" in record else f"at {record['offset']}")
    if "error" in record:
        return [f"{place}  ERROR  {record['error']}"]
    title = f"{place}  {record['kind']}  IDCODE {record['idcode']}"
    if "note" in record:
        return [f"{title}  {record['bytes']} bytes  {record['note']}"]
    lines = [f"{title}  {record['time']}  {', '.join(record['time_quality'])}"]
    if "command" in record:
        lines.append(f"  command {record['command']}: {record['meaning']}" +
                     (f"  EXTFRAME {record['extframe']}" if record["extframe"] else ""))
    elif "text" in record:
        lines += ["  " + ascii(part)[1:-1] for part in record["text"].splitlines()]
    elif "time_base" in record:
        lines.append(f"  TIME_BASE {record['time_base']}, {record['rate']}")
        for pmu in record["pmus"]:
            lines += _config_lines(pmu)
    else:
        for pmu in record["pmus"]:
            lines += _data_lines(pmu)
    return lines


def _config_lines(pmu):
    formats = ", ".join(f"{what} {how}" for what, how in pmu["formats"].items())
    yield f"  PMU {pmu['station']!a}  IDCODE {pmu['idcode']}  {pmu['nominal_hz']} Hz  CFGCNT {pmu['cfgcnt']}"
    yield f"    {formats}"
    for phasor in pmu["phasors"]:
        yield f"    phasor {phasor['name']!a}  {phasor['factor']}e-5 {phasor['unit']} a count"
    for analog in pmu["analogs"]:
        yield f"    analog {analog['name']!a}  {analog['type']}, factor {analog['factor']}"
    for word in pmu["digitals"]:
        names = " ".join(ascii(name) for name in word["names"] if name)
        yield f"    digital {names}  normal {word['normal']:04X} valid {word['valid']:04X}"


def _data_lines(pmu):
    status = ", ".join(pmu["status"])
    yield f"  PMU {pmu['station']!a}  IDCODE {pmu['idcode']}  STAT {pmu['stat']:04X}: {status}"
    for phasor in pmu["phasors"]:
        value = "absent"
        if phasor["magnitude"] is not None:
            value = f"{_show(phasor['magnitude'], 3)} {phasor['unit']} ∠ {_show(phasor['angle_deg'], 3)}°"
        yield f"    {phasor['name']!a}  {value}"
    yield f"    frequency {_show(pmu['frequency_hz'], 4)} Hz  ROCOF {_show(pmu['rocof_hz_s'], 3)} Hz/s"
    for analog in pmu["analogs"]:
        yield f"    {analog['name']!a}  {_show(analog['value'], 3)} ({analog['type']})"
    for word in pmu["digitals"]:
        states = " ".join(f"{bit['name']!a}={bit['state']}" for bit in word["valid_bits"])
        yield f"    digital {word['word']:04X}  {states}"


def _show(value, decimals):
    return "absent" if value is None else value if isinstance(value, str) else f"{value:.{decimals}f}"


def _difference_lines(record):
    def byte(value):
        return "none" if value is None else f"{value:02x}"

    place = text_of(record)[0]
    for d in record.get("differences", ()):
        yield f"{place}  byte {d['offset']}: was {byte(d['was'])}, is {byte(d['is'])}"


class _Ticker:
    """A line on stderr that counts frames, from two seconds on; not wanted where the output shows them."""

    def __init__(self, wanted):
        self._progress = Progress(TextColumn("{task.completed} frames read"), TimeElapsedColumn(),
                                  console=Console(stderr=True), transient=True) if wanted else None
        self._task = self._progress.add_task("") if wanted else None
        self._started_s = time.monotonic()
        self._shown = False

    def step(self):
        if self._progress:
            self._progress.advance(self._task)
            if not self._shown and time.monotonic() - self._started_s > 2:
                self._progress.start()
                self._shown = True

    def stop(self):
        if self._shown:
            self._progress.stop()


_FILE = typer.Argument(help="Hex text (one frame a line, 'tag: hex', # comments) or raw bytes; - is stdin.")
_ROUNDTRIP = typer.Option(
    "--roundtrip",
    help="Encode again what was decoded and show, instead of the frames, every byte that differs; "
    "exit status 1 if any does or any frame cannot be decoded.",
)
_JSON = typer.Option("--json", help="One JSON object a line, the summary last.")


def frames(
    file: Annotated[str, _FILE],
    roundtrip: Annotated[bool, _ROUNDTRIP] = False,
    as_json: Annotated[bool, _JSON] = False,
):
    """Decode the IEEE C37.118 frames of a file: data, header, CFG-1, CFG-2 and commands."""
    try:
        stream = sys.stdin.buffer if file == "-" else open(file, "rb")  # noqa: SIM115 closed below
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None
    console = Console(highlight=False, soft_wrap=True)
    reader = Reader(roundtrip)
    ticker = _Ticker(wanted=roundtrip or not console.is_terminal)
    with stream:
        for found in read_frames(stream):
            record = reader.examine(*found)
            ticker.step()
            if as_json:
                print(json.dumps(record, ensure_ascii=False, allow_nan=False))
            elif "error" in record:
                console.print(Text(text_of(record)[0], style="red"))
            else:
                lines = _difference_lines(record) if roundtrip else text_of(record)
                for line in lines:
                    console.print(Text(line, style="bold" if line[0] != " " and not roundtrip else ""))
    ticker.stop()
    if as_json:
        print(json.dumps({"summary": reader.summary}))
    else:
        console.print(Text(reader.summary_line(), style="bold"))
    if roundtrip and (reader.errors or reader.differing):
        raise typer.Exit(1)
