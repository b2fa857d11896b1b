"""`gridmote demo`: a broker, a meter, the PDC adapter and a PDC, all real, for half a minute."""

import asyncio
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from c37118.decode import decode
from gridmote import demo_reference, demo_result, node_config, processes
from gridmote.demo_run import Demonstration
from gridmote.demo_view import View
from gridmote.fault import Fault, give_up
from waveform.gmr import RecordingError

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BLOCK_MS = 20
_EVENT = "Great Britain, 9 August 2019, in fast motion"
_EVENT_S = 282.0  # the trajectory's length


def _recording():
    """The shared recording, beside the clone or where GRIDMOTE_SHARED says; None without it."""
    shared = Path(os.environ.get("GRIDMOTE_SHARED") or processes.ROOT.parent / "shared")
    path = shared / "data/comtrade/generator-50hz.cfg"
    return path if path.is_file() else None


def _source(recording, seconds):
    """(source and measurement of the node's configuration, function that makes the reference)."""
    if recording is None:
        grid = {"trajectory": "gb-2019-08-09", "trajectory_start_s": 1.0,
                "compression": round(_EVENT_S / max(1.0, seconds - 3.0), 3), "noise_counts": 3.0}
        return {"kind": "synthetic", "grid": grid}, {}, lambda: demo_reference.GridReference(grid)
    from gridmote.recording import convert, read

    f0_hz = read(recording).f0_hz
    given = {"source": {"file": str(recording)}, "outbox": {"folder": ""}}
    config = {"id": "demo", "source": {"kind": "replay", "file": str(recording), "repeat": True},
              "measurement": {"f0_hz": f0_hz}, "broker": {"ca": ""}}
    path = node_config.prepare(given, config, Path.cwd(), convert)["source"]["file"]
    reference = demo_reference.RecordingReference(path, seconds + 2)
    volts = [c for c, channel in enumerate(reference.channels) if channel["kind"] == "V"]
    measurement = {"f0_hz": f0_hz, "rate": f0_hz, "frequency_from": volts[0] if volts else 0}
    return {"kind": "replay", "file": path}, measurement, lambda: reference


def _judge(run, reference, picture, title, view):
    """(rows of the summary, everything as a dict) of a run; draws the picture."""
    seen, config = run.seen, run.pmu_config
    result = demo_result.counts(seen)
    rows = demo_result.count_rows(result)
    if not (seen.client and seen.archived):
        return rows, result
    view.say("judge", f"compares {len(seen.client)} frames with {reference.what}")
    time_base = config.time_base & 0xFFFFFF
    sampling = demo_reference.Sampling(reference.fs_hz, reference.f0_hz, _BLOCK_MS)
    delays = demo_result.latency(seen, time_base, sampling)
    start_soc = demo_result.first_second(seen)
    frames = [(demo_result.since(frame, start_soc, time_base), decode(frame, config).pmus[0])
              for frame, _ in seen.client]
    frames = view.track(frames, "comparing")
    compared = demo_reference.compare(frames, config.pmus[0], reference, run.measurement.get("frequency_from", 0))
    accuracy = demo_reference.errors(compared)
    from gridmote import demo_picture  # matplotlib takes its time

    view.say("judge", f"draws {picture}")
    remark = f"{len(seen.client)} C37.118 frames as the PDC got them; pale underneath: {reference.what}"
    demo_picture.draw(picture, compared, config.pmus[0], title, remark)
    rows += [None, *demo_result.latency_rows(delays), None, *demo_result.accuracy_rows(accuracy, reference.what)]
    return [*rows, None, ("picture", "", picture)], {**result, **delays, **accuracy, "picture": str(picture)}


def _interrupt(number, frame):
    for stop in _STOPS:  # one is enough: the end of everything is bounded
        signal.signal(stop, signal.SIG_IGN)
    raise KeyboardInterrupt


async def _interruptible(run):
    """run.run(), cancelled by the first signal; KeyboardInterrupt then, when everything is stopped."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    stopped = []

    def stop():
        if not stopped:
            stopped.append(task.cancel())

    for number in _STOPS:
        loop.add_signal_handler(number, stop)
    try:
        await run.run()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in _STOPS:
            loop.remove_signal_handler(number)
            signal.signal(number, _interrupt)


def _run(recording, seconds, work, picture, view):
    """The result of a whole demonstration; `work`: folder for what the programs write."""
    name = f"the recording {recording.name}" if recording else "the synthetic grid: Great Britain, 9 August 2019"
    view.say("meter", f"will measure {name}")
    source, measurement, reference = _source(recording, seconds)
    run = Demonstration(work, source, measurement, seconds, view)
    asyncio.run(_interruptible(run))
    view.rest()
    title = "A generator, recorded" if recording == _recording() else recording.stem if recording else _EVENT
    rows, result = _judge(run, reference(), picture, title, view)
    view.summary(rows, result)
    return result


_SECONDS = typer.Option(help="How long the meter measures.", min=2, max=3600)
_RECORDING = typer.Option(help="A COMTRADE recording (.cfg, .cff) to replay.", show_default=False)
_SYNTHETIC = typer.Option("--synthetic", help="The synthetic grid even where the shared recording is present.")
_INTO = typer.Option(help="Folder for demo.png and, while it runs, for what the programs write.",
                     show_default="build")
_KEEP = typer.Option("--keep", help="Keep what the programs wrote: archive, configurations, logs.")
_JSON = typer.Option("--json", help="One JSON object a line; the last is the summary.")


def demo(
    seconds: Annotated[float, _SECONDS] = 20,
    recording: Annotated[Path | None, _RECORDING] = None,
    synthetic: Annotated[bool, _SYNTHETIC] = False,
    into: Annotated[Path, _INTO] = processes.BUILD,
    keep: Annotated[bool, _KEEP] = False,
    as_json: Annotated[bool, _JSON] = False,
):
    """See everything work: a recorded waveform becomes C37.118 frames at a PDC.

    A broker (mosquitto) of its own, one meter (the firmware, on a 32-bit MicroPython with 184K of heap), the
    PDC adapter with its archive, and a PDC that asks for header, CFG-2 and data. At the end every frame is
    accounted for, compared with an independent fit of the samples, and drawn in demo.png.

    Exit status 0 only if nothing is missing.
    """
    if synthetic and recording:
        give_up("demo", "--synthetic or --recording, not both", 2)
    if recording and not recording.is_file():
        give_up("demo", f"--recording {recording}: no such file", 2)
    into.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="demo-", dir=into))
    for number in _STOPS:
        signal.signal(number, _interrupt)
    worth_keeping = True
    try:
        with View(as_json) as view:
            chosen = None if synthetic else recording or _recording()
            complete = _run(chosen, seconds, work, into / "demo.png", view)["complete"]
        worth_keeping = keep or not complete
        if not complete:
            raise Fault("not complete")
    except (Fault, RecordingError, OSError) as fault:
        worth_keeping = any(work.iterdir())
        give_up("demo", f"{fault}{f'; the logs are in {work}' if worth_keeping else ''}")
    except KeyboardInterrupt:
        worth_keeping = keep
        give_up("demo", "interrupted; everything that it started is stopped", 130)
    finally:
        if not worth_keeping:
            shutil.rmtree(work, ignore_errors=True)
    if keep:
        typer.echo(f"kept: {work}", err=True)
