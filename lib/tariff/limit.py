"""Emergency and capacity limit: who may draw power, and who comes back when."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_GOLDEN = const(0x9E3779B1)  # 2^32 / the golden ratio: neighbouring numbers end up far apart
_PLACES = const(8)  # of a node


def stopped(priority, level):
    """Whether an emergency level stops a load: level 1 those of priority 3, 2 from 2, 3 from 1; 0 is never."""
    return level > 0 and priority > 3 - level


def windows(emergencies, limits, priority):
    """The limits [(from, until, W), ...] to plan a load with; both as of Book.windows."""
    return limits + [(since, until, 0) for since, until, level in emergencies if stopped(priority, level)]


def left(limits, pieces):
    """What limits leave beside `pieces`, both [(from, until, W), ...]: for the plan of the load that comes next."""
    found = []
    for since, until, most_w in limits:
        edges = {since, until}
        for piece in pieces:
            for edge in piece[:2]:
                if since < edge < until:
                    edges.add(edge)
        edges = sorted(edges)
        for i in range(len(edges) - 1):
            used_w = sum([w for start, end, w in pieces if start <= edges[i] < end])
            found.append((edges[i], edges[i + 1], max(most_w - used_w, 0)))
    return found


def shed(loads, level, limit_w=None):
    """Who may draw: a bool for each of loads [(priority 0..3, W), ...], 0 the most important.

    Those that the level does not stop, as long as all together stay within limit_w, by priority, then in order.
    """
    may = [False] * len(loads)
    used_w = 0
    for priority in range(4):
        for i in range(len(loads)):
            if loads[i][0] == priority and not stopped(priority, level):
                may[i] = limit_w is None or used_w + loads[i][1] <= limit_w
                used_w += loads[i][1] if may[i] else 0
    return may


def delay_s(number, place, spread_s):
    """0..spread_s - 1: how long load `place` (0..7) of the node `number` waits when it may draw again."""
    return ((number * _PLACES + place) * _GOLDEN & 0xFFFFFFFF) * spread_s >> 32


def restore(state, may, now_s, number, spread_s):
    """Who draws: a bool for each load; those that had to stop come back by their delay_s after they may.

    may: of `shed`. state: a list that is kept between calls and changed: for each load 0: it draws, -1: stopped,
    else when it comes back. At a start all are -1, so that a street does not come back at once with its power
    either. now_s: any count of seconds above 0 that goes forward, such as since the start.
    """
    for i in range(len(may)):
        if not may[i]:
            state[i] = -1
        elif state[i] < 0:
            state[i] = now_s + delay_s(number, i, spread_s)
        if 0 < state[i] <= now_s:
            state[i] = 0
    return [not until for until in state]
