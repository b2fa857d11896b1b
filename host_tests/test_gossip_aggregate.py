"""Functions of queries against brute force: in any tree, in any order, through their bytes at every hop."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip import quantity
from gossip.aggregate import merge, own, put, take
from gossip.quantity import COUNT, HELD, LAST, MAX, MEAN, MIN, MOST, PERIODS, ROLL, SPAN, SUM, VERSIONS
from host_tests.property import examples

FUNCTIONS = range(1, 12)
integers = st.integers(-MOST, MOST)
angles = st.one_of(st.integers(-72000, 72000), st.integers(17900, 18100), st.integers(35990, 36010))
stamps = st.tuples(st.integers(0, 0xFFFFFFFF), integers)
versions = st.sampled_from([b"1.0.%d" % k for k in range(6)] + [b"2.0.0+ab"])
VALUES = {
    COUNT: st.integers(0, 2),
    SUM: integers,
    MEAN: integers,
    MIN: integers,
    MAX: integers,
    SPAN: angles,
    PERIODS: st.tuples(*[st.integers(0, MOST)] * 3),
    LAST: stamps,
    VERSIONS: versions,
    HELD: st.integers(0, 1),
    ROLL: st.integers(0, 0xFFFF),
}
one_of = {function: st.lists(values, min_size=1, max_size=40) for function, values in VALUES.items()}
questions = st.sampled_from(FUNCTIONS).flatmap(lambda f: st.tuples(st.just(f), one_of[f]))


def hop(function, value, count):
    """A value as the next node gets it."""
    buf = bytearray(70)
    end = put(function, value, buf, 3)
    assert end <= 3 + 64
    return take(function, buf, 3, end - 3, count)


def tree(function, parts, data):
    """Parts (value, count) put together pair by pair, as `data` draws them, every time over a hop."""
    parts = list(parts)
    while len(parts) > 1:
        a = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        b = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        count = a[1] + b[1]
        parts.append((hop(function, merge(function, a[0], b[0]), count), count))
    return parts[0][0]


def widest(found):
    """The largest difference of two angles, 0 to 18000."""
    differences = [(a - b) % 36000 for a in found for b in found]
    return max(min(one, 36000 - one) for one in differences)


def in_less_than_half(found):
    """Whether less than half a circle covers them."""
    found = sorted(angle % 36000 for angle in found)
    gaps = [b - a for a, b in zip(found, found[1:], strict=False)] + [36000 + found[0] - found[-1]]
    return max(gaps) > 18000


def brute_force(function, values):
    numbered = list(enumerate(values, 1))
    if function == COUNT:
        return (sum(1 for value in values if value),)
    if function in (SUM, MEAN):
        return (sum(values),)
    if function == MIN:
        return min((value, number) for number, value in numbered)
    if function == MAX:
        value = max(values)
        return value, 1 + values.index(value)
    if function == PERIODS:
        return tuple(sum(value[k] for value in values) for k in range(3))
    if function == LAST:
        return max((stamp, value, number) for number, (stamp, value) in numbered)
    if function == HELD:
        lacking = [number for number, value in numbered if not value]
        return len(lacking), tuple((number,) for number in lacking[:15])
    if function == ROLL:
        marked = {number % (504 + argument) % 504 for number, argument in numbered}
        return (sum(1 << bit for bit in marked).to_bytes(63, "little"),)


@given(questions, st.data())
@examples(300)
def test_any_tree(question, data):
    function, values = question
    parts = [(own(function, value, number), 1) for number, value in enumerate(values, 1)]
    found = tree(function, parts, data)
    if function == SPAN:
        assert in_less_than_half(values) == (found[1] < 18000)
        if found[1] < 18000:
            assert found[1] == widest(values)
        else:
            assert 12000 <= widest(values) <= 18000
    elif function == VERSIONS:
        counts = Counter(value.ljust(8, b"\0") for value in values)
        assert found[0] + sum(count for _, count in found[1]) == len(values)
        for version, count in found[1]:
            assert counts[version] - found[0] <= count <= counts[version]
        if len(counts) <= 6:
            assert found[0] == 0 and dict(found[1]) == counts
    else:
        assert found == brute_force(function, values)


@given(questions, st.data())
@examples(200)
def test_order(question, data):
    """Commutative; associative but for more versions than there is room for."""
    function, values = question
    if function == VERSIONS:
        values = [value for value in values if value < b"1.0.5"]
    parts = [(own(function, value, number), 1) for number, value in enumerate(values, 1)]
    if parts:
        assert tree(function, parts, data) == tree(function, parts, data)
        a, b = parts[0][0], parts[-1][0]
        assert merge(function, a, b) == merge(function, b, a) or a is b
        assert merge(function, a, None) == merge(function, None, a) == a


def test_seven_versions_or_more():
    """Those that are listed are counted too low by the number of the others at most."""
    value = None
    for number in range(700):
        value = merge(VERSIONS, value, own(VERSIONS, b"v%d" % (number * number % 9), number))
    assert value[0] + sum(count for _, count in value[1]) == 700
    assert len(value[1]) == 6 or value[0] == 0


def test_span_by_hand():
    """0.01 degree: 350 and 10 degrees are 20 apart; three phases do not fit into half a circle."""

    def span(*found):
        value = None
        for angle in found:
            value = merge(SPAN, value, own(SPAN, angle, 1))
        return value

    assert span(35000, 1000) == span(1000, 35000) == span(-1000, 1000, 0) == (35000, 2000)
    assert span(0, 12000, 24000) == (0, 18000)
    assert span(0, 17999) == (0, 17999) and span(0, 18000) == (0, 18000)
    assert span(0, 18000, 5) == (0, 18000)


@given(st.integers(1, 10), st.binary(max_size=70), st.integers(1, 65535))
@examples(500)
def test_noise(function, noise, count):
    """What comes is a value or none: never an exception, and never more than fits."""
    value = take(function, b"?" + noise, 1, len(noise), count, -1000, 1000)
    if value is None:
        return
    buf = bytearray(72)
    assert put(function, value, buf, 0) == len(noise) <= 64
    assert len(value) > 0 and merge(function, value, value)
    assert put(function, merge(function, value, value), buf, 0) <= 64


def test_none_needs_more_than_64_bytes():
    """The worst that a neighbour can say, merged with itself up to 65535 contributors."""
    worst = {
        COUNT: (65535,),
        SUM: (-MOST * 65535,),
        MEAN: (MOST * 65535,),
        MIN: (-MOST, 0xFFFFFFFF),
        MAX: (MOST, 0xFFFFFFFF),
        SPAN: (0, 18000),
        PERIODS: (MOST * 65535,) * 3,
        LAST: (0xFFFFFFFF, MOST, 0xFFFFFFFF),
        VERSIONS: (65529, tuple((b"%08d" % k, 1) for k in range(6))),
        HELD: (65535, tuple((k,) for k in range(15))),
    }
    for function, value in worst.items():
        assert hop(function, value, 65535) == value


def test_two_branches_that_name_the_same():
    """HELD: a number stands in the list once, however many have told of it; those above take that."""
    lacking = (1, ((777,),))
    both = hop(HELD, merge(HELD, hop(HELD, lacking, 1), hop(HELD, lacking, 1)), 2)
    assert both == (2, ((777,),))
    assert hop(HELD, merge(HELD, both, (1, ((5,),))), 3) == (3, ((5,), (777,)))
    assert hop(HELD, (1, ((5,), (6,))), 2) is None  # more names than lack it


def test_no_function():
    for function in (0, 11, 12, 255):
        for n in (0, 1, 4, 8, 10):
            assert take(function, bytes(64), 0, n, 1) is None


def test_fault():
    for function in (0, 12, 255):
        assert own(function, 5, 1) is None
    for function in FUNCTIONS:
        assert own(function, None, 1) is None


@pytest.mark.parametrize("function", [SUM, MEAN, MIN, MAX, LAST])
def test_clipped_to_what_is_rated(function):
    """One that says 10**12 W counts as one of 11 kW, and a branch of three as three of them, high and low."""
    for said, counted in ((10**12, 11000), (-(10**12), -11000)):
        value = own(function, (1, said) if function == LAST else said, 7, -11000, 11000)
        assert value[1 if function == LAST else 0] == counted
        wild = own(function, (1, said) if function == LAST else said, 7)
        buf = bytearray(64)
        n = put(function, wild, buf, 0)
        branch = take(function, buf, 0, n, 3, -11000, 11000)
        assert branch[1 if function == LAST else 0] == (counted * 3 if function in (SUM, MEAN) else counted)


def test_needs_are_clipped():
    assert own(PERIODS, (10**9, -5, 20), 1, 0, 1000) == (1000, 0, 20)
    buf = bytearray(24)
    put(PERIODS, (10**9, 2500, 20), buf, 0)
    assert take(PERIODS, buf, 0, 24, 2, 0, 1000) == (2000, 2000, 20)


def test_more_than_there_are():
    """Whoever says more than its branch has nodes counts as those; a list of more names than nodes is none, nor a
    roll of more bits."""
    buf = bytearray(64)
    one, two = b"1" * 8, b"2" * 8
    for function, value, cut in (
        (COUNT, (4,), (3,)),
        (HELD, (4, ((1,), (3,))), (3, ((1,), (3,)))),
        (VERSIONS, (1, ((one, 3),)), (0, ((one, 3),))),
        (VERSIONS, (0, ((one, 2), (two, 2))), (0, ((one, 2), (two, 1)))),
    ):
        n = put(function, value, buf, 0)
        assert take(function, buf, 0, n, 4) == value
        assert take(function, buf, 0, n, 3) == take(function, buf, 0, n, 4, most=3) == cut
    n = put(VERSIONS, (0, ((one, 2),)), buf, 0)
    assert take(VERSIONS, buf, 0, n, 4) == (2, ((one, 2),))  # who says too little has others
    n = put(HELD, (4, ((1,), (2,), (3,), (4,))), buf, 0)
    assert take(HELD, buf, 0, n, 3) is None
    n = put(HELD, (3, ((1,), (2,), (2,))), buf, 0)
    assert take(HELD, buf, 0, n, 3) is None  # one node twice
    roll = (bytes([0b1011]) + bytes(62),)
    n = put(ROLL, roll, buf, 0)
    assert take(ROLL, buf, 0, n, 3) == roll and take(ROLL, buf, 0, n, 2) is None


def test_a_branch_of_which_fewer_are_believed():
    """Its mean stays; a sum is clipped to what so many can have."""
    buf = bytearray(64)
    n = put(MEAN, (1000 * 50012,), buf, 0)
    assert take(MEAN, buf, 0, n, 1000, 45000, 65000, most=400) == (400 * 50012,)
    n = put(SUM, (10**14,), buf, 0)
    assert take(SUM, buf, 0, n, 65534, 0, 11000, most=4) == (4 * 11000,)
    n = put(PERIODS, (10**14, 5, 0), buf, 0)
    assert take(PERIODS, buf, 0, n, 65534, 0, 11000, most=4) == (4 * 11000, 5, 0)


def test_a_stamp_of_the_future_is_older_than_all():
    buf = bytearray(64)
    n = put(LAST, (0xFFFFFFFF, 5, 7), buf, 0)
    late = take(LAST, buf, 0, n, 1, 0, 1000, 1_700_000_060)
    assert merge(LAST, late, (1_700_000_000, 3, 8)) == (1_700_000_000, 3, 8)
    n = put(LAST, (1_700_000_060, 5, 7), buf, 0)
    assert take(LAST, buf, 0, n, 1, 0, 1000, 1_700_000_060) == (1_700_000_060, 5, 7)


@pytest.mark.parametrize("function, most", [(SUM, MOST), (MEAN, -MOST), (PERIODS, MOST)])
def test_sums_stay_in_their_bytes(function, most):
    """However many branches say the most that can be."""
    worst = (65535 * most,) * (3 if function == PERIODS else 1)
    found = worst
    for _ in range(64):
        found = merge(function, found, worst)
    assert hop(function, found, 65535) == worst


def test_names():
    """The identifiers are on the wire: they stay, and are those of docs/gossip-queries.md."""
    text = (Path(__file__).parent.parent / "docs/gossip-queries.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(FUNCTIONS)
    assert [getattr(quantity, name.upper()) for _, name in rows] == list(FUNCTIONS)


def test_bytes():
    """As docs/gossip-queries.md has them, written down by hand."""
    for function, value, packed in (
        (COUNT, (3,), "00000003"),
        (SUM, (-2,), "fffffffffffffffe"),
        (MEAN, (50000,), "000000000000c350"),
        (MIN, (1, 16), "000000000000000100000010"),
        (MAX, (-1, 16), "ffffffffffffffff00000010"),
        (SPAN, (35000, 2000), "88b807d0"),
        (PERIODS, (1, 2, 3), "000000000000000100000000000000020000000000000003"),
        (LAST, (1700000000, 230000, 5), "6553f100000000000003827000000005"),
        (VERSIONS, (1, ((b"1.0\0\0\0\0\0", 2),)), "0001312e3000000000000002"),
        (HELD, (2, ((7,), (9,))), "00020000000700000009"),
    ):
        buf = bytearray(64)
        assert buf[: put(function, value, buf, 0)].hex() == packed
        assert take(function, bytes.fromhex(packed), 0, len(packed) // 2, 3) == value
