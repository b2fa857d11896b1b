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
    blocks = [(since, until) for since, until, most_w in limits if most_w < power_w]

    def free(start):
        return not any(start < until and since < start + duration_s for since, until in blocks)

    sums = [0]
    for price in prices:
        sums.append(sums[-1] + price * QUARTER)

    def paid(soc):
        """What a watt from `first` on costs up to a SOC."""
        after_s = soc - first
        i = min(after_s // QUARTER, len(prices) - 1)
        return sums[i] + (after_s - i * QUARTER) * prices[i] if i >= 0 else 0

    # the cost is straight between these, and the limits' gaps begin and end at some
    edges = [now, finish_by - duration_s]
    for since, until in blocks:
        edges.append(until)
        edges.append(since - duration_s)
    best = None
    for i in range(-len(edges), 2 * len(prices) + 2):
        start = edges[i] if i < 0 else first + (i >> 1) * QUARTER - (i & 1) * duration_s
        if now <= start <= finish_by - duration_s and free(start):
            cost = paid(start + duration_s) - paid(start), start
            if best is None or cost < best:
                best = cost
    if best:
        return best[1], True
    return min([start for start in edges if start >= now and free(start)]), False
