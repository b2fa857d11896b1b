"""What is known of each PMU from the messages heard so far. No clock, no network: times come with the calls."""

import collections
import json
import re
import statistics

from c37118.decode import decode
from c37118.frame import CFG2, DATA, FrameError, kind_of
from gridmote.frame.describe import describe
from gridmote.frame.raw import grid_of, has_time, untimed_frames, whole_frames
from gridmote.pdc.intake import with_kind

KINDS = ("PMU", "PDC", "PMU-BACKFILL", "PMU-UNTIMED", "EVENT", "STATUS")
_OF_PMU = KINDS[2:]  # what belongs to the PMU topic of the same place and producer
_RECENT_S = 5.0  # over which rates are taken
_SILENT_S = 3.0  # and three periods of the stream
_LATENCIES = 64
_MISSING_MOST = 100_000  # grid points remembered, so that backlog can fill them
_STATUS_NUMBERS = ("waiting", "flash_waiting", "flash_percent", "thinned", "dropped", "boot", "uptime_s")


class Gaps:
    """Grid points of a stream that were skipped, until a later frame fills them: `missing`, `filled`."""

    def __init__(self):
        self._last = None
        self._open = set()
        self._beyond = 0
        self.filled = 0

    @property
    def missing(self):
        return len(self._open) + self._beyond

    def live(self, number):
        """The next frame of the live stream."""
        if self._last is None or number > self._last:
            if self._last is not None:
                room = min(number - self._last - 1, _MISSING_MOST - len(self._open))
                self._open.update(range(self._last + 1, self._last + 1 + room))
                self._beyond += number - self._last - 1 - room
            self._last = number
        else:
            self.late(number)

    def late(self, number):
        """A frame that comes behind."""
        if number in self._open:
            self._open.remove(number)
            self.filled += 1

    def cut(self):
        """Who listens was away: what was sent meanwhile is not the node's gap."""
        self._last = None


class Stream:
    """One live topic and what belongs to it."""

    def __init__(self, topic):
        self.topic = topic
        self.gaps = Gaps()
        self.status = {}
        self.last_event = None
        self.backlog_frames = self.untimed_frames = self.bad = 0
        self._config = self._grid = self._raw = None
        self._arrivals = collections.deque(maxlen=1024)
        self._backlog = collections.deque(maxlen=1024)  # (received, frames)
        self._latencies = collections.deque(maxlen=_LATENCIES)  # seconds

    def frame(self, raw, received_s, retained):
        """A whole frame of the live topic."""
        kind = kind_of(raw)
        if kind == CFG2:
            config, grid = decode(raw), grid_of(raw)
            if grid != self._grid:
                self.gaps.cut()  # its numbers are of another grid
            self._config, self._grid = config, grid
        elif kind == DATA and not retained:
            self._raw = raw
            self._arrivals.append(received_s)
            if self._grid and has_time(raw):
                self.gaps.live(self._number(raw))
                self._latencies.append(received_s - self._stamp(raw))

    def backlog(self, frames, received_s):
        data = [raw for raw in frames if kind_of(raw) == DATA]
        self.backlog_frames += len(data)
        self._backlog.append((received_s, len(data)))
        if self._grid:
            for raw in data:
                self.gaps.late(self._number(raw))

    def _stamp(self, raw):
        """Seconds since 1970; the configuration has to be known."""
        return int.from_bytes(raw[6:10], "big") + int.from_bytes(raw[11:14], "big") / self._grid[0]

    def _number(self, raw):
        """Of the frame's point on the grid of its rate."""
        rate = self._grid[1]
        soc = int.from_bytes(raw[6:10], "big")
        if rate < 0:
            return soc // -rate
        return soc * rate + round(int.from_bytes(raw[11:14], "big") * rate / self._grid[0])

    def rate(self, now_s):
        """Frames a second by their arrival, over the last seconds; 0 when silent."""
        if self.silent(now_s):
            return 0.0
        recent = [at for at in self._arrivals if at > now_s - _RECENT_S]
        recent = recent if len(recent) > 2 else list(self._arrivals)[-3:]
        span_s = recent[-1] - recent[0]
        return (len(recent) - 1) / span_s if span_s else 0.0

    def silent(self, now_s):
        period_s = 0 if not self._grid else 1 / self._grid[1] if self._grid[1] > 0 else -self._grid[1]
        return not self._arrivals or now_s - self._arrivals[-1] > max(_SILENT_S, 3 * period_s)

    def state(self, now_s):
        """-> "live", "silent", or what STATUS says of a node from which no frames come: "offline", "stopped"."""
        if not self.silent(now_s):
            return "live"
        said = self.status.get("state")
        return said if said in ("offline", "stopped") else "silent"

    def rows(self, now_s):
        """[dict], one for each PMU of the frames (a concentrator has several); JSON can hold them."""
        latency_s = statistics.median(self._latencies) if self._latencies else None
        recent = sum(frames for at, frames in self._backlog if at > now_s - _RECENT_S)
        common = {
            "topic": self.topic, "state": self.state(now_s), "rate": round(self.rate(now_s), 4),
            "nominal_rate": None if not self._grid else self._grid[1] if self._grid[1] > 0 else -1 / self._grid[1],
            "latency_ms": None if latency_s is None else round(latency_s * 1000, 1),
            "tq": None if self._raw is None else self._raw[10],
            "missing": self.gaps.missing, "filled": self.gaps.filled,
            "backlog_rate": recent / _RECENT_S, "backlog_frames": self.backlog_frames,
            "untimed_frames": self.untimed_frames, "bad_messages": self.bad, "last_event": self.last_event,
            **{name: self.status.get(name) for name in _STATUS_NUMBERS},
        }
        return [common | pmu for pmu in self._measured()]

    def _measured(self):
        """Station, values and status words of each PMU, as far as they are known."""
        if self._raw is not None and self._config is not None:
            try:
                frame = describe(decode(self._raw, self._config), self._config)
                return [{"station": pmu["station"], "idcode": pmu["idcode"], "status": pmu["status"],
                         "frequency_hz": pmu["frequency_hz"], "rocof_hz_s": pmu["rocof_hz_s"],
                         "phasors": pmu["phasors"], "time": frame["time"]} for pmu in frame["pmus"]]
            except FrameError as error:
                note = str(error)
        else:
            note = "no CFG-2 yet" if self._config is None else "no data yet"
        empty = {"frequency_hz": None, "rocof_hz_s": None, "phasors": [], "time": None, "status": [note]}
        if self._config is None:
            return [{"station": None, "idcode": None, **empty}]
        return [{"station": pmu.stn.rstrip("\0 "), "idcode": pmu.idcode, **empty} for pmu in self._config.pmus]


class Watch:
    """All streams. feed() takes each message, rows() tells everything, sorted by topic."""

    def __init__(self):
        self._streams = {}

    def feed(self, topic, payload, received_s, retained=False):
        """A message; what is not understood is counted in `bad_messages` of its stream."""
        levels = topic.split("/")
        kind = levels[3] if len(levels) == 5 and levels[3] in KINDS else "PMU"
        if kind in _OF_PMU:
            topic = with_kind(topic, "PMU")
        if not payload:
            return  # what was retained is cleared
        stream = self._streams.get(topic)
        if stream is None:
            stream = self._streams[topic] = Stream(topic)
        try:
            self._take(stream, kind, payload, received_s, retained)
        except ValueError:  # FrameError and bad JSON
            stream.bad += 1

    def _take(self, stream, kind, payload, received_s, retained):
        if kind in ("STATUS", "EVENT"):
            said = json.loads(payload)
            if not isinstance(said, dict):
                raise ValueError("no JSON object")
            if kind == "STATUS":
                stream.status.update(said)
            else:
                stream.last_event = str(said.get("event"))
        elif kind == "PMU-UNTIMED":
            stream.untimed_frames += len(untimed_frames(payload)[1])
        elif kind == "PMU-BACKFILL":
            stream.backlog(whole_frames(payload), received_s)
        else:
            for raw in whole_frames(payload):
                stream.frame(raw, received_s, retained)

    def cut(self):
        """The connection was lost: what was missed meanwhile is nobody's gap."""
        for stream in self._streams.values():
            stream.gaps.cut()

    def rows(self, now_s):
        return [row for topic in sorted(self._streams, key=_natural) for row in self._streams[topic].rows(now_s)]


def _natural(topic):
    """Numbers in it count as numbers: 9 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", topic)]
