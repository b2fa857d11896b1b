"""Announced needs: the energy of jobs in the three 8-hour periods of a day, exact to the Wh.

A day is that of UTC: day * 86400 to the next. Energy that was needed up to an instant is rounded down to the Wh; a
period's is the difference of two such instants, so that any cut into periods and days preserves the sum. Meters add
what their appliances say, SSCs what their meters say.
"""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_PERIOD_S = const(28800)


def spread(sums, day, energy_wh, pieces):
    """Add to sums [Wh, Wh, Wh] what falls into the periods of `day` of energy_wh that is drawn in `pieces`.

    day: days since 1970. pieces: a plan [(from, until, W), ...] without overlaps, whose
    W only weigh the pieces against one another.
    """
    if energy_wh < 0:
        raise ValueError("an energy below 0")
    total = _drawn(pieces, None)
    if not total:
        return
    soc = day * 3 * _PERIOD_S
    before_wh = energy_wh * _drawn(pieces, soc) // total
    for i in range(3):
        soc += _PERIOD_S
        until_wh = energy_wh * _drawn(pieces, soc) // total
        sums[i] += until_wh - before_wh
        before_wh = until_wh


def job(sums, day, energy_wh, duration_s, finish_by):
    """The same for a job without plan: evenly over the last duration_s seconds (at least one) before finish_by."""
    spread(sums, day, energy_wh, ((finish_by - max(duration_s, 1), finish_by, 1),))


def _drawn(pieces, soc):
    """W s of pieces up to a SOC; None: of all."""
    total = 0
    for since, until, power_w in pieces:
        if soc is not None:
            until = min(until, soc)
        total += power_w * max(until - since, 0)
    return total
