"""A run that can wait but not pause (washing machine, dishwasher): the cheapest window before its deadline."""

from tariff.table import QUARTER


def plan(first, prices, now, duration_s, finish_by, power_w=0, limits=(), started=None):
    """(start, feasible): when to start, and whether it then ends by finish_by; all times are SOC.

    first, prices: what Book.prices gives; what comes after them costs as the last of them. power_w: what it draws
    all the time; limits: [(from, until, W), ...], it never runs where one is below power_w. Of all starts from now
    on, to the second, the cheapest; of equal ones the earliest. Not feasible: the earliest start that the limits
    allow. started: when it began, if it has: it is never interrupted.
    """
    if started is not None:
        return started, started + duration_s <= finish_by
    # from here on in seconds from `first`, which are small integers
    now -= first
    last = finish_by - duration_s - first
    blocks = [(since - first, until - first) for since, until, most_w in limits if most_w < power_w]

    def free(start):
        return not any(start < until and since < start + duration_s for since, until in blocks)

    sums = [0]
    for price in prices:
        sums.append(sums[-1] + price * QUARTER)

    def paid(at):
        """What a watt costs up to a second."""
        i = min(at // QUARTER, len(prices) - 1)
        return sums[i] + (at - i * QUARTER) * prices[i] if i >= 0 else 0

    # the cost is straight between these and where a price begins or ends, and so do the limits' gaps
    edges = [now, last]
    for since, until in blocks:
        edges.append(until)
        edges.append(since - duration_s)
    best = least = None
    for i in range(-len(edges), max(2 * len(prices) - 2, 0)):
        start = edges[i] if i < 0 else (i // 2 + 1) * QUARTER - (i & 1) * duration_s
        if i >= 0 and prices[i // 2] == prices[i // 2 + 1]:
            continue
        if now <= start <= last and (not blocks or free(start)):
            cost = paid(start + duration_s) - paid(start)
            if best is None or cost < least or cost == least and start < best:
                best, least = start, cost
    if best is not None:
        return first + best, True
    return first + min([start for start in edges if start >= now and free(start)]), False
