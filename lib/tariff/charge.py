"""A charge that may pause (electric vehicle): the cheapest slots that give the energy before departure."""

from tariff.table import QUARTER


def plan(first, prices, now, energy_wh, depart, most_w, least_w=0, limits=()):
    """([(from, until, W), ...], feasible): when to charge with what power, in order; whether it gives energy_wh
    before `depart`; all times are SOC, to the second.

    first, prices: what Book.prices gives; what comes after them costs as the last of them. most_w: of the charger;
    limits: [(from, until, W), ...]: never more than the least one in force, and not at all where that is below
    least_w. Of equal slots the earliest; the last second may give more than is needed. Not feasible: all that is
    possible, from now on.
    """
    end_s = depart - now
    ahead_s = now - first
    edges = {0, max(end_s, 0)}
    for i in range(1, len(prices)):
        if prices[i] != prices[i - 1]:
            edges.add(i * QUARTER - ahead_s)
    for since, until, _ in limits:
        edges.add(since - now)
        edges.add(until - now)
    edges = sorted([edge for edge in edges if 0 <= edge <= end_s])
    count = len(edges) - 1
    order = []
    for i in range(count):
        price = prices[min((ahead_s + edges[i]) // QUARTER, len(prices) - 1)] if len(prices) else 0
        order.append(price * count + i)
    order.sort()
    need = 3600 * energy_wh  # W s
    pieces = []
    for key in order:
        i = key % count
        power_w = most_w
        for since, until, limit_w in limits:
            if since <= now + edges[i] < until:
                power_w = min(power_w, limit_w)
        if need > 0 and power_w > 0 and power_w >= least_w:
            taken_s = min(edges[i + 1] - edges[i], -(-need // power_w))
            need -= taken_s * power_w
            pieces.append((now + edges[i], now + edges[i] + taken_s, power_w))
    pieces.sort()
    return _joined(pieces), need <= 0


def _joined(pieces):
    joined = []
    for piece in pieces:
        if joined and joined[-1][1:] == (piece[0], piece[2]):
            piece = joined.pop()[0], piece[1], piece[2]
        joined.append(piece)
    return joined
