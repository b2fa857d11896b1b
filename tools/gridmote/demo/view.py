"""What a person sees of the demonstration: events as they happen, a live table on a terminal, the summary."""

import cmath
import json
import math
import sys
import time

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import track
from rich.table import Table
from rich.text import Text

from gridmote.demo.gauge import BIN_S, DOWN, UP

_LINE_EVERY_S = 2.0
_SPARKS = "▁▂▃▄▅▆▇█"
_TREND = 60  # frequencies that the live view keeps, and columns of its bars
_USUAL = 10  # frames that wait while all is well
_FULL = 100  # frames in a column that is full
_SAID = ("made", "published", "archived", "at_client", "flash", "ram", "lost", "broker", "node")


class View:
    """say(): one event; show(): the latest frame and counts; summary(). As a `with` block.

    as_json: one JSON object a line instead. The live table needs a terminal; elsewhere a line comes every 2 s.
    """

    def __init__(self, as_json=False):
        self._json = as_json
        self._console = Console(highlight=False, soft_wrap=True)
        if not self._console.is_terminal:
            self._console = Console(highlight=False, soft_wrap=True, width=120)  # room for the summary
        self._began_s = self._told_s = time.monotonic()
        self._trend = []
        self._at_client = 0
        self._most = 2 * _FULL
        self._live = None

    def __enter__(self):
        if self._console.is_terminal and not self._json:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_):
        self.rest()

    def rest(self):
        """No live table from here on."""
        if self._live:
            self._live.stop()
            self._live = None

    def say(self, who, text, alarm=False):
        """An event: which part speaks, and what it says; `alarm`: something was cut, or is wrong."""
        if self._json:
            self._object(event="step", who=who, text=text, alarm=alarm)
            return
        line = Text.assemble((f"{time.monotonic() - self._began_s:5.1f} s  ", "dim"),
                             (f"{who:<9}", "bold red" if alarm else "cyan"), (text, "bold red" if alarm else ""))
        self._console.print(line)

    def show(self, moment, pmu, block):
        """moment: gauge.Moment; block: PmuData of the latest frame, pmu its PmuConfig."""
        hz = block.frequency_hz(pmu)
        if moment.at_client != self._at_client:
            self._at_client = moment.at_client
            self._trend = [*self._trend[1 - _TREND:], hz] if hz is not None else self._trend
        if self._live:
            self._live.update(self._table(moment, pmu, block))
            return
        now_s = time.monotonic()
        if now_s - self._told_s < _LINE_EVERY_S:
            return
        self._told_s = now_s
        live, backlog = _rate(moment.live), _rate(moment.backlog)
        if self._json:
            self._object(event="progress", frequency_hz=hz, live_per_s=live, backlog_per_s=backlog,
                         **{name: getattr(moment, name) for name in _SAID})
            return
        waits = f"; {moment.flash} wait on flash, {moment.ram} in RAM" if moment.flash + moment.ram > _USUAL else ""
        self.say("frames", f"{moment.made} made, {moment.archived} archived, {moment.at_client} at the PDC"
                 f"; {live}/s live" + (f", {backlog}/s backlog" if backlog else "") + waits
                 + (f"; {_phasor(pmu, block, 0)}, {_hertz(hz)}" if live else ""))

    def _table(self, moment, pmu, block):
        state = Text.assemble("broker ", _state(moment.broker), "    meter ", _state(moment.node),
                              (f"    {moment.lost} lost by the kill" if moment.lost else "", "bold red"))
        counts = {"made": moment.made, "published": moment.published, "archived": moment.archived,
                  "at the PDC": moment.at_client}
        way = Table.grid(padding=(0, 3))
        for _ in counts:
            way.add_column(justify="center")
        way.add_row(*(Text(str(n), style="bold green") for n in counts.values()))
        way.add_row(*(Text(station, style="dim") for station in counts))
        flows = Table.grid(padding=(0, 2))
        flows.add_row("live", Text(_columns(moment.live), style="green"), Text(f"{_rate(moment.live)}/s", "green"))
        flows.add_row("backlog", Text(_columns(moment.backlog), style="yellow"),
                      Text(f"{_rate(moment.backlog)}/s", "yellow"))
        flows.add_row("waiting", self._bar(moment), Text.assemble(
            (f"{moment.flash} on flash", "yellow"), ", ", (f"{moment.ram} in RAM", "magenta")))
        rows = Table.grid(padding=(0, 2))
        for i in range(len(pmu.phasors)):
            rows.add_row(_phasor(pmu, block, i), _dial(block.phasor(pmu, i)))
        frequency = Text.assemble(_hertz(block.frequency_hz(pmu)), "  ", (_spark(self._trend), "yellow"))
        return Panel(Group(state, Text(), way, Text(), flows, Text(), rows, Text(), frequency),
                     title="at the PDC", expand=False)

    def _bar(self, moment):
        """What waits on flash and in RAM, of the most that waited so far."""
        self._most = max(self._most, moment.flash + moment.ram)
        flash, ram = (round(n * _TREND / self._most) for n in (moment.flash, moment.ram))
        return Text.assemble(("█" * flash, "yellow"), ("█" * ram, "magenta"),
                             ("·" * (_TREND - flash - ram), "dim"))

    def track(self, items, text):
        """The items, with a bar on a terminal."""
        quiet = self._json or not self._console.is_terminal
        return track(items, text, console=self._console, transient=True, disable=quiet)

    def summary(self, title, rows, result):
        """rows: [(what, value, remark)] for people, under a title; result: everything, for programs."""
        self.rest()
        if self._json:
            self._object(event="summary", **result)
            return
        good = result["complete"]
        table = Table(title=title, title_justify="left",
                      title_style="bold green" if good else "bold red", show_header=False)
        table.add_column(style="cyan")
        table.add_column(justify="right", style="bold")
        table.add_column(style="dim")
        for row in rows:
            if row is None:
                table.add_section()
            else:
                table.add_row(*map(str, row))
        self._console.print(table)

    @staticmethod
    def _object(**fields):
        sys.stdout.write(json.dumps({**fields, "time": round(time.time(), 3)}) + "\n")
        sys.stdout.flush()


def _state(text):
    return f"● {text}", {UP: "green", DOWN: "bold red"}.get(text, "dim")


def _rate(bins):
    """Frames a second, over the last second."""
    return round(sum(bins[-int(1 / BIN_S):]) / BIN_S / int(1 / BIN_S))


def _columns(bins):
    return "".join(" " if not n else _SPARKS[min(7, 8 * n // _FULL)] for n in bins)


def _hertz(hz):
    return "no frequency" if hz is None else f"{hz:.3f} Hz"


def _phasor(pmu, block, i):
    name, kind, _ = pmu.phasors[i]
    phasor = block.phasor(pmu, i)
    if phasor is None:
        return f"{name.strip()} absent"
    size, unit = abs(phasor), "VA"[kind]
    shown = f"{size / 1000:.3f} k{unit}" if size >= 1000 else f"{size:.2f} {unit}"
    return f"{name.strip()} {shown} ∠ {math.degrees(cmath.phase(phasor)):+.1f}°"


def _dial(phasor):
    """The angle as an arrow."""
    if phasor is None:
        return ""
    return "→↗↑↖←↙↓↘"[round(cmath.phase(phasor) / (math.pi / 4)) % 8]


def _spark(values):
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = max(high - low, 1e-3)
    return "".join(_SPARKS[min(7, int((v - low) / span * 8))] for v in values)
