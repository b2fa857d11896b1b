"""`gridmote estimate`: the firmware's estimator, on MicroPython, over a COMTRADE recording."""

import csv
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from gridmote import processes
from gridmote.fault import Fault, give_up
from gridmote.signals import recording
from gridmote.signals.gmr import read_gmr
from phasor.kernel import ABSENT
from waveform.gmr import RecordingError

_TAKES = "tools/gridmote/signals/on_node/estimate.py"
_QUANTITIES = ("rms", "deg", "hz", "hz_s")  # per channel, in the order of the estimator's values


def run(gmr, f0_hz, rate, start_ns, word_size, progress=lambda samples: None):
    """[(seconds, number in the second)] and float values (frames, channels, 4) of a .gmr recording.

    Values: rms in V or A, degrees, Hz, Hz/s; NaN where absent. Seconds count from the whole second in which
    the first sample lies, `start_ns` after its begin. progress(samples done) is called under way.
    """
    head, _ = read_gmr(gmr)
    width = 2 + 4 * len(head["channels"])
    with tempfile.TemporaryDirectory(prefix="gridmote-") as folder:
        result = Path(folder) / "result"
        argv = processes.micropython(word_size, "4M", processes.ROOT / _TAKES, gmr, result, f0_hz, rate, start_ns)
        with processes.started(argv, stdout=-1, stderr=-2, text=True,
                               env=processes.environment(processes.ROOT / "lib")) as process:
            said = ""
            for line in process.stdout:
                said = line.strip()
                if said.isdecimal():
                    progress(int(said))
            if process.wait():
                raise Fault(f"the estimator stopped: {said}")
        raw = np.fromfile(result, "<i4").reshape(-1, width)
    values = np.where(raw == ABSENT, np.nan, raw)[:, 2:].reshape(len(raw), -1, 4)
    scales = np.array([channel["scale"] for channel in head["channels"]])
    values[:, :, 0] *= scales / 2**14
    values[:, :, 1] *= 360 / 2**30
    values[:, :, 2] = f0_hz + values[:, :, 2] / 1e6
    values[:, :, 3] /= 1e3
    return raw[:, :2].tolist(), values


def columns(channels):
    """Names of the columns: those of COMTRADE with quantity and unit."""
    units = {"V": "V", "I": "A"}
    return [f"{channel['name']}_{units[channel['kind']] if what == 'rms' else what}"
            for channel in channels for what in _QUANTITIES]


def rows(places, values, rate, begin, first_s):
    """Yields (UTC as ISO text, seconds since the first sample, *values, None where absent) of each frame."""
    for (second, number), frame in zip(places, values.reshape(len(values), -1), strict=True):
        stamp = begin + timedelta(seconds=second, microseconds=number * 1_000_000 / rate)
        t_s = round(second + number / rate - first_s, 9)
        shown = [None if np.isnan(value) else round(float(value), 6) for value in frame]
        yield stamp.isoformat(timespec="microseconds").replace("+00:00", "Z"), t_s, *shown


def _begin(start, recorded):
    """(begin of the second in which the first sample lies, ns from there to it). start: as the option says."""
    if start in ("second", "stamp"):
        given = recorded or datetime(1970, 1, 1, tzinfo=UTC)
    else:
        try:
            given = datetime.fromisoformat(start)
        except ValueError:
            raise Fault(f"--start {start}: 'second', 'stamp' or a time such as 2026-01-31T12:00:00.25Z") from None
    given = given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    begin = given.replace(microsecond=0)
    return begin, 0 if start == "second" else given.microsecond * 1000


class _Bar:
    """Progress on stderr, from two seconds on."""

    def __init__(self, samples):
        self._progress = Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
                                  console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("estimating", total=samples)
        self._began_s = time.monotonic()
        self._shown = False

    def __call__(self, samples):
        self._progress.update(self._task, completed=samples)
        if not self._shown and time.monotonic() - self._began_s > 2:
            self._shown = True
            self._progress.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._shown:
            self._progress.stop()


def _write_csv(out, names, table):
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", "t_s", *names])
    writer.writerows(table)


def _write_json(names, table, summary):
    for row in table:
        print(json.dumps(dict(zip(("time", "t_s", *names), row, strict=True))))
    print(json.dumps({"summary": summary}))


_RECORDING = typer.Argument(metavar="RECORDING", help="COMTRADE: .cfg with its .dat beside it, or .cff.",
                            show_default=False)
_CHANNELS = typer.Option(help="Names or numbers of channels, with commas. Without: all voltages and currents.",
                         show_default=False)
_F0 = typer.Option("--f0", help="Nominal frequency, 50 or 60. Without: the recording's.", show_default=False)
_RATE = typer.Option(help="Frames a second, 1 to twice the nominal frequency.")
_START = typer.Option(help="When the first sample was taken: 'second', the whole second of the recording's own "
                           "time stamp, so that angles are those at the first sample; 'stamp', just that time "
                           "stamp; or an ISO time.")
_WORD = typer.Option(help="64, or 32: the word size of the boards; the same result.")
_OUTPUT = typer.Option("--output", "-o", help="CSV file. Without: standard output.", show_default=False)
_JSON = typer.Option("--json", help="One JSON object a frame, the summary last.")


def estimate(
    path: Annotated[Path, _RECORDING],
    channels: Annotated[str | None, _CHANNELS] = None,
    f0_hz: Annotated[int | None, _F0] = None,
    rate: Annotated[int, _RATE] = 50,
    start: Annotated[str, _START] = "second",
    word_size: Annotated[int, _WORD] = 64,
    output: Annotated[Path | None, _OUTPUT] = None,
    as_json: Annotated[bool, _JSON] = False,
):
    """Phasors, frequency and ROCOF of a COMTRADE recording as CSV, by the firmware's own estimator.

    One row a frame on the reporting grid: UTC, seconds since the first sample, then for each channel the
    magnitude (rms, in V or A), the angle in degrees of a cosine at nominal frequency that has its maximum at
    the UTC second, frequency in Hz and ROCOF in Hz/s. What cannot be measured is left empty. The first frame
    comes when its window of three cycles lies in the recording.
    """
    if word_size not in (32, 64):
        give_up("estimate", f"--word-size {word_size}: 32 or 64", 2)
    if f0_hz not in (None, 50, 60):
        give_up("estimate", f"--f0 {f0_hz}: 50 or 60", 2)
    try:
        _estimate(path, channels, f0_hz, rate, start, word_size, output, as_json)
    except (Fault, RecordingError) as fault:
        give_up("estimate", fault)
    except BrokenPipeError:
        raise  # the reader has had enough: not our fault
    except OSError as error:
        give_up("estimate", f"{error.filename or output}: {error.strerror}")


def _estimate(path, channels, f0_hz, rate, start, word_size, output, as_json):
    wanted = [name.strip() for name in channels.split(",")] if channels else None
    with tempfile.TemporaryDirectory(prefix="gridmote-") as folder:
        gmr = Path(folder) / "recording.gmr"
        read = recording.convert(path, gmr, wanted, repeat=False, f0_hz=f0_hz)
        if not 1 <= rate <= 2 * read.f0_hz:
            raise Fault(f"--rate {rate}: from 1 to {2 * read.f0_hz} frames a second at {read.f0_hz} Hz")
        if read.fs_hz < 16 * read.f0_hz:
            raise Fault(f"{path}: {read.fs_hz} samples/s; the estimator needs {16 * read.f0_hz} (16 a cycle)")
        begin, start_ns = _begin(start, read.start)
        with _Bar(len(read.values)) as bar:
            places, values = run(gmr, read.f0_hz, rate, start_ns, word_size, bar)
    names = columns(read.channels)
    table = rows(places, values, rate, begin, start_ns / 1e9)
    summary = {"recording": str(path), "channels": [channel["name"] for channel in read.channels],
               "fs_hz": read.fs_hz, "f0_hz": read.f0_hz, "rate": rate, "frames": len(places),
               "first_sample": (begin + timedelta(microseconds=start_ns // 1000)).isoformat(), "notes": read.notes}
    with ExitStack() as stack:
        if output:
            _write_csv(stack.enter_context(output.open("w", newline="")), names, table)
            table = ()
        if as_json:
            _write_json(names, table, summary)
            return
        if not output:
            _write_csv(sys.stdout, names, table)
    for note in read.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"{len(places)} frames of {len(read.channels)} channels at {rate}/s"
               f"{f' in {output}' if output else ''}", err=True)
