"""What the demonstration cuts, and when."""

from dataclasses import dataclass

_LEAD = 0.32  # of the time without outage: what comes before it
_RECOVERY_S = 2.5  # at least, after the last cut
_LEAD_S = 1.5  # at least, before the first one


@dataclass(frozen=True)
class Plan:
    """seconds: from the first frame to the end. outage_s: how long the broker is away, 0: not at all. kill: whether
    the node is killed, in the middle of that. ValueError if it does not fit in.
    """

    seconds: float
    outage_s: float
    kill: bool

    def __post_init__(self):
        least = self.outage_s + _LEAD_S + _RECOVERY_S
        if self.cuts and self.seconds < least:
            raise ValueError(f"--seconds {self.seconds:g}: at least {least:g} are needed to cut and to recover")

    @property
    def cuts(self):
        return bool(self.outage_s or self.kill)

    @property
    def cut_s(self):
        return max(_LEAD_S, _LEAD * (self.seconds - self.outage_s))

    def events(self):
        """[(seconds after the first frame, "cut broker" | "cut node" | "broker back")], in order."""
        events = []
        if self.outage_s:
            events += [(self.cut_s, "cut broker"), (self.cut_s + self.outage_s, "broker back")]
        if self.kill:
            events.append((self.cut_s + self.outage_s / 2, "cut node"))
        return sorted(events)

    @property
    def longest_s(self):
        """Of the node's lives, about."""
        killed_s = self.cut_s + self.outage_s / 2
        return max(killed_s, self.seconds - killed_s) if self.kill else self.seconds
