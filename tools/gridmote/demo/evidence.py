"""What was seen of the demonstration's frames, and the lives of the node that made them."""

import math
from collections import namedtuple
from dataclasses import dataclass, field

from gridmote.frame.raw import identity

LIVE_S = 1.5  # a frame that the adapter got so soon it must have passed on (it waits with none younger than 2 s)

# What the broker's other subscriber got: bytes, whether on the live topic (else as backlog), UTC in microseconds.
Published = namedtuple("Published", "frame live received_us")


@dataclass
class Evidence:
    """Frames are bytes; times are UTC in microseconds. The cuts are None where there were none."""

    time_base: int
    rate: int  # frames a second
    sampling: object  # demo_reference.Sampling of the node
    status: dict | None = None  # the node's last STATUS
    statuses: dict = field(default_factory=dict)  # boot -> the last STATUS of that life
    published: list = field(default_factory=list)  # Published, as they came
    archived: list = field(default_factory=list)  # [(frame, received_us)]
    client: list = field(default_factory=list)  # [(frame, received_us)]
    starts: list = field(default_factory=list)  # [(boot, SOC)]: the node's EVENTs "start"
    durable: list = field(default_factory=list)  # [(boot, number)] of the EVENT and METER records archived
    conflicts: int = 0  # archived with the identity of another frame
    duplicates: int = 0  # that the archive found to be there already
    down_us: int | None = None  # the broker was killed
    up_us: int | None = None  # it listens again
    killed_us: int | None = None  # the node was killed

    def number(self, frame):
        """Of a data frame on the reporting grid, since 1970."""
        _, soc, _, fracsec = identity(frame)
        return soc * self.rate + fracsec * self.rate // self.time_base

    def stamp_s(self, frame, soc=0):
        """Seconds from `soc` to the time stamp of a data frame."""
        _, frame_soc, _, fracsec = identity(frame)
        return frame_soc - soc + fracsec / self.time_base

    def live(self):
        """Identities of the frames that were published on the live topic."""
        return {identity(message.frame) for message in self.published if message.live}


def plural(frames):
    return f"{frames} frame{'' if frames == 1 else 's'}"


class Life:
    """The node between one start and its end. `soc`: the second at which measuring began: a board takes its first
    sample at a whole second, and the first frame follows within it. None if no frame of it was archived.

    numbers: of its archived frames on the reporting grid. made: frames that it made: by its own count in its last
    STATUS if it said good-bye, else at most: all that could be made until it was killed. expected: those of them
    that must be in the archive. lost: what the kill cost, at most.
    """

    def __init__(self, seen, boot, frames, killed_us=None):
        self.boot = boot
        self.frames = frames  # [(frame, received_us)], by time
        self.status = seen.statuses.get(boot) or {}
        self.numbers = sorted({seen.number(frame) for frame, _ in frames})
        self.soc = self.numbers[0] // seen.rate if self.numbers else None
        self.killed = killed_us is not None
        told = self.status.get("frames", 0)
        if not self.killed:
            self.made, self.lost = told, 0
        elif not self.numbers:
            self.made = self.lost = told
        else:
            last = last_possible(seen.sampling, seen.rate, self.soc, killed_us)
            self.made = max(told, last - self.numbers[0] + 1)
            self.lost = max(0, last - self.numbers[-1])
        self.expected = self.made - self.lost


def last_possible(sampling, rate, soc, until_us):
    """Number on the grid of the last frame that a node, measuring since the second `soc`, can have made by then."""
    passed_s = until_us / 1e6 - soc
    number = math.floor(passed_s * rate)
    while number > 0 and sampling.ready_s(number / rate) > passed_s:
        number -= 1
    return soc * rate + number


def lives(seen):
    """[Life], the first first. The starts divide the archived frames; the one that was killed is the last that
    began before.
    """
    ordered = sorted(seen.archived, key=lambda pair: seen.number(pair[0]))
    starts = sorted(seen.starts, key=lambda start: start[1]) or [((seen.status or {}).get("boot"), 0)]
    out = []
    for i, (boot, _) in enumerate(starts):
        since = starts[i][1] if i else 0
        until = starts[i + 1][1] if i + 1 < len(starts) else 1 << 32
        frames = [pair for pair in ordered if since <= seen.number(pair[0]) // seen.rate < until]
        out.append(Life(seen, boot, frames, seen.killed_us if i + 1 < len(starts) else None))
    return out
