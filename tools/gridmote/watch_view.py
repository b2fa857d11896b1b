"""How `gridmote watch` shows rows of watch_state: a table that fits the terminal, or a line each."""

import json
from datetime import datetime

from rich.table import Table
from rich.text import Text

from gridmote.describe import time_quality

_STYLES = {"live": "green", "silent": "bold red", "offline": "bold red", "stopped": "yellow"}
_AROUND = 5  # lines of title, head and caption
# Columns and the width that each needs at least. What is left goes to PMU, then outbox, then phasors.
_COLUMNS = {"PMU": 9, "state": 8, "rate": 7, "frequency": 10, "phasors": 13, "late": 7, "gaps": 7, "outbox": 8}
_RIGHT = ("rate", "frequency", "late", "gaps")
_OUTBOX_WIDTH = 26
_ANGLES_FROM = 95  # columns from which angles fit; the lines without a terminal always have them
_TOPICS_FROM = 160  # columns from which topics are written out
_UNSURE = range(7, 12)  # MSG_TQ of a clock that may be off by 1 ms and more
_LATE = "late: this computer's clock minus the frame's stamp, median; holds the errors of both clocks"


def table(rows, width, height, note=""):
    """A Table of at most `height` lines; the last counts what does not fit and says `note`."""
    lines = _lines_each(rows, height - _AROUND)
    shown = rows[:max(1, (height - _AROUND) // lines)]
    names = [_name(row, width) for row in shown]
    widths = _widths(width, max([9, *(len(text) for name in names for text in name)]))
    out = Table(title=_title(rows), title_justify="left", title_style="bold", box=None, header_style="dim",
                caption=_caption(len(rows) - len(shown), note, width), caption_justify="left", pad_edge=False,
                padding=(0, 1, 0, 0))
    for name, columns in widths.items():
        out.add_column(name, width=columns, no_wrap=True, justify="right" if name in _RIGHT else "left")
    for name, row in zip(names, shown, strict=True):
        phasors = _phasor_lines(row["phasors"], lines, widths["phasors"], width >= _ANGLES_FROM)
        out.add_row(*_trimmed(list(_cells(row, name, phasors)), lines))
    return out


def _lines_each(rows, room):
    """Lines for each PMU: as many as its phasors need, fewer when not all would fit."""
    wanted = max([2, *(len(row["phasors"]) for row in rows)])
    for lines in (min(wanted, 6), 3, 2):
        if lines <= wanted and len(rows) * lines <= room:
            return lines
    return 1


def _widths(width, name_width):
    widths = dict(_COLUMNS)
    left = max(0, width - sum(widths.values()) - len(widths) + 1)
    for name, most in (("PMU", name_width), ("phasors", 20), ("outbox", _OUTBOX_WIDTH), ("phasors", 200)):
        more = max(0, min(left, most - widths[name]))
        widths[name] += more
        left -= more
    return widths


def _title(rows):
    live = sum(row["state"] == "live" for row in rows)
    count = f"{len(rows)} PMU{'' if len(rows) == 1 else 's'}"
    return Text.assemble(f"{count}, {live} live", (f", {len(rows) - live} not" if live < len(rows) else "", "red"))


def _caption(hidden, note, width):
    text = Text.assemble((f"and {hidden} more below; " if hidden else "", "bold"),
                         (f"{note}; " if note else "", "yellow"), (_LATE, "dim"))
    text.truncate(2 * width, overflow="ellipsis")
    return text


def _trimmed(cells, most):
    """Cells of at most `most` lines, without those that are empty in all of them at the end."""
    lines = max(i + 1 for texts in cells for i, text in enumerate(texts[:most]) if len(text) or not i)
    return [Text("\n").join([text if isinstance(text, Text) else Text(text) for text in texts[:lines]])
            for texts in cells]


def _name(row, width):
    """Where it is, what it is called and what is wrong with it."""
    levels = row["topic"].split("/")
    short = width < _TOPICS_FROM and len(levels) == 5
    wrong = ", ".join(_wrong(row))
    return f"{levels[2]}/{levels[4]}" if short else row["topic"], row["station"] or "", wrong


def _wrong(row):
    return [word for word in row["status"] if word != "good"]


def _cells(row, name, phasors):
    """For each column its lines, the most important first."""
    topic, station, wrong = name
    yield [Text(topic, style="bold"), Text(station, style="dim"), Text(wrong, style="yellow")]
    nominal = "" if row["nominal_rate"] is None else f"of {row['nominal_rate']:g}"
    yield [Text.assemble((row["state"], _STYLES[row["state"]]), ("!" if wrong else "", "yellow"))]
    yield [_rate(row["rate"]), Text(nominal, style="dim")]
    yield [_value(row["frequency_hz"], ".4f", " Hz"), _value(row["rocof_hz_s"], "+.2f", " Hz/s")]
    yield phasors
    latency, unsure = _latency(row)
    yield [latency, Text(unsure, style="dim")]
    yield [Text(str(row["missing"]), style="bold red" if row["missing"] else ""),
           Text(f"{row['filled']} back" if row["filled"] else "", style="dim")]
    yield _outbox(row)


def _phasor_lines(phasors, lines, room, angles):
    """As many phasors as go into lines of `room` columns, then how many more there are."""
    texts = [_phasor(phasor, angles) for phasor in phasors]
    longest = max([1, *(len(text) for text in texts)]) + 2
    each = max(1, min((room + 2) // longest, -(-len(texts) // lines)))
    if len(texts) > lines * each:
        each = max(1, (room + 2 - 4) // longest)
    shown = texts[:lines * each]
    rows = [shown[i * each:(i + 1) * each] for i in range(lines)]
    out = ["".join(text.ljust(longest) for text in row).rstrip() for row in rows]
    if len(shown) < len(texts):
        out[-1] += f" +{len(texts) - len(shown)}"
    return out


def _phasor(phasor, angles=True):
    size = phasor["magnitude"]
    if size is None or isinstance(size, str):
        return f"{phasor['name']} absent"
    unit = phasor["unit"]
    shown = f"{size / 1000:.3f} k{unit}" if size >= 1000 else f"{size:.2f} {unit}"
    return f"{phasor['name']} {shown}" + (f"∠{phasor['angle_deg']:+.1f}°" if angles else "")


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
