"""What became of every frame of the demonstration: counts at each station, and what the cuts cost."""

from gridmote.demo.evidence import LIVE_S, lives
from gridmote.frame.raw import identity


def counts(seen):
    """The stations of a frame, and how many are missing. `complete` only if

    - every frame that the node made is in the archive with the bytes that were published, but for those that the
      kill may cost (the tail of that life, at most `loss_most` of the node's STATUS),
    - every live one is at the PDC with the same bytes,
    - no event or energy record is missing between those archived,
    - the node itself said at its end how many frames it made.
    """
    status = seen.status or {}
    parts = lives(seen)
    archived, _ = _by_identity(frame for frame, _ in seen.archived)
    at_client, again_at_client = _by_identity(frame for frame, _ in seen.client)
    at_broker, again = _by_identity(message.frame for message in seen.published)
    live = must_be_live(seen)
    whole = sum(
        frame == at_broker.get(key) and at_client.get(key, None if key in live else frame) == frame
        for key, frame in archived.items())
    expected = sum(life.expected for life in parts)
    missing = max(expected - whole, 0)
    not_measured = sum(life.status.get("skipped", 0) + life.status.get("lost_blocks", 0) for life in parts)
    lost = sum(life.lost for life in parts)
    most = max((life.status.get("loss_most", 0) for life in parts if life.killed), default=0)
    waiting = status.get("waiting", 0) + status.get("flash_waiting", 0)
    gone = sum(status.get(name, 0) for name in ("dropped", "thinned"))
    return {
        "made": sum(life.made for life in parts),
        "made_by_life": [life.made for life in parts],
        "published": len(at_broker),
        "acknowledged": expected - waiting - gone,
        "waiting": waiting,
        "archived": len(archived),
        "at_client": len(at_client),
        "late": len(archived.keys() - at_client.keys()),
        "missing": missing,
        "lost_by_kill": lost,
        "loss_most": most,
        "not_measured": not_measured,
        "duplicated_on_the_wire": again,
        "duplicated_at_client": again_at_client,
        "duplicated_at_archive": seen.duplicates,
        "conflicting": seen.conflicts,
        "durable": len(set(seen.durable)),
        "durable_missing": durable_missing(seen.durable),
        "complete": bool(
            status.get("state") == "stopped" and all(life.made for life in parts)
            and not missing and not not_measured and not seen.conflicts
            and lost <= most and len(parts) == (2 if seen.killed_us else 1)
            and not durable_missing(seen.durable)
            and expected == len(archived) == len(at_broker) and at_client.keys() <= archived.keys()
        ),
    }


def _by_identity(frames):
    """({identity: the first such frame}, how many came again)."""
    found, again = {}, 0
    for frame in frames:
        again += identity(frame) in found
        found.setdefault(identity(frame), frame)
    return found, again


def must_be_live(seen):
    """Identities of the frames that the PDC must have: those published on the live topic, and received by the
    adapter before the broker went, or soon after their time stamp.
    """
    live = seen.live()
    return {
        identity(frame) for frame, received_us in seen.archived if identity(frame) in live
        and (seen.down_us is None or received_us < seen.down_us
             or received_us / 1e6 - seen.stamp_s(frame) < LIVE_S)}


def durable_missing(records):
    """The numbers of a life's records follow each other: how many are missing between those that came."""
    chunks = {}
    for boot, number in set(records):
        chunks.setdefault((boot, number >> 20), []).append(number & 0xFFFFF)
    return sum(max(numbers) + 1 - len(numbers) for numbers in chunks.values())
