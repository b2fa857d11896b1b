"""`gridmote gaps`: what an archive lacks, from when to when, and why where the node said so."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gridmote.archive.gaps import find_gaps
from gridmote.archive.reasons import events_of, explain, reasons_of, rotten_places
from gridmote.archive.view import opened, topics_of, utc, watched
from gridmote.fault import Fault, give_up
from gridmote.frame.raw import grid_of, stamp_us

_JOINED_S = 1.0  # gaps this close, with the same reason, are one stretch
_SHOWN = 40  # stretches of a PMU


class _Frames:
    """Passes rows on and remembers how many, and the first and the last with a time."""

    def __init__(self, rows, time_base):
        self._rows, self._time_base = rows, time_base
        self.count = 0
        self.first = self.last = None

    def __iter__(self):
        for row in self._rows:
            self.count += 1
            self.first = self.first or row
            self.last = row
            yield row

    def span(self):
        """-> [microseconds of the first, of the last], [] without any."""
        return [stamp_us(row.frame, self._time_base) for row in (self.first, self.last) if row]


def stretches(gaps, reasons):
    """Gaps -> list of dicts; neighbours of the same reason are one, `within` of how many frames it lacks.

    Times are those of the first and the last missing frame.
    """
    found = []
    for gap in gaps:
        why = explain(reasons, gap.first_us, gap.last_us)
        last = found[-1] if found else None
        near_us = max(_JOINED_S, -gap.rate) * 1e6
        same = last and (last["idcode"], last["why"]) == (gap.idcode, why)
        if same and gap.first_us - last["until_us"] <= near_us:
            last["within"] += round((gap.first_us - last["until_us"]) * _per_us(gap.rate)) - 1 + gap.missing
            last["missing"] += gap.missing
            last["until_us"] = gap.last_us
        else:
            found.append({"idcode": gap.idcode, "from_us": gap.first_us, "until_us": gap.last_us,
                          "missing": gap.missing, "within": gap.missing, "why": why})
    return found


def _per_us(rate):
    return (rate if rate > 0 else -1 / rate) / 1e6


def examine(archive, topic):
    """-> dict of everything `gridmote gaps` tells of a topic, JSON-able."""
    configs = archive.configs(topic)
    frames = _Frames(watched(archive.frames(topic)), grid_of(configs[-1][1])[0] if configs else 1_000_000)
    said, clocks = events_of(archive, topic)
    found = stretches(find_gaps(frames, configs), reasons_of(said, clocks))
    if not configs:
        for _ in frames:  # without a configuration nobody knows the grid, but they are counted
            pass
    counts = archive.counts(topic)
    span = frames.span()
    rates = list(dict.fromkeys(grid_of(frame)[1] for _, frame in configs))
    return {
        "topic": topic, "rates": rates, "frames": frames.count, "from": utc(span[0]) if span else None,
        "until": utc(span[-1]) if span else None, "missing": sum(each["missing"] for each in found),
        "gaps": [{"idcode": each["idcode"], "from": utc(each["from_us"]), "until": utc(each["until_us"]),
                  "missing": each["missing"], "within": each["within"], "reasons": list(each["why"])}
                 for each in found],
        "untimed": {str(boot): count for boot, count in archive.untimed_boots(topic)},
        "rotten_places": rotten_places(said, clocks, span[0]) if span else 0,
        "duplicates": counts["duplicates"], "conflicts": counts["conflicts"],
    }


def _tell(console, told, shown):
    rates = " then ".join(
        "%d frames/s" % rate if rate > 0 else "a frame every %d s" % -rate for rate in told["rates"])
    console.print("[bold]%s[/]  %s" % (escape(told["topic"]), rates or "no configuration: rate unknown"))
    if told["frames"]:
        console.print("  %s frames from %s to %s" % (
            f"{told['frames']:,}", _plain(told["from"]), _plain(told["until"])))
    for line in _notes(told):
        console.print("  " + line)
    if not told["gaps"]:
        console.print()
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    table.add_column("missing from (UTC)", no_wrap=True)
    table.add_column("to", no_wrap=True)
    table.add_column("frames", justify="right")
    table.add_column("of", justify="right")
    table.add_column("why, as the node told", overflow="fold")
    for gap in told["gaps"][:shown]:
        begin, end = _plain(gap["from"]), _plain(gap["until"])
        end = end[11:] if end[:10] == begin[:10] else end
        table.add_row(begin, end, f"{gap['missing']:,}", f"{gap['within']:,}",
                      escape("; ".join(gap["reasons"])) or "[dim]-[/]")
    console.print(table)
    if len(told["gaps"]) > shown:
        console.print("  ... and %d more stretches (--all shows them)\n" % (len(told["gaps"]) - shown))


def _plain(iso):
    """To the millisecond: enough to find a frame."""
    return iso.replace("T", " ")[:-4]


def _notes(told):
    if told["missing"]:
        share = 100 * told["missing"] / (told["frames"] + told["missing"])
        yield "[red]%s missing[/] (%.2g %%), in %d stretches" % (f"{told['missing']:,}", share, len(told["gaps"]))
    elif told["frames"] and told["rates"]:
        yield "[green]nothing missing[/] between the first and the last"
    if told["rotten_places"]:
        places = told["rotten_places"]
        yield "[yellow]the node found %s in its outbox[/]: frames or messages that stood there are lost%s" % (
            "a rotten place" if places == 1 else f"{places:,} rotten places",
            ", perhaps some of those without a why" if any(not gap["reasons"] for gap in told["gaps"]) else "")
    if told["untimed"]:
        boots = ", ".join(told["untimed"])
        yield "[yellow]%s without time[/] (boot %s), kept apart: some of them may be what is missing" % (
            f"{sum(told['untimed'].values()):,}", boots)
    if told["conflicts"]:
        yield "[yellow]in conflict: %s[/], other bytes under one identity, kept apart" % f"{told['conflicts']:,}"


def gaps(
    archive: Annotated[Path, typer.Argument(help="What `gridmote pdc --archive` writes; it may be running.")],
    topic: Annotated[str | None, typer.Argument(help="Only this PMU, by its live topic.")] = None,
    everything: Annotated[bool, typer.Option(
        "--all", help="Every stretch, not only the first 40 of a PMU.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a PMU, a line each.")] = False,
):
    """What is missing in an archive: for each PMU from when to when, how many frames, and why.

    Counted on the grid of its DATA_RATE, between the first and the last frame. Gaps less than a second apart
    are shown as one stretch. The reason is what the node said in its EVENT messages.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        with opened(archive) as kept:
            for name in topics_of(kept, archive, topic):
                told = examine(kept, name)
                if as_json:
                    sys.stdout.write(json.dumps(told) + "\n")
                else:
                    _tell(console, told, len(told["gaps"]) if everything else _SHOWN)
    except Fault as fault:
        give_up("gaps", fault)
