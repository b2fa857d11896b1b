"""The story of the demonstration, for its picture: when each frame arrived, and what was cut meanwhile."""

import numpy as np

from gridmote.demo.evidence import lives, plural
from gridmote.demo.times import first_second
from gridmote.frame.raw import identity

INK, FAINT, PAPER = "#22303c", "#93a1ad", "#fbfaf7"
_LIVE, _BACKLOG, _CUT = "#16876e", "#e08a1e", "#c0392b"
_BIN_S = 0.5
_WIDE = 0.03  # part of the time axis that has room for a line of text
_ROOM = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 1.5}


class Story:
    """seen: Evidence with archived frames. `cut`: whether anything was. Times on the axes: seconds
    since the first sample.
    """

    def __init__(self, seen):
        self._zero = zero = first_second(seen)
        live = seen.live()
        # What the broker itself had kept came on the live topic, and late: to the archive it is backlog.
        rows = [(seen.stamp_s(frame, zero), received_us / 1e6 - zero,
                 identity(frame) in live and received_us / 1e6 - seen.stamp_s(frame) < 2)
                for frame, received_us in seen.archived]
        self._stamp, self._arrival, self._live = (np.array(column) for column in zip(*rows, strict=True))
        self._live = self._live.astype(bool)
        self._down, self._up, self._killed = (
            None if at_us is None else at_us / 1e6 - zero for at_us in (seen.down_us, seen.up_us, seen.killed_us))
        self.cut = self._down is not None or self._killed is not None
        self._parts, self._rate = lives(seen), seen.rate

    def arrivals(self, axes):
        """Each frame at its own time, and when the archive had it."""
        for which, colour, label in ((self._live, _LIVE, "live"),
                                     (~self._live, _BACKLOG, "backlog, behind the live ones")):
            if which.any():
                axes.plot(self._stamp[which], self._arrival[which], ".", ms=3.2, color=colour, label=label, mew=0)
        left, right = 0, self._stamp.max()
        if self._down is not None:
            axes.axhspan(self._down, self._up, color=FAINT, alpha=0.18, lw=0)
            axes.annotate(f"broker killed: nothing arrives for {self._up - self._down:.1f} s",
                          (right, (self._down + self._up) / 2), ha="right", va="center", xytext=(-6, 0),
                          textcoords="offset points", color="#5b6b78", bbox=_ROOM)
        if self._killed is not None:
            self._kill(axes)
        axes.set_xlim(left, right)
        axes.set_ylim(0, None)
        axes.set_ylabel("arrival in the archive, s")
        axes.tick_params(labelbottom=False)
        axes.legend(loc="upper left", markerscale=3, facecolor=PAPER, edgecolor="none", framealpha=0.9)

    def _kill(self, axes):
        before, after = self._parts[0], self._parts[-1]
        last_s = before.numbers[-1] / self._rate - self._zero
        begin_s = after.numbers[0] / self._rate - self._zero
        axes.axvspan(last_s, self._killed, color=_CUT, alpha=0.3, lw=0)
        axes.axvspan(self._killed, begin_s, color=_CUT, alpha=0.1, lw=0)
        axes.axvline(self._killed, color=_CUT, lw=1.2)
        for left, right, text in ((last_s, self._killed, "lost"), (self._killed, begin_s, "not measured")):
            if right - left > _WIDE * self._stamp.max():
                axes.text((left + right) / 2, 0.97, text, rotation=90, ha="center", va="top", color=_CUT,
                          transform=axes.get_xaxis_transform())
        last = self._stamp.max()
        room = begin_s < 0.55 * last
        axes.annotate(f"meter killed: its RAM is lost, {plural(before.lost)} at most;\n"
                      f"it measures again {begin_s - self._killed:.1f} s later", (begin_s if room else last, 0),
                      xytext=(6 if room else -6, 8), textcoords="offset points", ha="left" if room else "right",
                      color=_CUT, bbox=_ROOM)

    def rates(self, axes):
        """Frames a second that the archive got."""
        edges = np.arange(0, self._arrival.max() + _BIN_S, _BIN_S)
        live, backlog = (
            np.histogram(self._arrival[which], edges)[0] / _BIN_S for which in (self._live, ~self._live))
        axes.bar(edges[:-1], live, _BIN_S, align="edge", color=_LIVE, lw=0, label="live")
        if backlog.any():
            axes.bar(edges[:-1], backlog, _BIN_S, bottom=live, align="edge", color=_BACKLOG, lw=0, label="backlog")
        axes.set_ylim(0, 1.3 * (live + backlog).max())
        if self._down is not None:
            axes.axvspan(self._down, self._up, color=FAINT, alpha=0.18, lw=0)
        if self._killed is not None:
            axes.axvline(self._killed, color=_CUT, lw=1.2)
        axes.yaxis.tick_right()
        axes.set_title("frames a second into the archive", fontsize=10, color="#5b6b78")
        axes.legend(frameon=False, loc="upper left")
