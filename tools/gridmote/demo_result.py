"""What became of every frame of the demonstration: counts at each station, and latency."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from c37118.frame import DATA, kind_of
from gridmote.rawframe import identity


@dataclass
class Evidence:
    """What was seen. Frames are bytes; times are UTC in microseconds."""

    status: dict | None = None  # the node's last STATUS
    published: list = field(default_factory=list)  # payloads that another subscriber of the broker got
    archived: list = field(default_factory=list)  # [(frame, received_us)]
    conflicts: int = 0
    gaps: int = 0  # frames that the archive's reporting grid lacks
    client: list = field(default_factory=list)  # [(frame, received_us)]


def counts(seen):
    """The stations of a frame, and how many are missing. `complete` only if every frame that the node made is
    everywhere, with the same bytes, and the node itself said at its end how many that were.
    """
    status = seen.status or {}
    stopped = status.get("state") == "stopped"
    made = status.get("frames", 0)
    lost = status.get("skipped", 0) + status.get("lost_blocks", 0)
    archived = dict(_by_identity([frame for frame, _ in seen.archived]))
    client = _by_identity([frame for frame, _ in seen.client])
    published = _by_identity([frame for frame in seen.published if kind_of(frame) == DATA])
    at_client, at_broker = dict(client), dict(published)
    whole = sum(frame == at_client.get(key) == at_broker.get(key) for key, frame in archived.items())
    missing = max(made - whole, seen.gaps, 0)
    return {
        "made": made,
        "published": len(at_broker),
        "acknowledged": made - status.get("waiting", 0) - status.get("dropped", 0),
        "archived": len(archived),
        "at_client": len(at_client),
        "missing": missing,
        "duplicated_on_the_wire": _again(published),
        "duplicated_at_client": _again(client),
        "conflicting": seen.conflicts,
        "not_measured": lost,
        "complete": bool(
            stopped and made and not missing and not lost and not seen.conflicts
            and made == len(archived) == len(at_client) == len(at_broker)
        ),
    }


def _by_identity(frames):
    return [(identity(frame), frame) for frame in frames]


def _again(pairs):
    return sum(n - 1 for n in Counter(key for key, _ in pairs).values())


def first_second(seen):
    """The SOC at which measuring began: a board's first sample is taken at a whole second, and the first frame
    follows within it. None without frames.
    """
    return min((identity(frame)[1] for frame, _ in seen.archived), default=None)


def since(frame, start_soc, time_base):
    """Seconds from start_soc to the time stamp of a data frame."""
    _, soc, _, fracsec = identity(frame)
    return soc - start_soc + fracsec / time_base


def latency(seen, time_base, sampling):
    """Percentiles in ms. A frame's way begins at its time stamp: its window ends 1.5 cycles later, which no
    implementation can avoid; then the sample block that holds the end must fill; what comes then (estimate,
    frame, MQTT, adapter, TCP) is called transport. The archive's time is that of receipt by the adapter.
    """
    start_soc = first_second(seen)
    out = {"estimator_delay_ms": round(1000 * sampling.delay_s, 1)}
    for place, frames in (("client", seen.client), ("archive", seen.archived)):
        stamps = np.array([since(frame, start_soc, time_base) for frame, _ in frames])
        ready = np.array([sampling.ready_s(t_s) for t_s in stamps])
        arrival = np.array([(received_us - start_soc * 1_000_000) / 1e6 for _, received_us in frames])
        out["block_wait_mean_ms"] = round(1000 * float(np.mean(ready - stamps - sampling.delay_s)), 1)
        for name, values in (("transport", arrival - ready), ("total", arrival - stamps)):
            for percent in (50, 99):
                out[f"{name}_to_{place}_p{percent}_ms"] = round(1000 * float(np.percentile(values, percent)), 1)
    return out


def count_rows(result):
    """(what, value, remark) for people."""
    return [
        ("frames made", result["made"], "the node's own count in its last STATUS"),
        ("published", result["published"], "seen by another subscriber"),
        ("acknowledged", result["acknowledged"], "PUBACKs that reached the node"),
        ("archived", result["archived"], "SQLite, each exactly once"),
        ("at the PDC", result["at_client"], "C37.118 over TCP"),
        ("missing", result["missing"], "made, but not whole at every station"),
        ("not measured", result["not_measured"], "blocks or frames lost before they were made"),
        ("duplicated", result["duplicated_at_client"], f"at the PDC; on MQTT {result['duplicated_on_the_wire']}"),
    ]


def latency_rows(result):
    def both(name, place):
        return " / ".join(f"{result[f'{name}_to_{place}_p{percent}_ms']:.1f}" for percent in (50, 99)) + " ms"

    window, block = (f"{result[name]:.0f} ms" for name in ("estimator_delay_ms", "block_wait_mean_ms"))
    pace = "after the block that ends the window; paced to 1 ms"
    of_it = f"{window} of it are the window, {block} the sample block"
    return [
        ("transport to the PDC, p50 / p99", both("transport", "client"), pace),
        ("transport to the archive", both("transport", "archive"), "the same, to the receipt by the adapter"),
        ("time stamp to the PDC", both("total", "client"), of_it),
    ]


def accuracy_rows(result, what):
    def both(name, unit, sign):
        values = (result[f"{name}_mean_{unit}"], result[f"{name}_max_{unit}"])
        return " / ".join("-" if value is None else f"{value:.3f}" for value in values) + " " + sign

    steady, compared = result["frames_steady"], result["frames_compared"]
    over = f"over {steady} frames" + (" without a step in their window" if steady < compared else "")
    return [
        ("TVE, mean / max", both("tve", "percent", "%"), f"against {what}"),
        ("frequency error, mean / max", both("frequency_error", "mhz", "mHz"), over),
    ]
