"""How `gridmote watch` shows the rows of state.py: a table that fits the terminal, or a line each."""

import json
import re
from datetime import datetime

from rich.table import Table
from rich.text import Text

from gridmote.frame.describe import time_quality

_STYLES = {"live": "green", "silent": "bold red", "offline": "bold red", "stopped": "yellow"}
_AROUND = 5  # lines of title, head and caption
# Columns and the width that each needs at least; what is left is shared out by _widths.
_COLUMNS = {"PMU": 9, "state": 8, "rate": 7, "frequency": 10, "phasors": 7, "late": 7, "gaps": 7, "outbox": 8}
_RIGHT = ("rate", "frequency", "late", "gaps")
_LEAVE = ("outbox", "late", "gaps", "rate", "phasors")  # left out in this order where the width is short
_OUTBOX_WIDTH = 26
_VALUE_WIDTH, _ANGLE_WIDTH = 10, 8  # of a phasor: 123.400 kV, ∠-120.0°
_TOPICS_FROM = 160  # columns from which topics are written out
_UNSURE = range(7, 12)  # MSG_TQ of a clock that may be off by 1 ms and more
_LATE = "late: this computer's clock minus the frame's stamp, median; holds the errors of both clocks"


def table(rows, width, height, note=""):
    """A Table of at most `height` lines; below it: what does not fit, and `note`. It cuts words, never numbers."""
    lines = _lines_each(rows, height - _AROUND)
    shown = rows[:max(1, (height - _AROUND) // lines)]
    cells = [_cells(row, width) for row in shown]
    phasors = [row["phasors"] for row in shown]
    widths, each, angles = _widths(width, cells, phasors, lines)
    left_out = [name for name in _LEAVE if name not in widths]
    out = Table(title=_title(rows), title_justify="left", title_style="bold", box=None, header_style="dim",
                caption=_caption(len(rows) - len(shown), left_out, note, width), caption_justify="left",
                pad_edge=False, padding=(0, 1, 0, 0))
    for name, columns in widths.items():
        out.add_column(name, width=columns, no_wrap=True, justify="right" if name in _RIGHT else "left")
    for texts, some in zip(cells, phasors, strict=True):
        texts["phasors"] = _phasor_lines(some, lines, widths.get("phasors", 0), each, angles)
        out.add_row(*_trimmed({name: texts[name] for name in widths}, widths, lines))
    return out


def _lines_each(rows, room):
    """Lines for each PMU: as many as its phasors need, fewer when not all would fit."""
    wanted = max([2, *(len(row["phasors"]) for row in rows)])
    for lines in (min(wanted, 6), 3, 2):
        if lines <= wanted and len(rows) * lines <= room:
            return lines
    return 1


def _widths(width, cells, phasors, lines):
    """-> ({column: width} of those for which there is room, columns of a phasor, whether with its angle)."""
    least = _COLUMNS | {name: max([_COLUMNS[name], *(len(texts[name][0]) for texts in cells)]) for name in _RIGHT}
    each = max([0, *(_phasor_width(phasor) for some in phasors for phasor in some)])
    most = max([0, *map(len, phasors)])
    more = len(_more(most)) if most > lines else 0
    least["phasors"] = max(least["phasors"], each + more)
    for name in _LEAVE:
        if _span(least) > width:
            del least[name]
    angles = "phasors" in least and _span(least) + _ANGLE_WIDTH <= width
    if angles:
        least["phasors"] += _ANGLE_WIDTH
        each += _ANGLE_WIDTH
    spare = max(0, width - _span(least))
    for name, wanted in (
            ("PMU", max([0, *(len(text) for texts in cells for text in texts["PMU"][:2])])),
            ("outbox", min(_OUTBOX_WIDTH, max([0, *(len(text) for texts in cells for text in texts["outbox"])]))),
            ("phasors", -(-most // lines) * (each + 2) - 2),
            ("PMU", max([0, *(len(text) for texts in cells for text in texts["PMU"][:lines])]))):
        if name in least:
            given = max(0, min(spare, wanted - least[name]))
            least[name] += given
            spare -= given
    return least, each, angles


def _span(widths):
    return sum(widths.values()) + len(widths) - 1


def _title(rows):
    live = sum(row["state"] == "live" for row in rows)
    count = f"{len(rows)} PMU{'' if len(rows) == 1 else 's'}"
    return Text.assemble(f"{count}, {live} live", (f", {len(rows) - live} not" if live < len(rows) else "", "red"))


def _caption(hidden, left_out, note, width):
    text = Text.assemble((f"and {hidden} more below; " if hidden else "", "bold"),
                         (f"no room for {', '.join(left_out)}; " if left_out else "", "bold"),
                         (f"{note}; " if note else "", "yellow"), (_LATE, "dim"))
    text.truncate(2 * width, overflow="ellipsis")
    return text


def _trimmed(cells, widths, most):
    """Cells of at most `most` lines, without those that are empty in all of them at the end."""
    lines = max(i + 1 for texts in cells.values() for i, text in enumerate(texts[:most]) if len(text) or not i)
    return [Text("\n").join([_cut(text if isinstance(text, Text) else Text(text), widths[name])
                             for text in texts[:lines]]) for name, texts in cells.items()]


def _cut(text, width):
    """What is too long is cut, but not within a number or behind it."""
    if len(text) <= width:
        return text
    return Text(re.sub("[+±-]?[0-9.,]+$", "", text.plain[:width - 1]) + "…", style=text.style)


def _wrong(row):
    return [word for word in row["status"] if word != "good"]


def _cells(row, width):
    """{column: its lines, the most important first}; all but the phasors, which have to know their room."""
    levels = row["topic"].split("/")
    short = width < _TOPICS_FROM and len(levels) == 5
    wrong = ", ".join(_wrong(row))
    nominal = "" if row["nominal_rate"] is None else f"of {row['nominal_rate']:g}"
    latency, unsure = _latency(row)
    return {
        "PMU": [Text(f"{levels[2]}/{levels[4]}" if short else row["topic"], style="bold"),
                Text(row["station"] or "", style="dim"), Text(wrong, style="yellow")],
        "state": [Text.assemble((row["state"], _STYLES[row["state"]]), ("!" if wrong else "", "yellow"))],
        "rate": [_rate(row["rate"]), Text(nominal, style="dim")],
        "frequency": [_value(row["frequency_hz"], ".4f", " Hz"), _value(row["rocof_hz_s"], "+.2f", " Hz/s")],
        "late": [latency, Text(unsure, style="dim")],
        "gaps": [Text(str(row["missing"]), style="bold red" if row["missing"] else ""),
                 Text(f"{row['filled']} back" if row["filled"] else "", style="dim")],
        "outbox": _outbox(row),
    }


def _phasor_lines(phasors, lines, room, each, angles):
    """As many phasors of `each` columns as go into lines of `room` columns, then how many more there are."""
    texts = [_phasor(phasor, angles) for phasor in phasors]
    row_of = max(1, min((room + 2) // (each + 2), -(-len(texts) // lines)))
    if len(texts) > lines * row_of:
        row_of = max(1, (room + 2 - len(_more(len(texts)))) // (each + 2))
    shown = texts[:lines * row_of]
    rows = [shown[i * row_of:(i + 1) * row_of] for i in range(lines)]
    out = ["".join(text.ljust(each + 2) for text in row).rstrip() for row in rows]
    if len(shown) < len(texts):
        out[-1] += _more(len(texts) - len(shown))
    return out


def _more(number):
    return f" +{number}"


def _phasor(phasor, angles=True):
    size = phasor["magnitude"]
    if size is None or isinstance(size, str):
        return f"{phasor['name']} absent"
    unit = phasor["unit"]
    shown = f"{size / 1000:.3f} k{unit}" if size >= 1000 else f"{size:.2f} {unit}"
    return f"{phasor['name']} {shown}" + (f"∠{phasor['angle_deg']:+.1f}°" if angles else "")


def _phasor_width(phasor):
    """Columns without the angle, the same for all but enormous magnitudes, so that the table does not flicker."""
    return max(len(_phasor(phasor, False)), len(phasor["name"]) + 1 + _VALUE_WIDTH)


def _value(number, how, unit):
    return "-" if number is None else number if isinstance(number, str) else f"{number:{how}}{unit}"


def _rate(rate):
    return f"{rate:.2f}/s" if 0 < rate < 1 else f"{rate:.1f}/s" if rate < 1000 else f"{rate:.0f}/s"


def _latency(row):
    """(text, how sure the sender's clock is)."""
    if row["tq"] is None:
        return "-", ""
    quality = row["tq"] & 15
    if quality == 15:
        return "-", "no time"
    if row["latency_ms"] is None:
        return "-", ""
    ms = row["latency_ms"]
    text = f"{ms:.0f} ms"
    if abs(ms) >= 1000:
        text = f"{ms / 1000:.1f} s" if abs(ms) < 100_000 else f"{ms / 3.6e6:.1f} h"
    sure = time_quality(quality)[0].removesuffix(" of UTC").removesuffix(" to UTC").removeprefix("within ")
    return text, f"±{sure}" if quality in _UNSURE else sure


def _outbox(row):
    """Texts of what waits, what is on flash, what backlog moves, and what was lost."""
    first = "-" if row["waiting"] is None else str(row["waiting"])
    if row["flash_waiting"]:
        first += f" +{row['flash_waiting']} on flash"
    if row["backlog_rate"]:
        first += f" ↑{row['backlog_rate']:.0f}/s"
    numbers = {"thinned": row["thinned"], "dropped": row["dropped"], "without time": row["untimed_frames"],
               "bad messages": row["bad_messages"]}
    lost = ", ".join(f"{number} {what}" for what, number in numbers.items() if number)
    return [first, lost or (f"event {row['last_event']}" if row["last_event"] else "")]


def line(row, now_s):
    """One line that tells a row."""
    latency, unsure = _latency(row)
    outbox, lost = _outbox(row)
    parts = [
        datetime.fromtimestamp(now_s).strftime("%H:%M:%S"), row["topic"], ascii(row["station"] or "?"),
        row["state"], _rate(row["rate"]), _value(row["frequency_hz"], ".4f", " Hz"),
        _value(row["rocof_hz_s"], "+.2f", " Hz/s"), ", ".join(_phasor(phasor) for phasor in row["phasors"]),
        f"late {latency}" + (f" ({unsure})" if unsure else ""),
        f"gaps {row['missing']}" + (f" ({row['filled']} back)" if row["filled"] else ""),
        f"outbox {outbox}", lost, ", ".join(_wrong(row)),
    ]
    return "  ".join(part for part in parts if part)


def json_line(row, now_s):
    return json.dumps({"now": round(now_s, 3), **row}, ensure_ascii=False, allow_nan=False)
