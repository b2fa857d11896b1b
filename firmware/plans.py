"""Plans of appliances, and what they need. Loaded for as long as there is one to be planned, then let go.

A load: firmware.appliances._Load; all times are SOC.
"""

from micropython import const

from tariff import charge, limit, needs, run
from tariff.book import EMERGENCY, LIMIT
from tariff.table import QUARTER

_DAY = const(86400)
_FAR_S = const(345600)  # four days: as far as Book.prices goes


def plan(loads, i, now, state, book, wait_s, tell):
    """Plan loads[i] from now on (0: not known), beside those before it. state: Book.current.

    wait_s: so long after a limit, or an emergency, it comes back. tell: what was asked for is told when it will be.
    """
    one = loads[i]
    keys = one.keys
    _, price, level, _ = state
    if one.kind == "supply" or one.kind == "thermostat":
        prices = book.prices(now, now // QUARTER * QUARTER + _DAY)[1] if now else ()
        if one.kind == "supply":
            from tariff import supply

            one.low, one.high = supply.thresholds(prices)
        else:
            from tariff import thermostat

            one.aim = thermostat.set_point(
                price, prices, keys["normal"], keys["saving"], keys["storing"], level
            )
        return
    one.pieces = ()
    if not now:
        return
    if not one.left_s:
        _daily(one, keys, now)
    if one.begun:
        one.pieces = ((now, now + one.left_s, one.watts),)
    elif one.left_s:
        taken = []
        for k, other in enumerate(loads):
            if k < i or other.begun:
                taken.extend(other.pieces)
        _place(one, now, book, taken, wait_s)
    if one.asked and one.pieces:
        one.asked = False
        start, end = one.pieces[0][0], one.pieces[-1][1]
        tell("appliance", name=one.name, start=start, end=end, feasible=one.feasible)


def _daily(one, keys, now):
    """The job of each day, in its time; as this is looked at each quarter of an hour."""
    start_s, by = 60 * keys["from"], keys.get("by", -1)
    due = now - (now - start_s) % _DAY + ((60 * by - start_s) % _DAY or _DAY)
    # `done` beyond tomorrow is of a clock that was wrong
    if by >= 0 and now < due and not due <= one.done <= due + 2 * _DAY:
        one.done = one.finish_by = due
        job(one)


def job(one, asked={}):  # noqa: B006
    """Begin a job, as configured where nothing else is `asked`."""
    if one.kind == "run":
        one.left_s = asked.get("duration_s", 60 * one.keys["minutes"])
        one.wh = asked.get("energy_wh", one.left_s * one.watts // 3600)
    else:
        one.wh = asked.get("energy_wh", one.keys["wh"])
        one.left_s = -(-3600 * one.wh // one.watts)


def _place(one, now, book, taken, wait_s):
    until, watts = one.finish_by, one.watts
    first, prices = book.prices(now, until) if until else (now, ())  # all times are alike
    until = until or now + _FAR_S
    end = until + _DAY
    limits = limit.windows(
        book.windows(EMERGENCY, now, end), book.windows(LIMIT, now, end), one.keys["priority"]
    )
    limits = limit.left([(since, to + wait_s, w) for since, to, w in limits], taken)
    if one.kind == "run":
        start, one.feasible = run.plan(first, prices, now, one.left_s, until, watts, limits)
        one.pieces = ((start, start + one.left_s, watts),)
    else:
        wh = -(-one.left_s * watts // 3600)
        one.pieces, one.feasible = charge.plan(first, prices, now, wh, until, watts, watts, limits)


def announce(loads, now, said, tell):
    """Tell(jobs, day, [Wh, Wh, Wh]) what is needed today and tomorrow, if not `said`; gives what is said then.

    As tariff.needs has it, from the plans; the Wh of a job that has begun are those that are left.
    """
    found = []
    for day in (now // _DAY, now // _DAY + 1):
        sums, jobs = [0, 0, 0], 0
        for one in loads:
            if one.left_s:
                before = sum(sums)
                needs.spread(sums, day, min(one.wh, one.left_s * one.watts // 3600), one.pieces)
                jobs += sum(sums) > before
        found.append((jobs, day, sums))
    for need in found:
        if need not in said:
            tell(*need)
    return found
