"""Prices in the terminal: a picture of each day, with its cheapest window."""

from fractions import Fraction

from rich.table import Table
from rich.text import Text

from gridmote.tariff.day import cheapest, days_of
from gridmote.tariff.prices import counted, lasting

_ROWS = 8  # lines of a picture
_PICTURES = 3  # days that get one; of more there is a line each
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_MARGIN = 9  # columns left of a picture
_CHEAP, _DEAR, _BELOW, _PLAIN = "bold green", "red", "cyan", "yellow"


def tell(console, prices, window_s):
    """Head, then days."""
    unit, zone = prices.unit, prices.zone
    slots = sorted(prices.slots)
    steps = sorted({slot.step_s for slot in slots})
    many = counted(len(slots), steps[0]) if len(steps) == 1 else f"{len(slots):,} prices"
    console.print(Text.assemble((str(prices.path), "bold"), f"  {prices.about}, {many}, {unit.text}, {zone.name}"))
    console.print(f"  from {zone.when(slots[0].begin)} to {zone.when(max(slot.end for slot in slots))}\n")
    days = days_of(prices)
    if len(days) > _PICTURES:
        console.print(_lines(prices, days, window_s, 24 if console.width >= 90 else 12))
        console.print()
        return
    for day in days:
        best = cheapest(day.slots, window_s)
        console.print(_words(prices, day, best, window_s))
        for line in _picture(prices, day, best, console.width):
            console.print(line, no_wrap=True, crop=True)
        console.print()


def _words(prices, day, best, window_s):
    unit = prices.unit
    values = [slot.price for slot in day.slots]
    said = Text.assemble("  ", (f"{day.date:%a} {day.date}", "bold"), f"  {_count(day)}")
    if day.changes:
        said.append(f", clocks change: {float(day.hours):g} hours", "bold yellow")
    said.append(f"\n  {unit.short(min(values))} to {unit.short(max(values))} {unit.text}, "
                f"mean {unit.short(_mean(day))}")
    if best:
        said.append(f"\n  cheapest {lasting(window_s)}: {_span(prices, best)}, mean {unit.short(best.mean)}",
                    _CHEAP)
    return said


def _count(day):
    number = len(day.slots)
    if any(slot.step_s != day.step_s for slot in day.slots):
        return f"{number} prices"
    whole = counted(day.full, day.step_s)
    return f"all {whole}" if number == day.full else f"{number} of {whole}"


def _span(prices, window):
    return f"{prices.zone.of_day(window.begin)} to {prices.zone.of_day(window.end)}"


def _lines(prices, days, window_s, parts):
    """A table with a line a day; its strip has that many parts."""
    unit = prices.unit
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("  day", no_wrap=True)
    for title in ("prices", "least", "mean", "most"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column(f"cheapest {lasting(window_s)}", no_wrap=True, style=_CHEAP)
    table.add_column("00 to 24", no_wrap=True)
    low = min(0, *(slot.price for day in days for slot in day.slots))
    high = max(1, *(slot.price for day in days for slot in day.slots))
    for day in days:
        values = [slot.price for slot in day.slots]
        best = cheapest(day.slots, window_s)
        strip = Text()
        for cell in _cells(day, parts):
            level = " " if cell is None else _EIGHTHS[1 + round(7 * (cell - low) / (high - low))]
            strip.append(level, _BELOW if cell is not None and cell < 0 else _PLAIN)
        number = Text(f"{len(values)}/{day.full}", "" if len(values) == day.full else "red")
        number.append(f" {float(day.hours):g} h" if day.changes else "", "bold yellow")
        table.add_row(f"  {day.date}", number, unit.short(min(values)), unit.short(_mean(day)),
                      unit.short(max(values)), _span(prices, best) if best else "-", strip)
    return table


def _mean(day):
    return Fraction(sum(slot.price * slot.step_s for slot in day.slots), sum(slot.step_s for slot in day.slots))


def _cells(day, number):
    """Mean price of each of `number` equal parts of the day, None where there is none."""
    found, length = [], Fraction(day.end - day.begin, number)
    for i in range(number):
        begin, end = day.begin + i * length, day.begin + (i + 1) * length
        shares = [(slot.price, min(slot.end, end) - max(slot.begin, begin)) for slot in day.slots
                  if slot.begin < end and slot.end > begin]
        total = sum(share for _, share in shares)
        found.append(Fraction(sum(price * share for price, share in shares), total) if total else None)
    return found


def _picture(prices, day, best, width):
    """Yields lines: bars from zero, the axis of hours, a bracket below the cheapest window."""
    number = day.full
    room = max(width - _MARGIN - 2, 12)
    columns = number * (room // number) if number <= room else number // -(-number // room)
    cells = _cells(day, columns)
    low = min([0, *(cell for cell in cells if cell is not None)])
    high = max([0, *(cell for cell in cells if cell is not None)])
    if low == high:
        high = Fraction(1)
    below = 0 if low == 0 else max(1, round(_ROWS * -low / (high - low)))
    above = 0 if high == 0 else max(1, _ROWS - below)
    styles = [_style(day, best, cells, i) for i in range(columns)]
    for row in range(above, 0, -1):
        label = prices.unit.short(high * row / above) if row in (above, (above + 1) // 2) else ""
        levels = [8 * above * cell / high - 8 * (row - 1) if cell and cell > 0 else 0 for cell in cells]
        yield _row(label, [_EIGHTHS[max(0, min(8, -int(-level // 1)))] for level in levels], styles)
    for row in range(1, below + 1):
        label = prices.unit.short(low * row / below) if row == below else ""
        levels = [2 * below * cell / low - 2 * (row - 1) if cell and cell < 0 else 0 for cell in cells]
        yield _row(label, [" ▀█"[max(0, min(2, -int(-level // 1)))] for level in levels], styles)
    yield _hours(prices, day, columns)
    if best:
        left, right = (_column(day, columns, at) for at in (best.begin, best.end))
        yield Text(" " * (_MARGIN + 1 + left) + "╰" + "─" * max(right - left - 2, 0) + "╯", _CHEAP)


def _row(label, marks, styles):
    line = Text(f"{label:>{_MARGIN}}", "dim")
    line.append("│", "dim")
    for mark, style in zip(marks, styles, strict=True):
        line.append(mark, style)
    return line


def _style(day, best, cells, i):
    at = day.begin + Fraction(day.end - day.begin, len(cells)) * (i + Fraction(1, 2))
    if best and best.begin <= at < best.end:
        return _CHEAP
    if cells[i] is not None and cells[i] < 0:
        return _BELOW
    known = sorted(cell for cell in cells if cell is not None)
    return _DEAR if known and cells[i] is not None and cells[i] > known[len(known) * 9 // 10] else _PLAIN


def _column(day, columns, at):
    return round(Fraction((at - day.begin) * columns, day.end - day.begin))


def _hours(prices, day, columns):
    """The axis: hours as clocks show them, each at its place."""
    line = list("─" * columns + " ")
    busy = -1
    for at in range(day.begin, day.end, 3600):
        hour = prices.zone.at(at).hour
        left = _column(day, columns, at)
        if hour % 3 == 0 and left > busy and left + 2 <= columns:
            line[left:left + 2] = f"{hour:02d}"
            busy = left + 2
    return Text(" " * _MARGIN + "└" + "".join(line), "dim")
