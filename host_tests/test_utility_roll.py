"""Who does not answer, by name: against brute force, with bits that are shared, and answers that are lost."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from gossip.aggregate import merge, own
from gossip.quantity import ROLL
from gridmote.utility import roll
from gridmote.utility.question import Answer, question_of
from host_tests.property import examples

numbers = st.integers(16, 0x3FFFFFFF)


class Segment:
    """Stands in for `ask`: those of `there` answer, but for those that `lost` has for each time."""

    def __init__(self, there, lost=()):
        self.there, self.lost = there, list(lost)
        self.asked = 0

    def __call__(self, end, question, seconds):
        self.asked += 1
        assert question.function == ROLL and 0 <= question.arg <= 0xFFFF
        value = None
        for number in self.there - (self.lost.pop(0) if self.lost else set()):
            value = merge(ROLL, value, own(ROLL, question.arg, number))
        return Answer(question, value, 0, 0, 0, 0)


def silent(monkeypatch, names, segment, contributors, missing=0):
    monkeypatch.setattr(roll, "ask", segment)
    found = Answer(question_of("tariff 7"), (0, ()), contributors, 0, missing, 1)
    return roll.silent(None, {number: f"n{number}" for number in names}, found, 0)


@given(st.sets(numbers, min_size=1, max_size=300), st.randoms())
@examples(60)
def test_exactly_those(names, random):
    """300 nodes have 504 bits: the utility knows them, and asks so that it can tell them apart."""
    import pytest

    there = {one for one in names if random.random() < 0.9}
    with pytest.MonkeyPatch.context() as patch:
        segment = Segment(there)
        assert silent(patch, names, segment, len(there)) == sorted(names - there)
        assert segment.asked <= 3
        assert segment.asked == 0 or there != names


def test_nobody_is_called_silent_who_answers(monkeypatch):
    """Two thousand do not fit: some that are silent stay unnamed, none is named that is there."""
    names = set(range(1_000_000, 1_000_000 + 7 * 2000, 7))
    gone = set(sorted(names)[::20])
    found = set(silent(monkeypatch, names, Segment(names - gone), len(names - gone)))
    assert found <= gone


def test_one_lost_answer_makes_nobody_silent_that_answers_the_next_time(monkeypatch):
    names = {100, 200, 300, 604}  # with the least argument, 100 and 604 share a bit
    assert roll.slot(100, 0) == roll.slot(604, 0)
    for lost in ([{200}], [set()], [names], [names, {100}]):
        assert silent(monkeypatch, names, Segment(names - {604}, lost), 3) == [604], lost


def test_a_liar_that_counts_for_those_who_are_silent(monkeypatch):
    """More are counted than there are, or as many while somebody is missing: the names are called all the same."""
    names = set(range(100, 133))
    for counted in (1032, 34, 33, 31):
        assert silent(monkeypatch, names, Segment(names - {107, 118}), counted, 2) == [107, 118], counted
    segment = Segment(names)
    assert silent(monkeypatch, names, segment, 1032) == [] and segment.asked >= 1


def test_it_takes_no_more_than_its_time(monkeypatch):
    """Each of three calls has its share of what is left, and at least 2 s."""
    clock = SimpleNamespace(now=0)
    monkeypatch.setattr(roll, "time", SimpleNamespace(monotonic=lambda: clock.now))
    names = {number: f"n{number}" for number in range(100, 110)}
    for seconds, expected in ((15, [5, 5, 5]), (1, [2, 2, 2])):
        given = []

        def ask(end, question, seconds):
            given.append(seconds)  # noqa: B023
            clock.now += seconds
            return Answer(question, None, 0, 0, 0, seconds)

        monkeypatch.setattr(roll, "ask", ask)
        found = Answer(question_of("tariff 7"), (0, ()), 12, 0, 1, 1)
        assert roll.silent(None, names, found, seconds) == sorted(names)
        assert given == expected


def test_who_is_quoted_is_not_silent(monkeypatch):
    """Its own word is in an answer, be it that no later one came."""
    names = {number: f"n{number}" for number in (100, 200, 300)}
    monkeypatch.setattr(roll, "ask", Segment(set()))
    for what, value in (("keys", (1, 200)), ("epochs", (1, 200)), ("tariff 7", (1, ((200,),)))):
        found = Answer(question_of(what), value, 1, 0, 2, 1)
        assert roll.silent(None, names, found, 0) == [100, 300]
        assert roll.silent(None, names, found, 0, {300}) == [100]
    nobody = Answer(question_of("keys"), None, 0, 0, 3, 1)
    assert roll.silent(None, names, nobody, 0) == [100, 200, 300]


def test_lines():
    names = {number: f"meter{number}" for number in range(20)}
    assert roll.lines([3], names) == ["  silent: meter3"]
    assert roll.lines(list(range(17)), names)[14:] == ["  silent: meter14", "  and 2 more are silent"]
    assert roll.lines([], names) == []
