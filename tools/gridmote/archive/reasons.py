"""Why frames are missing, as far as their node said so in its EVENT messages."""

import json
from collections import namedtuple

from gridmote.pdc.intake import with_kind

# from_s, until_s: SOC, both included, until_s infinite while it lasts; text: for people.
Reason = namedtuple("Reason", "event from_s until_s text")

_AROUND_S = 1  # events count in whole seconds


def events_of(archive, topic):
    """-> (list of EVENT messages of a live topic's node, as dicts; its boots' clocks)."""
    if len(topic.split("/")) != 5:
        return [], {}
    said = _said(archive.records(with_kind(topic, "EVENT")))
    return said, _clocks([*said, *_said(archive.records(with_kind(topic, "METER")))])


def reasons_of(said, clocks):
    """What `events_of` gives -> list of Reason, by time."""
    reasons = [reason for event in said if (reason := _reason(event, clocks))]
    ended = {reason.from_s for reason in reasons if reason.event == "thinned" and reason.until_s != float("inf")}
    left = [reason for reason in reasons
            if reason.event != "thinned" or reason.until_s != float("inf") or reason.from_s not in ended]
    return sorted(left, key=lambda reason: reason.from_s)


def rotten_places(said, clocks, from_us):
    """How many rotten places in its outbox the node of `events_of` found since `from_us` or nobody knows when.

    What stood in one is older than that. Which frames it was, if it was not METER or EVENT, nobody knows: so this
    is no Reason. A place that is met again after a restart counts again.
    """
    count = 0
    for fields in said:
        places = fields.get("places")
        if fields.get("event") == "corrupt" and type(places) is int and places > 0:
            soc = _soc(fields, clocks)
            if soc is None or soc + _AROUND_S >= from_us / 1e6:
                count += places
    return count


def _said(records):
    return [json.loads(record.json) for record in records]


def _clocks(said):
    """-> {boot: SOC of its begin}, from what it said when it knew the time."""
    clocks = {}
    for fields in said:
        soc, ticks = _number(fields, "soc"), _number(fields, "ticks")
        if soc is not None and ticks is not None:
            clocks.setdefault(fields["boot"], soc - ticks / 1000)
    return clocks


def _soc(fields, clocks):
    """When an EVENT was, None if nobody knows."""
    soc, ticks = _number(fields, "soc"), _number(fields, "ticks")
    if soc is None and ticks is not None and fields["boot"] in clocks:
        soc = clocks[fields["boot"]] + ticks / 1000
    return soc


def _reason(fields, clocks):
    """An EVENT -> Reason, None when it explains nothing or when is not known."""
    event, soc = fields.get("event"), _soc(fields, clocks)
    from_s, until_s = _number(fields, "from"), _number(fields, "to")
    if event in ("thinned", "dropped"):
        from_s = soc if from_s is None else from_s
        if from_s is None:
            return None
        if event == "thinned":
            until_s = float("inf") if until_s is None else until_s
            return Reason(event, from_s, until_s, "thinned, every %s kept" % _ordinal(fields.get("every")))
        until_s = from_s if until_s is None else until_s
        return Reason(event, from_s, until_s, "dropped: %s" % fields.get("reason", "no reason given"))
    if soc is None:
        return None
    if event == "clock":
        return Reason(event, soc, soc, "the time became known, measuring began anew")
    if event == "start":
        return Reason(event, soc, soc, "node restarted: %s" % fields.get("reset", "no reason given"))
    if event == "storage":
        texts = [value for name, value in fields.items() if isinstance(value, str) and name != "event"]
        return Reason(event, soc, soc, "storage: %s" % (texts[0] if texts else "no reason given"))
    return None


def _number(fields, name):
    value = fields.get(name)
    return value if type(value) in (int, float) else None


def _ordinal(number):
    if type(number) is not int:
        return "few"
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 % 10 != 1 else "th"
    return "%d%s frame" % (number, ending)


def explain(reasons, first_us, last_us):
    """-> tuple of texts of the reasons that touch the time from first_us to last_us."""
    first_s, last_s = first_us / 1e6 - _AROUND_S, last_us / 1e6 + _AROUND_S
    return tuple(dict.fromkeys(
        reason.text for reason in reasons if reason.from_s <= last_s and reason.until_s >= first_s))
