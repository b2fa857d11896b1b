"""A question of this node to its segment, by a command. Loaded for that, then let go; the answer is an EVENT."""

import json

from micropython import const

_REPEATS_MOST = 2
_HELD = const(10)  # gossip.quantity
_ROLL = const(11)  # the last function
_BOUNDS = {"targets": (0, 15), "least": (0, 65535), "timeout_ms": (1000, 120000), "every_s": (0, 86400)}


def inquire(gossip, command, now):
    """Take {"query": [function, arg], ...}, JSON; ValueError says what is wrong with it.

    function, arg: docs/gossip-queries.md. targets: sum of roles (1 ied, 2 meter, 4 ssc), 0: all. least: answers
    that are enough, 0: all. timeout_ms. every_s: again so often, 0: once. "query": null ends what is asked again.
    """
    asked = json.loads(command)
    query = asked.pop("query", 0)
    if query is None:
        del gossip.repeats[:]
        return
    if not (isinstance(query, list) and len(query) == 2 and all(type(n) is int and n >= 0 for n in query)):
        raise ValueError("query: must be [function, arg]")
    if not 1 <= query[0] <= _ROLL:
        raise ValueError("query: function must be from 1 to %d" % _ROLL)
    most = 0x3FFFFFFF if query[0] == _HELD else 0xFFFF
    if query[1] > most:
        raise ValueError("query: arg must be from 0 to %d" % most)
    how = {}
    for key, value in asked.items():
        least, most = _BOUNDS.get(key, (0, -1))
        if least > most:
            raise ValueError("%s: unknown; allowed are %s" % (str(key)[:16], ", ".join(_BOUNDS)))
        if type(value) is not int or not least <= value <= most:
            raise ValueError("%s: must be a whole number from %d to %d" % (key, least, most))
        how[key] = value
    every_s = how.pop("every_s", 0)
    if every_s:
        if len(gossip.repeats) == _REPEATS_MOST:
            raise ValueError("query: %d are asked again and again already" % _REPEATS_MOST)
        from gossip.repeat import Repeat

        gossip.repeats.append(Repeat(gossip.stack.queries, every_s * 1000, now, *query, gossip.answered, **how))
    elif not gossip.stack.queries.start(now, *query, gossip.answered, **how):
        raise ValueError("query: too many at once")
