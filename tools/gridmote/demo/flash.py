"""What stands on the demonstration's flash right now: the files of the node's log, read from outside."""

import json

from c37118.frame import DATA, kind_of
from outbox.log import STARTS
from outbox.record import EVENT, FRAME, RECORD


def records(folder, prefix):
    """Yields (kind, payload) of the records in the log's files; what is just being written may be left out."""
    for path in sorted(folder.glob(prefix + "????????")):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue  # acknowledged meanwhile
        for start, end in zip(STARTS, STARTS[1:], strict=False):
            block, at = data[start:end], 0
            while at + RECORD <= len(block) and block[at] >> 4:
                size = (block[at] & 15) << 8 | block[at + 1]
                payload = block[at + RECORD:at + RECORD + size]
                if len(payload) == size:
                    yield block[at] >> 4, payload
                at += RECORD + size


def frames(folder):
    """-> list of the data frames (bytes) on flash."""
    return [payload for kind, payload in records(folder, "s") if kind == FRAME and kind_of(payload) == DATA]


def last_start(folder):
    """-> (boot, SOC) of the last start that the node has noted on flash and not yet sent, or None."""
    said = [json.loads(payload) for kind, payload in records(folder, "d") if kind == EVENT]
    return max(((event["boot"], event["soc"]) for event in said if event["event"] == "start"), default=None)
