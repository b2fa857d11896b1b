"""What an MQTT message of a node is: its kind by its topic, its content by its payload."""

import json

from c37118.decode import decode
from c37118.frame import CFG2, kind_of
from gridmote.archive.store import BACKFILL, LIVE, RECORD, UNTIMED, Entry
from gridmote.frame.raw import grid_of, untimed_frames, whole_frames

_KINDS = {"PMU": LIVE, "PMU-BACKFILL": BACKFILL, "PMU-UNTIMED": UNTIMED, "METER": RECORD, "EVENT": RECORD}
_OTHERS = ("STATUS", "CMD")  # of nodes too, but not for the adapter
_LEVEL = 3  # {area}/{location-type}/{location-id}/{data-type}/{producer-id}
_LEVELS = 5
DEFAULT_FILTERS = ["+/+/+/%s/+" % kind for kind in _KINDS]


def filters_for(topics, kinds=tuple(_KINDS)):
    """Topic filters of PMUs -> the same; where the data type is PMU, one for each of `kinds` instead."""
    filters = []
    for topic in topics:
        levels = topic.split("/")
        if len(levels) == _LEVELS and levels[_LEVEL] == "PMU":
            filters += [with_kind(topic, kind) for kind in kinds]
        else:
            filters.append(topic)
    return list(dict.fromkeys(filters))


def with_kind(topic, kind):
    """A five-level topic or filter with another data type."""
    levels = topic.split("/")
    levels[_LEVEL] = kind
    return "/".join(levels)


def entry_of(message):
    """A subscriber.Message -> archive.Entry, None if there is nothing in it for an adapter or an archive.

    A topic of another shape is a live one. Raises ValueError, of which FrameError is one, when the payload is
    not wholly what its topic promises.
    """
    levels = message.topic.split("/")
    data_type = levels[_LEVEL] if len(levels) == _LEVELS else None
    if data_type in _OTHERS or not message.payload:  # an empty payload clears what was retained
        return None
    kind = _KINDS.get(data_type, LIVE)
    topic = message.topic
    if kind == RECORD:
        content = _record(message.payload)
    elif kind == UNTIMED:
        content = untimed_frames(message.payload)
    else:
        content = whole_frames(message.payload)
        for frame in content:
            if kind_of(frame) == CFG2:
                decode(frame)
                grid_of(frame)
    if kind in (BACKFILL, UNTIMED):
        topic = with_kind(topic, "PMU")
    return Entry(topic, message.received_us, content, kind, message.retained)


def _record(payload):
    """-> (boot, number, payload) of a JSON object with "boot" and "seq"."""
    try:
        fields = json.loads(payload)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    except ValueError as error:
        raise ValueError("no JSON: %s" % error) from None
    if not isinstance(fields, dict):
        raise ValueError("no JSON object")
    return (*(_number(fields, name, bits) for name, bits in (("boot", 32), ("seq", 52))), payload)


def _number(fields, name, bits):
    value = fields.get(name)
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise ValueError('"%s": %.40r is no integer of %d bits' % (name, value, bits))
    return value
