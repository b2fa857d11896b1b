"""`gridmote demo`: a broker, a meter, the PDC adapter and a PDC, all real, for a minute, and cut on the way."""

import asyncio
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from c37118.decode import decode
from gridmote import processes
from gridmote.demo import reference as demo_reference
from gridmote.demo import result as demo_result
from gridmote.demo import summary as demo_summary
from gridmote.demo import times as demo_times
from gridmote.demo.evidence import plural
from gridmote.demo.plan import Plan
from gridmote.demo.run import Demonstration
from gridmote.demo.view import View
from gridmote.fault import Fault, give_up
from gridmote.node import config as node_config
from gridmote.provision.layout import KEY_FILES
from waveform.gmr import RecordingError

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BLOCK_MS = 20
_EVENT = "Great Britain, 9 August 2019, in fast motion"
_EVENT_S = 282.0  # the trajectory's length
_LONGER_S = 60.0  # than planned: waiting for the backlog, on a busy machine


def _recording():
    """The shared recording, beside the clone or where GRIDMOTE_SHARED says; None without it."""
    shared = Path(os.environ.get("GRIDMOTE_SHARED") or processes.ROOT.parent / "shared")
    path = shared / "data/comtrade/generator-50hz.cfg"
    return path if path.is_file() else None


def _source(recording, plan):
    """(source and measurement of the node's configuration, reference) for a run by the plan."""
    longest_s = max(1.0, plan.longest_s)
    if recording is None:
        grid = {"trajectory": "gb-2019-08-09", "trajectory_start_s": 1.0,
                "compression": round(_EVENT_S / max(1.0, longest_s - 3.0), 3), "noise_counts": 3.0}
        return {"kind": "synthetic", "grid": grid}, {}, demo_reference.GridReference(grid)
    from gridmote.signals.recording import convert, read

    f0_hz = read(recording).f0_hz
    given = {"source": {"file": str(recording)}, "outbox": {"folder": ""}}
    config = {"id": "demo", "source": {"kind": "replay", "file": str(recording), "repeat": True},
              "measurement": {"f0_hz": f0_hz}, "broker": dict.fromkeys(KEY_FILES, "")}
    path = node_config.prepare(given, config, Path.cwd(), convert)["source"]["file"]
    reference = demo_reference.RecordingReference(path, longest_s + _LONGER_S)
    volts = [c for c, channel in enumerate(reference.channels) if channel["kind"] == "V"]
    measurement = {"f0_hz": f0_hz, "rate": f0_hz, "frequency_from": volts[0] if volts else 0}
    return {"kind": "replay", "file": path}, measurement, reference


def _judge(run, reference, picture, name, view):
    """(rows of the summary, everything as a dict) of a run; draws the picture."""
    seen, config = run.seen, run.pmu_config
    result = demo_result.counts(seen)
    rows = demo_summary.count_rows(result)
    if not (seen.client and seen.archived):
        return rows, result
    view.say("judge", f"compares {len(seen.archived)} frames of the archive with {reference.what}")
    found = demo_times.recovery(seen)
    delays = demo_times.latency(seen)
    frames, shown_s = demo_times.compared_frames(seen, lambda frame: decode(frame, config).pmus[0])
    pmu = config.pmus[0]
    compared = demo_reference.compare(
        view.track(frames, "comparing"), pmu, reference, run.measurement.get("frequency_from", 0))
    accuracy = demo_reference.errors(compared)
    compared["t_s"] = np.array(shown_s)
    from gridmote.demo import picture as demo_picture  # matplotlib takes its time

    view.say("judge", f"draws {picture}")
    demo_picture.draw(picture, compared, pmu, seen, name, _remarks(seen, result, found, reference))
    recovered = demo_summary.recovery_rows(found)
    rows += [*([None, *recovered] if recovered else []), None, *demo_summary.latency_rows(delays),
             None, *demo_summary.accuracy_rows(accuracy, reference.what), None, ("picture", "", picture)]
    return rows, {**result, **found, **delays, **accuracy, "picture": str(picture)}


def _remarks(seen, result, found, reference):
    """What stands under the picture's title."""
    lines = [f"{len(seen.archived)} C37.118 frames as they stand in the archive; pale underneath: {reference.what}"]
    if seen.down_us or seen.killed_us:
        story = []
        if seen.down_us:
            story.append(f"broker killed, away for {found['outage_ms'] / 1000:.1f} s: "
                         f"{plural(result['missing'])} missing")
        if seen.killed_us:
            story.append(f"meter killed and started again: at most {plural(result['lost_by_kill'])} lost, "
                         f"of {result['loss_most']} that it may cost")
        lines.insert(0, "; ".join(story))
    return lines


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


def _run(recording, plan, work, picture, view):
    """The result of a whole demonstration; `work`: folder for what the programs write."""
    name = f"the recording {recording.name}" if recording else "the synthetic grid: Great Britain, 9 August 2019"
    view.say("meter", f"will measure {name}")
    source, measurement, reference = _source(recording, plan)
    sampling = demo_reference.Sampling(reference.fs_hz, reference.f0_hz, _BLOCK_MS)
    run = Demonstration(work, source, measurement, sampling, plan, view)
    asyncio.run(_interruptible(run))
    view.rest()
    title = _EVENT if recording is None else recording.stem
    if recording and recording == _recording():
        title = "A generator, recorded"
    rows, result = _judge(run, reference, picture, title, view)
    view.summary(demo_summary.title(result), rows, result)
    return result


_SECONDS = typer.Option(help="From the first frame at the PDC to the end.", min=2, max=3600)
_OUTAGE = typer.Option(help="How long the broker is away, in seconds; 0: it is left alone.", min=0, max=120)
_KILL = typer.Option("--kill/--no-kill", help="Whether the meter is killed once and started again.")
_RECORDING = typer.Option(help="A COMTRADE recording (.cfg, .cff) to replay.", show_default=False)
_SYNTHETIC = typer.Option("--synthetic", help="The synthetic grid even where the shared recording is present.")
_INTO = typer.Option(help="Folder for demo.png and, while it runs, for what the programs write.",
                     show_default="build")
_KEEP = typer.Option("--keep", help="Keep what the programs wrote: archive, configurations, logs.")
_JSON = typer.Option("--json", help="One JSON object a line; the last is the summary.")


def demo(
    seconds: Annotated[float, _SECONDS] = 32,
    outage: Annotated[float, _OUTAGE] = 10,
    kill: Annotated[bool, _KILL] = True,
    recording: Annotated[Path | None, _RECORDING] = None,
    synthetic: Annotated[bool, _SYNTHETIC] = False,
    into: Annotated[Path, _INTO] = processes.BUILD,
    keep: Annotated[bool, _KEEP] = False,
    as_json: Annotated[bool, _JSON] = False,
):
    """See everything work, and go on working while it is cut.

    A broker (mosquitto) of its own, one meter (the firmware, on a 32-bit MicroPython with 184K of heap and a log
    on flash), the PDC adapter with its archive, and a PDC that asks for header, CFG-2 and data. On the way the
    broker is killed (SIGKILL), the meter too, and started again while the broker is away; then the broker comes
    back. At the end every frame is accounted for, compared with an independent fit of the samples, and drawn in
    demo.png.

    Exit status 0 only if every frame that was made is in the archive as it was published, every live one at the
    PDC, and the kill cost no more than the meter's STATUS had promised.
    """
    if synthetic and recording:
        give_up("demo", "--synthetic or --recording, not both", 2)
    if recording and not recording.is_file():
        give_up("demo", f"--recording {recording}: no such file", 2)
    try:
        plan = Plan(seconds, outage, kill)
    except ValueError as error:
        give_up("demo", error, 2)
    into.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="demo-", dir=into))
    for number in _STOPS:
        signal.signal(number, _interrupt)
    worth_keeping = True
    try:
        with View(as_json) as view:
            chosen = None if synthetic else recording or _recording()
            complete = _run(chosen, plan, work, into / "demo.png", view)["complete"]
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
