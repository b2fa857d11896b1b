"""`gridmote export`: the frames of one PMU of an archive as CSV, a row each."""

import cmath
import csv
import math
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from c37118.config import CURRENT
from c37118.data import Data
from c37118.decode import decode
from c37118.frame import FrameError
from gridmote.archive.view import opened, parse_time, topics_of, utc, watched
from gridmote.fault import Fault, give_up
from gridmote.frame.raw import grid_of, idcode_of, stamp_us

_SQLITE = b"SQLite format 3\0"
_PARTS = ("", "-wal", "-shm", "-journal")  # files of one SQLite database
_HEAD = ("time_utc", "soc", "fracsec", "time_quality")


class Layout:
    """How the frames of one CFG-2 become rows. `columns`: names of the columns."""

    def __init__(self, raw):
        self.config = decode(raw)
        self.time_base = grid_of(raw)[0]
        names = [name for pmu in self.config.pmus for name in _names(pmu, len(self.config.pmus) > 1)]
        self.columns = (*_HEAD, *_distinct(names))

    def row(self, frame):
        """Frame bytes -> list of what csv writes; what is absent is empty. FrameError when it does not fit."""
        data = Data.decode(frame, self.config)
        row = [utc(stamp_us(frame, self.time_base)), data.soc, data.fracsec, "0x%02X" % data.tq]
        for block, pmu in zip(data.pmus, self.config.pmus, strict=True):
            row += ["0x%04X" % block.stat, _shown(block.frequency_hz(pmu)), _shown(block.rocof_hz_s(pmu))]
            for i in range(len(pmu.phasors)):
                phasor = block.phasor(pmu, i)
                if phasor is None:
                    row += ["", ""]
                else:
                    row += [_shown(abs(phasor)), _shown(math.degrees(cmath.phase(phasor)))]
            row += [_shown(block.analog(pmu, i)) for i in range(len(pmu.analogs))]
            row += ["0x%04X" % word for word in block.digitals]
        return row


def _names(pmu, several):
    """Names of the columns of one PMU; with its station before them where a frame has several."""
    names = ["stat", "freq_hz", "dfreq_hz_s"]
    for name, kind, _ in pmu.phasors:
        name = _clean(name)
        names += ["%s_%s" % (name, "A" if kind == CURRENT else "V"), "%s_deg" % name]
    names += [_clean(name) for name, _, _ in pmu.analogs]
    names += ["digital_%d" % i for i in range(1, len(pmu.digitals) + 1)]
    return ["%s:%s" % (_clean(pmu.stn), name) for name in names] if several else names


def _clean(name):
    return name.replace("\0", " ").strip()


def _distinct(names):
    """Names that occur again get a number, so that every column can be addressed."""
    seen = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else "%s_%d" % (name, seen[name])


def _shown(value):
    return "" if value is None or value != value else round(value, 6)


class Layouts:
    """The Layout of each frame of a topic, from its configurations with the time from which each holds."""

    def __init__(self, configs):
        self._configs = [(from_us, idcode_of(raw), grid_of(raw)[0], raw) for from_us, raw in configs]
        self._made = {}

    def of(self, frame):
        """-> Layout of the last CFG-2 of the frame's IDCODE from before it, else of its first; None without any."""
        idcode, found = idcode_of(frame), None
        for from_us, config_idcode, time_base, raw in self._configs:
            if config_idcode == idcode:
                if found is not None and from_us > stamp_us(frame, time_base):
                    break
                found = raw
        if found is not None and found not in self._made:
            self._made[found] = Layout(found)
        return self._made.get(found)


class _Output:
    """CSV files, one for each set of columns: FILE, then FILE-2 and so on; or standard output, which takes one."""

    def __init__(self, path, stack, archive, force):
        self._path, self._stack = path, stack
        self._archive, self._force = archive, force
        self.columns = None
        self.files = []  # [name, rows]
        self._writer = None

    def write(self, columns, row):
        if columns != self.columns:
            self._begin(columns, row)
        self._writer.writerow(row)
        self.files[-1][1] += 1

    def _begin(self, columns, row):
        if self.columns is not None and self._path is None:
            raise Fault(
                "the configuration changes at %s and the columns with it: go on with --from %s, "
                "or let --out FILE begin a new file" % (row[0], row[0]))
        stream = sys.stdout
        name = "standard output"
        if self._path is not None:
            name = self._path
            if self.files:
                name = name.with_name("%s-%d%s" % (name.stem, len(self.files) + 1, name.suffix))
            check_output(name, self._archive, self._force)
            stream = self._stack.enter_context(name.open("w", newline="", encoding="utf-8"))
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(columns)
        self.columns = columns
        self.files.append([name, 0])


def check_output(path, archive, force):
    """Fault where writing `path` would cost a file: an archive or a part of one, without `force` any other."""
    real = path.resolve()
    parts = [Path(str(archive.resolve()) + suffix) for suffix in _PARTS]
    own = real in parts or any(part.exists() and real.exists() and part.samefile(real) for part in parts)
    if own or any(_is_sqlite(Path(str(real).removesuffix(suffix))) for suffix in _PARTS):
        raise Fault("%s is an archive or a part of one: nothing is written over it" % path)
    if real.is_file() and not force:
        raise Fault("%s exists; --force writes over it" % path)


def _is_sqlite(path):
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(_SQLITE)) == _SQLITE


def write_rows(frames, layouts, output, from_us, until_us):
    """Rows of the frames with from_us <= time < until_us -> how many frames no configuration describes."""
    unknown = 0
    for frame in frames:
        layout = layouts.of(frame)
        if layout is None:
            unknown += 1
            continue
        if not from_us <= stamp_us(frame, layout.time_base) < until_us:
            continue
        try:
            row = layout.row(frame)
        except FrameError:
            unknown += 1
            continue
        output.write(layout.columns, row)
    return unknown


_FROM = typer.Option("--from", help="First time, ISO 8601 in UTC or seconds since 1970.")
_UNTIL = typer.Option("--until", help="Time before which to end.")


def export(
    archive: Annotated[Path, typer.Argument(help="What `gridmote pdc --archive` writes; it may be running.")],
    topic: Annotated[str | None, typer.Argument(
        help="Live topic of the PMU; not needed if there is only one.")] = None,
    begin: Annotated[str, _FROM] = "0",
    end: Annotated[str, _UNTIL] = "4294967296",
    out: Annotated[Path | None, typer.Option(help="File to write; else standard output.")] = None,
    force: Annotated[bool, typer.Option(
        "--force", help="Write over existing files, but never over an archive.")] = False,
):
    """The frames of a PMU as CSV: time, STAT, frequency and ROCOF, magnitude and angle of each phasor.

    Units are in the names of the columns, which are those of the configuration that holds at the time (rms V or
    A, degrees, Hz, Hz/s); an empty cell is a value marked absent. Where a change of configuration changes the
    columns, FILE-2 begins; a change that leaves them (scale, rate) shows in the values only.
    """
    try:
        from_us, until_us = parse_time(begin), parse_time(end)
        with ExitStack() as stack:
            kept = stack.enter_context(opened(archive))
            topics = topics_of(kept, archive, topic)
            if len(topics) > 1:
                raise Fault("%s has several PMUs; name one:\n%s" % (archive, "\n".join("  " + t for t in topics)))
            rows = kept.frames(topics[0], from_us // 1_000_000, -(-until_us // 1_000_000))
            layouts = Layouts(kept.configs(topics[0]))
            output = _Output(out, stack, archive, force)
            unknown = write_rows((row.frame for row in watched(rows)), layouts, output, from_us, until_us)
            sys.stdout.flush()
        for name, count in output.files:
            typer.echo("%s rows to %s" % (f"{count:,}", name), err=True)
        if unknown:
            typer.echo("left out: %s frames that no configuration there describes" % f"{unknown:,}", err=True)
        if not output.files:
            raise Fault("no frame of %s in that time" % topics[0])
    except BrokenPipeError:
        # Whoever read has had enough; Python would complain when it ends and flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        give_up("export", "%s: %s" % (error.filename or out, error.strerror))
    except Fault as fault:
        give_up("export", fault)
