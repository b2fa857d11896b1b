"""Plans of a run and of a charge: no feasible deadline missed, no limit exceeded, no dearer than brute force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tests.property import examples
from tariff import charge, limit, run

FIRST = 1_761_436_800  # a whole quarter of an hour
PRICES = st.one_of(
    st.lists(st.integers(-300, 4000), min_size=1, max_size=8), st.lists(st.integers(-1, 1), min_size=1, max_size=8)
)
# brute force walks every second: windows are short, and begin and end beside the quarters, too
SECONDS = st.integers(0, 7200)


@st.composite
def windows(draw, powers):
    found = []
    for _ in range(draw(st.integers(0, 3))):
        since = FIRST + draw(st.integers(-100, 6000))
        found.append((since, since + draw(st.integers(1, 3000)), draw(st.sampled_from(powers))))
    return found


def by_second(prices, limits, most_w):
    """(price, allowed W) of each second of two and a half hours."""
    found = []
    for s in range(9001):
        allowed = min([w for since, until, w in limits if since <= FIRST + s < until], default=most_w)
        found.append((prices[min(s // 900, len(prices) - 1)], min(allowed, most_w)))
    return found


@examples(150)
@given(PRICES, st.integers(0, 899), st.integers(1, 3600), SECONDS, windows((0, 1999, 2000)))
def test_run_against_every_start(prices, after_s, duration_s, finish_s, limits):
    now = FIRST + after_s
    start, feasible = run.plan(FIRST, prices, now, duration_s, FIRST + finish_s, 2000, limits)
    seconds = by_second(prices, limits, 2000)
    cost, refused = [0], [0]
    for price, allowed in seconds:
        cost.append(cost[-1] + price)
        refused.append(refused[-1] + (allowed < 2000))
    possible = [
        (cost[s + duration_s] - cost[s], s)
        for s in range(after_s, finish_s - duration_s + 1)
        if refused[s + duration_s] == refused[s]
    ]
    assert feasible == bool(possible) and start >= now
    if feasible:
        assert (cost[start - FIRST + duration_s] - cost[start - FIRST], start - FIRST) == min(possible)
    else:  # the earliest that the limits allow
        earliest = now
        while any(since < earliest + duration_s and earliest < until for since, until, w in limits if w < 2000):
            earliest += 1
        assert start == earliest


def test_run_that_has_begun_goes_on():
    assert run.plan(FIRST, [9, 1], FIRST + 50, 600, FIRST + 650, 1, [(FIRST, FIRST + 9, 0)], FIRST) == (FIRST, True)
    assert run.plan(FIRST, [9, 1], FIRST + 50, 600, FIRST + 599, started=FIRST) == (FIRST, False)


def test_run_without_prices_or_beyond_them():
    assert run.plan(FIRST, [], FIRST + 7, 600, FIRST + 99999) == (FIRST + 7, True)
    assert run.plan(FIRST, [], FIRST + 7, 600, FIRST + 606) == (FIRST + 7, False)
    assert run.plan(FIRST, [9, 5, 1], FIRST, 7200, FIRST + 99999) == (FIRST + 1800, True)
    assert run.plan(FIRST, [-9], FIRST + 1, 0, FIRST + 5) == (FIRST + 1, True)


@examples(150)
@given(
    PRICES,
    st.integers(0, 899),
    st.integers(0, 4000),
    SECONDS,
    st.sampled_from((0, 1380)),
    windows((0, 1000, 1380, 2300, 9000)),
)
def test_charge_against_every_second(prices, after_s, energy_wh, depart_s, least_w, limits):
    now = FIRST + after_s
    pieces, feasible = charge.plan(FIRST, prices, now, energy_wh, FIRST + depart_s, 3680, least_w, limits)
    seconds = by_second(prices, limits, 3680)
    given, cost, last, dearest = 0, 0, now, -(10**9)
    for since, until, power_w in pieces:
        assert last <= since < until <= FIRST + depart_s
        for s in range(since - FIRST, until - FIRST):
            assert max(least_w, 1) <= power_w <= seconds[s][1]
            given += power_w
            cost += seconds[s][0] * power_w
            dearest = max(dearest, seconds[s][0])
        last = until
    need = 3600 * energy_wh
    ahead = [(p, w) for p, w in seconds[after_s : max(depart_s, after_s)] if w >= max(least_w, 1)]
    most = sum(w for _, w in ahead)
    assert feasible == (most >= need)
    if not feasible:
        assert given == most
        return
    assert need <= given < need + 3680  # the last second may give more
    best, missing = 0, need
    for price, w in sorted(ahead):  # the cheapest seconds, of the last one as much as is missing
        taken = min(w, missing)
        best += price * taken
        missing -= taken
    assert cost - dearest * (given - need) == best  # it is the last of the dearest seconds that gives more


@examples(50)
@given(PRICES, st.integers(1, 3000), SECONDS)
def test_charge_of_one_power_is_the_cheapest_there_is(prices, energy_wh, depart_s):
    """Whole seconds of one power: the cheapest ones, exactly."""
    pieces, feasible = charge.plan(FIRST, prices, FIRST, energy_wh, FIRST + depart_s, 3600)
    seconds = sorted(price for price, _ in by_second(prices, [], 3600)[:depart_s])
    cost = sum(prices[min((s - FIRST) // 900, len(prices) - 1)] for a, b, _ in pieces for s in range(a, b))
    assert cost == sum(seconds[:energy_wh]) and feasible == (energy_wh <= depart_s)


def test_charge_at_the_edges():
    assert charge.plan(FIRST, [5], FIRST, 0, FIRST - 5, 3600) == ([], True)
    assert charge.plan(FIRST, [5], FIRST, 1, FIRST, 3600) == ([], False)
    assert charge.plan(FIRST, [], FIRST + 1, 1, FIRST + 9, 3600) == ([(FIRST + 1, FIRST + 2, 3600)], True)
    assert charge.plan(FIRST, [5], FIRST, 1, FIRST + 9, 0) == ([], False)


@examples(100)
@given(PRICES, st.integers(0, 899), windows((1000, 2500, 5000)), st.integers(1, 2000), st.integers(1, 1500))
def test_two_loads_share_a_limit(prices, after_s, limits, energy_wh, other_wh):
    now, depart = FIRST + after_s, FIRST + 7200
    first_load, _ = charge.plan(FIRST, prices, now, energy_wh, depart, 2000, 0, limits)
    rest = limit.left(limits, first_load)
    second, _ = charge.plan(FIRST, prices, now, other_wh, depart, 3000, 0, rest)
    start, feasible = run.plan(FIRST, prices, now, 900, depart, 800, limit.left(rest, second))
    loads = [*first_load, *second, (start, start + 900, 800)]
    for s in range(FIRST, FIRST + 9000, 7):
        allowed = min([w for since, until, w in limits if since <= s < until], default=10**6)
        assert sum(w for since, until, w in loads if since <= s < until) <= allowed


def test_an_emergency_is_a_limit_for_those_it_stops():
    emergencies = [(FIRST, FIRST + 900, 2), (FIRST + 900, FIRST + 1800, 1)]
    assert limit.windows(emergencies, [(1, 2, 3)], 0) == limit.windows(emergencies, [(1, 2, 3)], 1) == [(1, 2, 3)]
    assert limit.windows(emergencies, [], 2) == [(FIRST, FIRST + 900, 0)]
    limits = limit.windows(emergencies, [], 3)
    assert run.plan(FIRST, [1, 2, 3], FIRST, 600, FIRST + 9000, 500, limits) == (FIRST + 1800, True)
    assert run.plan(FIRST, [1, 2, 3], FIRST, 600, FIRST + 2000, 500, limits) == (FIRST + 1800, False)


@pytest.mark.parametrize("shift", [0, 1, 450, 899])
def test_golden_runs(shift):
    """Worked out by hand: quarters at 20, 10, 10, 30, 5, 5 a second each, from 00:00."""
    prices = [20, 10, 10, 30, 5, 5]
    now, end = FIRST + shift, FIRST + 5400
    assert run.plan(FIRST, prices, now, 900, end) == (FIRST + 3600, True)
    # a deadline in the middle of the cheapest: 180 s at 30 and 720 s at 5 equal a quarter at 10
    assert run.plan(FIRST, prices, now, 900, FIRST + 4320) == (FIRST + 900, True)
    assert run.plan(FIRST, prices, now, 900, FIRST + 4321) == (FIRST + 3421, True)
    # 20 + 10 + 10 equals 30 + 5 + 5
    assert run.plan(FIRST, prices, now, 2700, end) == (FIRST if not shift else FIRST + 2700, True)
    assert run.plan(FIRST, prices, now, 5400 - shift, end) == (now, True)
    assert run.plan(FIRST, prices, now, 5401 - shift, end) == (now, False)
