"""The picture of the demonstration: how its frames arrived, and phasors and frequency over their reference."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402 after the choice of the backend
import numpy as np  # noqa: E402

from gridmote.demo.story import FAINT as _FAINT  # noqa: E402
from gridmote.demo.story import INK as _INK  # noqa: E402
from gridmote.demo.story import PAPER as _PAPER  # noqa: E402
from gridmote.demo.story import Story  # noqa: E402

_COLOURS = {"A": "#c0392b", "B": "#d99a00", "C": "#1f6fb2"}
_MORE = ("#6c4ba6", "#16876e", "#7f8c8d")


def draw(path, compared, pmu, seen, title, remarks):
    """compared: of demo_reference.compare, t_s on one time axis; pmu: PmuConfig; seen: demo_evidence.Evidence;
    remarks: lines below the title. Writes a PNG.
    """
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "text.color": _INK, "axes.edgecolor": _FAINT,
                         "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK,
                         "axes.facecolor": _PAPER, "figure.facecolor": _PAPER})
    compared = _broken(compared, seen.rate)
    story = Story(seen)
    above = 1 if story.cut else 0
    height = 8.4 + 3.6 * above
    figure = plt.figure(figsize=(12.8, height), dpi=110)
    grid = figure.add_gridspec(
        4 + above, 2, width_ratios=(2.5, 1), height_ratios=(*[2.5] * above, 1.2, 1, 1.2, 0.7), hspace=0.28,
        wspace=0.12, left=0.065, right=0.955, top=1 - (0.62 + 0.26 * len(remarks)) / height, bottom=0.5 / height)
    kinds = [kind for _, kind, _ in pmu.phasors]
    names = [name.strip() for name, _, _ in pmu.phasors]
    colours = _colours(names)
    t_s = compared["t_s"]
    first = None
    if above:
        first = figure.add_subplot(grid[0, 0])
        story.arrivals(first)
        story.rates(figure.add_subplot(grid[0, 1]))
    for row, (kind, label, unit) in enumerate(((0, "Voltage", "V"), (1, "Current", "A")), above):
        axes = first = figure.add_subplot(grid[row, 0], sharex=first)
        chosen = [c for c, k in enumerate(kinds) if k == kind]
        _magnitudes(axes, compared, chosen, names, colours, label, unit)
    hertz = figure.add_subplot(grid[above + 2, 0], sharex=first)
    reference = np.where(compared["steady"], compared["hz_ref"], np.nan)
    hertz.plot(t_s, reference, color=_FAINT, lw=3.2, alpha=0.6, label="reference", solid_capstyle="round")
    hertz.plot(t_s, compared["hz"], color=_INK, lw=0.9, label="frames")
    hertz.set_ylabel("Frequency, Hz")
    hertz.tick_params(labelbottom=False)
    low, high = hertz.get_ylim()
    hertz.set_ylim(min(low, (low + high) / 2 - 0.05), max(high, (low + high) / 2 + 0.05))
    hertz.ticklabel_format(axis="y", useOffset=False)
    _legend(hertz, 2)
    _errors(figure.add_subplot(grid[above + 3, 0], sharex=first), compared)
    _clock(figure.add_subplot(grid[above:above + 2, 1], projection="polar"), compared, kinds, names, colours)
    _angles(figure.add_subplot(grid[above + 2:, 1]), compared, kinds, names, colours)
    for axes in figure.axes:
        axes.grid(color=_FAINT, alpha=0.25, lw=0.6)
        if axes.name != "polar":
            axes.spines[["top", "right"]].set_visible(False)
            axes.margins(x=0.01)
    figure.text(0.065, 1 - 0.38 / height, title, fontsize=17, weight="bold")
    for i, remark in enumerate(remarks):
        figure.text(0.065, 1 - (0.64 + 0.22 * i) / height, remark, fontsize=10, color="#5b6b78")
    figure.savefig(path)
    plt.close(figure)


def _broken(compared, rate):
    """The same with a row of no value wherever frames are missing: no line is drawn across."""
    at = np.flatnonzero(np.diff(compared["t_s"]) > 1.5 / rate) + 1
    out = {}
    for name, values in compared.items():
        nothing = False if values.dtype == bool else np.nan
        out[name] = np.insert(values, at, nothing, axis=0) if at.size else values
    return out


def _colours(names):
    """By the phase that a name tells, else one after the other."""
    out, spare = [], iter(_MORE * len(names))
    for name in names:
        phase = next((p for p in "ABC" if p in name[1:2].upper()), None)
        out.append(_COLOURS[phase] if phase else next(spare))
    return out


def _magnitudes(axes, compared, chosen, names, colours, label, unit):
    if not chosen:
        axes.set_visible(False)
        return
    values = np.abs(compared["phasor"][:, chosen])
    factor, prefix = (1e-3, "k") if np.nanmax(values) >= 2000 else (1.0, "")
    reference = np.abs(compared["phasor_ref"][:, chosen])
    for i, c in enumerate(chosen):
        axes.plot(compared["t_s"], factor * reference[:, i], color=colours[c], lw=3.6, alpha=0.25,
                  solid_capstyle="round")
        axes.plot(compared["t_s"], factor * values[:, i], color=colours[c], lw=1.0, label=names[c])
    axes.set_ylabel(f"{label}, {prefix}{unit} rms")
    axes.tick_params(labelbottom=False)
    _at_least(axes, 0.04)
    _legend(axes, len(chosen))


def _legend(axes, columns):
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.97), ncols=columns, borderaxespad=0)


def _at_least(axes, part):
    """Widen the y axis to `part` of its middle: what is constant shall look so."""
    low, high = axes.get_ylim()
    middle = (low + high) / 2
    half = max((high - low) / 2, part * middle / 2)
    axes.set_ylim(middle - half, middle + half)


def _errors(axes, compared):
    tve = 100 * np.abs(compared["phasor"] - compared["phasor_ref"]) / np.abs(compared["phasor_ref"])
    worst = np.where(compared["steady"], np.fmax.reduce(tve, axis=1), np.nan)
    axes.fill_between(compared["t_s"], worst, 0.0, color="#16876e", alpha=0.35, lw=0)
    axes.plot(compared["t_s"], worst, color="#16876e", lw=0.8)
    axes.set_ylim(0, None)
    axes.set_ylabel("worst TVE, %")
    axes.set_xlabel("seconds since the first sample  (gaps: a step lies in the window)")


def _clock(axes, compared, kinds, names, colours):
    """The last phasors as arrows, voltages and currents each relative to their largest."""
    last = compared["phasor"][-1]
    for kind, style in ((0, "-"), (1, (0, (3, 1.5)))):
        chosen = [c for c, k in enumerate(kinds) if k == kind and np.isfinite(last[c])]
        most = max((abs(last[c]) for c in chosen), default=0) or 1
        for c in chosen:
            length = abs(last[c]) / most * (1.0 if kind == 0 else 0.62)
            angle = np.angle(last[c])
            axes.plot([0, angle], [0, length], color=colours[c], lw=2.4, ls=style)
            axes.plot(angle, length, "o", color=colours[c], ms=6)
            axes.annotate(names[c], (angle, length + 0.13), ha="center", va="center", fontsize=8)
    axes.set_ylim(0, 1.25)
    axes.set_yticks([])
    axes.spines["polar"].set_alpha(0.3)
    axes.text(-0.05, -0.1, "the last\nframe", transform=axes.transAxes, fontsize=10, color="#5b6b78")


def _angles(axes, compared, kinds, names, colours):
    """Angles drift at the distance of the frequency from nominal: that is what a synchrophasor shows."""
    for c, kind in enumerate(kinds):
        if kind == 0 or 0 not in kinds:
            degrees = np.degrees(np.angle(compared["phasor"][:, c]))
            degrees[1:][np.abs(np.diff(degrees)) > 180] = np.nan
            axes.plot(compared["t_s"], degrees, color=colours[c], lw=1.1, label=names[c])
    axes.set_ylim(-180, 180)
    axes.set_yticks(range(-180, 181, 60))
    axes.yaxis.tick_right()
    axes.set_title("angle against UTC, degrees", fontsize=10, color="#5b6b78")
    axes.set_xlabel("seconds since the first sample")
