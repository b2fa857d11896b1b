"""Set point, switch, battery, solar power, shedding and coming back; announced needs against brute force."""

from hypothesis import given
from hypothesis import strategies as st

from host_tests.property import examples
from tariff import limit, needs, supply, thermostat

PRICES = st.lists(st.integers(-5000, 500_000), min_size=1, max_size=100)
TEMPERATURE = st.integers(0, 4000)


@examples(100)
@given(PRICES, st.integers(-9000, 900_000), st.lists(TEMPERATURE, min_size=3, max_size=3), st.booleans())
def test_set_point_stays_within_comfort_and_follows_the_price(prices, price, limits, cooling):
    low, normal, high = sorted(limits)
    saving, storing = (high, low) if cooling else (low, high)

    def at(price, level=0):
        return thermostat.set_point(price, prices, normal, saving, storing, level)

    sign = -1 if cooling else 1
    assert low <= at(price) <= high
    assert sign * at(price + 100) <= sign * at(price)  # dearer never means more energy
    assert at(max(prices)) == (saving if max(prices) > sum(prices) // len(prices) else normal)
    assert at(min(prices)) == (storing if min(prices) < sum(prices) // len(prices) else normal)
    assert at(sum(prices) // len(prices)) == normal and at(None) == normal
    assert at(price, 1) == at(None, 3) == saving
    assert thermostat.set_point(price, [], normal, saving, storing) == normal


def test_switch_has_hysteresis_and_rests():
    def heat(on, temperature, for_s=600, cooling=False):
        return thermostat.switch(on, for_s, temperature, 2000, 50, cooling, 300)

    assert [heat(False, t) for t in (1974, 1975, 2000, 2026)] == [True, False, False, False]
    assert [heat(True, t) for t in (1974, 2000, 2025, 2026)] == [True, True, True, False]
    assert [heat(False, t, cooling=True) for t in (1974, 2025, 2026)] == [False, False, True]
    assert [heat(True, t, cooling=True) for t in (1974, 1975, 2026)] == [False, True, True]
    assert not heat(False, 1000, 299) and heat(True, 3000, 299) and not heat(True, None, 0)


def test_thresholds_by_hand():
    prices = [100, 400, 200, 300, 100, 400, 200, 300]
    assert supply.thresholds(prices) == (100, 400)  # second and second last of eight in order
    assert supply.thresholds(prices, 74) == (100, 400) and supply.thresholds(prices, 75) == (None, None)
    assert supply.thresholds([5] * 9) == supply.thresholds([]) == (None, None)
    assert supply.thresholds([-50, -40, -30, -20], 90) == (-50, -20)  # no loss is more than what taking earns


@examples(200)
@given(
    PRICES, st.integers(0, 10_000), st.integers(0, 2000), st.integers(2000, 9000), st.integers(1, 4000),
    st.one_of(st.none(), st.integers(0, 8000)), st.integers(0, 8000), st.integers(0, 3),
)  # fmt: skip
def test_battery_stays_within_its_bounds(prices, stored, least, most, power, limit_w, load_w, level):
    """Quarter by quarter: within the state of charge and the powers, and a charge within the limit."""
    low, high = supply.thresholds(prices)
    stored *= 3600  # W s, of which whole Wh are told
    for price in prices:
        w = supply.battery(
            price, low, high, stored // 3600, (least, most), (power, 3000), 900, load_w, limit_w, level
        )
        assert -3000 <= w <= power
        after = stored + w * 900
        if w > 0:
            assert after < (most + 1) * 3600 and (limit_w is None or load_w + w <= limit_w)
            assert (price < 0 or price <= low) and not level
        if w < 0:
            assert after >= least * 3600
            assert level or high is not None and price >= high or load_w + w >= limit_w
        stored = after


def test_battery_by_hand():
    def at(price, stored=5000, **given):
        return supply.battery(price, 100, 300, stored, (1000, 9000), (2000, 3000), 900, **given)

    assert [at(p) for p in (-1, 100, 101, 299, 300, None)] == [2000, 2000, 0, 0, -3000, 0]
    assert at(50, 8900) == 400 and at(50, 9100) == 0 and at(400, 1100) == -400 and at(400, 500) == 0
    assert at(50, load_w=700, limit_w=1500) == 800 and at(50, load_w=1500, limit_w=1500) == 0
    assert at(50, load_w=2000, limit_w=1500) == -500 and at(200, load_w=9000, limit_w=1500) == -3000
    assert at(50, level=1) == -3000 and at(50, 1000, level=1) == 0
    assert supply.battery(-5, None, None, 0, (0, 9000), (2000, 3000), 900) == 2000
    assert supply.battery(5, None, None, 9000, (0, 9000), (2000, 3000), 900) == 0


def test_solar_stops_below_zero():
    assert [supply.solar(p, 4000) for p in (-1, 0, 1, None)] == [0, 4000, 4000, 4000]
    assert supply.solar(-1, 4000, 1) == 4000


LOADS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5000)), max_size=8)


@examples(100)
@given(LOADS, st.integers(0, 3), st.one_of(st.none(), st.integers(0, 12_000)))
def test_shed(loads, level, limit_w):
    may = limit.shed(loads, level, limit_w)
    assert limit_w is None or sum(w for (_, w), ok in zip(loads, may, strict=True) if ok) <= limit_w
    for i, (priority, w) in enumerate(loads):
        if level and priority > 3 - level:
            assert not may[i]
        elif not may[i]:  # what is before it in order leaves too little
            before = [(p, j) for j, (p, _) in enumerate(loads) if may[j] and (p, j) < (priority, i)]
            assert sum(loads[j][1] for _, j in before) + w > limit_w


def test_shed_by_hand():
    loads = [(3, 2000), (1, 1500), (0, 500), (2, 1000)]
    assert limit.shed(loads, 0) == [True] * 4
    assert [limit.shed(loads, level) for level in (1, 2, 3)] == [
        *([False, True, True, True], [False, True, True, False], [False, False, True, False])
    ]
    assert limit.shed(loads, 0, 3000) == [False, True, True, True]
    assert limit.shed(loads, 0, 2600) == [False, True, True, False]
    assert limit.shed(loads, 0, 499) == [False] * 4


def test_a_street_comes_back_one_by_one():
    """500 houses in a row, and 500 by lot, over ten minutes: at most 4 of 1000 loads in a second, evenly."""
    lot = [pow(5, 1000 + i, (1 << 30) - 35) for i in range(500)]
    for numbers, most in ((range(16, 516), 4), (range(1 << 29, (1 << 29) + 500), 4), (lot, 7)):
        delays = [limit.delay_s(number, place, 600) for number in numbers for place in range(2)]
        assert all(0 <= d < 600 for d in delays)
        assert max(delays.count(s) for s in range(600)) <= most
        minutes = [sum(d // 60 == m for d in delays) for m in range(10)]
        assert min(minutes) > 70 and max(minutes) < 130
        assert all(len({limit.delay_s(n, p, 600) for p in range(8)}) > 4 for n in numbers)


@examples(100)
@given(st.integers(1, 0x3FFFFFFF), st.integers(1, 900), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 7))))
def test_restore_waits_for_the_delay_and_sheds_at_once(number, spread_s, steps):
    state, now_s, since = [-1] * 3, 1, [None] * 3
    for wait_s, allowed in [(0, 0), *steps]:
        now_s += wait_s
        may = [bool(allowed >> i & 1) for i in range(3)]
        on = limit.restore(state, may, now_s, number, spread_s)
        for i in range(3):
            since[i] = None if not may[i] else since[i] or now_s
            back = since[i] and now_s - since[i] >= limit.delay_s(number, i, spread_s)
            assert on[i] == bool(may[i] and back)


DAY = 20_387  # 2025-10-26
JOBS = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(0, 200_000), st.integers((DAY - 1) * 86400, (DAY + 3) * 86400)),
    max_size=12,
)


@examples(100)
@given(JOBS)
def test_needs_keep_the_sum_whatever_the_day(jobs):
    days = [[0, 0, 0] for _ in range(8)]
    for wh, duration_s, finish_by in jobs:
        for i, sums in enumerate(days):
            needs.job(sums, DAY - 4 + i, wh, duration_s, finish_by)
    assert sum(map(sum, days)) == sum(wh for wh, _, _ in jobs)
    assert all(wh >= 0 for sums in days for wh in sums)


@examples(60)
@given(
    st.integers(0, 5000),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 4000), st.integers(0, 5000)), min_size=1, max_size=4),
)
def test_needs_equal_brute_force(wh, gaps):
    """Second by second: each one's energy as a fraction, whole Wh counted when they are full."""
    soc, pieces = DAY * 86400 + 28800 - 9000, []
    for gap_s, length_s, power_w in gaps:
        pieces.append((soc + gap_s, soc + gap_s + length_s, power_w))
        soc += gap_s + length_s
    total = sum((until - since) * power_w for since, until, power_w in pieces)
    expected, drawn, counted = [0, 0, 0], 0, 0
    for since, until, power_w in pieces:
        for s in range(since, until):
            drawn += power_w
            full = wh * drawn // total if total else 0
            expected[(s - DAY * 86400) // 28800] += full - counted
            counted = full
    sums = [1, 2, 3]
    needs.spread(sums, DAY, wh, pieces)
    assert sums == [1 + expected[0], 2 + expected[1], 3 + expected[2]]
    assert sum(expected) == (wh if total else 0)


@examples(30)
@given(st.lists(JOBS, max_size=10))
def test_needs_of_meters_and_substations_are_the_sum_of_all(meters):
    def of(jobs):
        sums = [0, 0, 0]
        for job in jobs:
            needs.job(sums, DAY, *job)
        return sums

    told = [of(jobs) for jobs in meters]
    substations = [[sum(column) for column in zip([0] * 3, *told[i::2], strict=False)] for i in range(2)]
    assert [a + b for a, b in zip(*substations, strict=True)] == of([job for jobs in meters for job in jobs])


def test_needs_by_hand():
    def of(*job):
        sums = [0, 0, 0]
        needs.job(sums, DAY, *job)
        return sums

    at = DAY * 86400
    assert of(1000, 3600, at + 28800) == [1000, 0, 0]
    assert of(1000, 3600, at + 28800 + 1200) == [666, 334, 0]  # 40 minutes before 8:00 are 666.67 Wh
    assert of(1, 3600, at + 28800 + 3599) == [0, 1, 0]  # the only Wh is full at the end
    assert of(30_001, 86400, at + 86400) == [10_000, 10_000, 10_001]
    assert of(1000, 7200, at + 3600) == [500, 0, 0]  # the other half was yesterday
    assert of(1000, 7200, at + 86400 + 1800) == [0, 0, 750]
    assert of(1000, 0, at + 86400) == [0, 0, 1000] and of(1000, 0, at) == [0, 0, 0]
