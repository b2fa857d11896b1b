"""When the frames of the demonstration arrived: after the cuts, and on an ordinary day."""

import numpy as np

from gridmote.demo.evidence import LIVE_S, lives
from gridmote.frame.raw import identity


def recovery(seen):
    """After the broker's return, or the kill without an outage: {"live_again_ms": until the first fresh frame at
    the PDC, "backlog_gone_ms": until the archive had the last frame that came behind the live ones, None without
    any, "backlog": their number, "dead_ms": from the kill to the first sample of the next life, "outage_ms"}.
    """
    outage_ms = round((seen.up_us - seen.down_us) / 1000) if seen.down_us else None
    out = {"outage_ms": outage_ms, "live_again_ms": None, "backlog_gone_ms": None, "backlog": 0, "dead_ms": None}
    since_us = seen.up_us or seen.killed_us
    if not since_us:
        return out
    live = seen.live()
    again_us = live_again_us(seen, since_us)
    behind = [us for frame, us in seen.archived if us > since_us and identity(frame) not in live]
    if again_us:
        out["live_again_ms"] = round((again_us - since_us) / 1000)
    if behind:
        out["backlog_gone_ms"] = round((max(behind) - since_us) / 1000)
        out["backlog"] = len(behind)
    parts = lives(seen)
    if seen.killed_us and len(parts) > 1 and parts[-1].soc:
        out["dead_ms"] = round(parts[-1].soc * 1000 - seen.killed_us / 1000)
    return out


def live_again_us(seen, since_us):
    """When the PDC had its first fresh frame after that, made since the first cut; or None."""
    cut_s = (seen.down_us or seen.killed_us) / 1e6
    return min((us for frame, us in seen.client
                if us > since_us and us / 1e6 - LIVE_S < seen.stamp_s(frame) > cut_s), default=None)


def latency(seen):
    """Percentiles in ms, of live frames. A frame's way begins at its time stamp: its window ends 1.5 cycles later,
    which no implementation can avoid; then the sample block that holds the end must fill; what comes then
    (estimate, frame, MQTT, adapter, TCP) is called transport. The archive's time is that of receipt by the
    adapter. What an outage held back is left out; frames made while a backlog drained stand apart: "draining".
    """
    found, sampling = recovery(seen), seen.sampling
    from_us = seen.down_us or seen.killed_us
    to_us = (seen.up_us or seen.killed_us or 0) + 1000 * (found["live_again_ms"] or 0)
    behind = [message.received_us for message in seen.published if not message.live and message.received_us > to_us]
    gone_us = max([to_us, *behind])
    starts = [life.soc for life in lives(seen) if life.soc]
    out = {"estimator_delay_ms": round(1000 * sampling.delay_s, 1)}
    for place, frames in (("client", seen.client), ("archive", seen.archived)):
        rows = np.array([_way(seen, frame, received_us, starts) for frame, received_us in frames])
        stamp, ready, arrival = rows.T
        calm, draining = np.full(len(rows), True), np.full(len(rows), False)
        if from_us:
            calm = (arrival < from_us / 1e6) | (stamp > gone_us / 1e6)
            if behind:
                draining = (stamp > min(behind) / 1e6) & (stamp <= gone_us / 1e6)
        for name, values, which in (
            ("transport", arrival - ready, calm), ("total", arrival - stamp, calm),
            ("draining", arrival - ready, draining),
        ):
            for percent in (50, 99):
                value = round(1000 * float(np.percentile(values[which], percent)), 1) if which.any() else None
                out[f"{name}_to_{place}_p{percent}_ms"] = value
        wait_ms = 1000 * float(np.mean(ready - stamp - sampling.delay_s))
        out["block_wait_mean_ms"] = round(wait_ms, 1)
    return out


def _way(seen, frame, received_us, starts):
    """(time stamp, when the block was there that ends its window, arrival) in seconds since 1970."""
    stamp_s = seen.stamp_s(frame)
    began = max((soc for soc in starts if soc <= stamp_s), default=int(stamp_s))
    return stamp_s, began + seen.sampling.ready_s(seen.stamp_s(frame, began)), received_us / 1e6


def first_second(seen):
    """The SOC at which measuring first began; None without frames."""
    return next((life.soc for life in lives(seen) if life.soc), None)


def compared_frames(seen, decode):
    """[(seconds since that life's first sample, decode(frame))] of all archived frames, and their seconds since
    the first sample of all.
    """
    began = first_second(seen)
    pairs = [(life.soc, frame) for life in lives(seen) for frame, _ in life.frames]
    return ([(seen.stamp_s(frame, soc), decode(frame)) for soc, frame in pairs],
            [seen.stamp_s(frame, began) for _, frame in pairs])
