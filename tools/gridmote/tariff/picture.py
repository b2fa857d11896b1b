"""The picture of a file of prices: a row for each day, its cheapest window, the hours at which clocks change."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402 after the choice of the backend

from gridmote.demo.story import FAINT, INK, PAPER  # noqa: E402
from gridmote.fault import Fault  # noqa: E402
from gridmote.tariff.day import cheapest, days_of  # noqa: E402
from gridmote.tariff.prices import lasting  # noqa: E402

_CHEAP, _PLAIN, _BELOW = "#16876e", "#d99a00", "#1f6fb2"
_MOST_DAYS = 14
_KINDS = (".png", ".svg", ".pdf")


def draw(path, prices, window_s):
    """Write it: of many days the first ones. OSError; Fault where the name tells no kind of picture."""
    if path.suffix.lower() not in _KINDS:
        raise Fault(f"--picture {path}: a name that ends in {', '.join(_KINDS)}")
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.edgecolor": FAINT,
                         "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
                         "axes.facecolor": PAPER, "figure.facecolor": PAPER})
    days = days_of(prices)[:_MOST_DAYS]
    height = 1.1 + 2.3 * len(days)
    figure, rows = plt.subplots(len(days), 1, figsize=(11, height), dpi=110, squeeze=False, sharey=True)
    for axes, day in zip(rows[:, 0], days, strict=True):
        _day(axes, prices, day, window_s)
    figure.text(0.07, 1 - 0.38 / height, str(prices.path.name), fontsize=15, weight="bold")
    figure.text(0.07, 1 - 0.6 / height, f"{prices.about}, {prices.unit.text}, {prices.zone.name}", color="#5b6b78")
    figure.subplots_adjust(left=0.07, right=0.98, top=1 - 0.95 / height, bottom=0.35 / height, hspace=0.45)
    try:
        figure.savefig(path)
    finally:
        plt.close(figure)


def _day(axes, prices, day, window_s):
    best = cheapest(day.slots, window_s)
    hour = [(slot.begin - day.begin) / 3600 for slot in day.slots]
    width = [slot.step_s / 3600 for slot in day.slots]
    value = [slot.price / prices.unit.factor for slot in day.slots]  # floats draw; nothing is computed of them
    colours = [_CHEAP if best and best.begin <= slot.begin < best.end else _BELOW if slot.price < 0 else _PLAIN
               for slot in day.slots]
    axes.bar(hour, value, width, align="edge", color=colours, edgecolor=PAPER, linewidth=0.6)
    axes.axhline(0, color=FAINT, lw=0.8)
    length = (day.end - day.begin) / 3600
    ticks = [at for at in range(day.begin, day.end, 3600) if prices.zone.at(at).hour % 2 == 0]
    axes.set_xticks([(at - day.begin) / 3600 for at in ticks], [prices.zone.of_day(at) for at in ticks], fontsize=8)
    axes.set_xlim(0, length)
    axes.set_ylabel(prices.unit.text)
    axes.grid(axis="y", color=FAINT, alpha=0.25, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{day.date:%a} {day.date}" + (f", {length:g} hours: clocks change" if day.changes else ""),
                   loc="left", fontsize=10, weight="bold")
    if best:
        axes.set_title(f"cheapest {lasting(window_s)}: {prices.zone.of_day(best.begin)} to "
                       f"{prices.zone.of_day(best.end)}, mean {prices.unit.short(best.mean)} {prices.unit.text}",
                       loc="right", fontsize=9, color=_CHEAP)
