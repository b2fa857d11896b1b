"""Receipts of what is signed: what is asked, when it is enough, and how long it takes, by a clock of its own."""

from types import SimpleNamespace

import pytest

from gossip.quantity import EPOCH, HELD, MIN
from gossip.quantity import KEY as NEWEST
from gossip.wire import COMMAND, KEY, REVOKE, TARIFF
from gridmote.tariff.messages import Message
from gridmote.utility import receipt
from gridmote.utility.question import Answer, question_of
from tariff.encode import encode_into
from tariff.table import Table

NAMES = {number: f"n{number}" for number in range(100, 104)}
TARIFF_7 = question_of("tariff 7")


def message(kind, body):
    return Message(1, 9, 7, 600, bytes([kind, 1]) + bytes(8) + len(body).to_bytes(2, "big") + body + bytes(99))


def test_what_is_asked_for():
    """A table by all of its number, a revocation by the oldest key that is believed, a key by the newest."""
    body = bytearray(300)
    table = bytes(body[:encode_into(body, 0, Table(0x3FFF0007, 1_800_000_000 // 900 * 900, 900, [1], "EUR"))])
    cases = [(TARIFF, table, (HELD, 0x3FFF0007), 0), (REVOKE, b"\x05", (MIN, EPOCH), 5),
             (KEY, bytes(8) + b"\x06" + bytes(47), (MIN, NEWEST), 6)]
    for kind, body, asked, least in cases:
        question, found = receipt.asked(message(kind, body))
        assert (question[:2], found) == (asked, least) and question.targets == 7 and question.receipt
    assert receipt.asked(message(COMMAND, b"restart")) is None
    assert receipt.asked(message(TARIFF, b"no table")) is None


@pytest.mark.parametrize("what, value, contributors, faults, missing, least, good", [
    ("tariff 7", (0, ()), 4, 0, 0, 0, True),
    ("tariff 7", (0, ()), 4, 0, 2, 0, True),  # who is missing was not provisioned
    ("tariff 7", (0, ()), 3, 0, 0, 0, False),
    ("tariff 7", (0, ()), 4, 1, 0, 0, False),
    ("tariff 7", (1, ((102,),)), 4, 0, 0, 0, False),
    ("tariff 7", None, 0, 0, 4, 0, False),
    ("epochs", (2, 102), 4, 0, 0, 2, True),
    ("epochs", (1, 102), 4, 0, 0, 2, False),
    ("epochs", (256, 102), 4, 0, 0, 255, True),
    ("keys", (2, 102), 4, 0, 0, 3, False),
])
def test_enough(what, value, contributors, faults, missing, least, good):
    answer = Answer(question_of(what), value, contributors, faults, missing, 1)
    assert receipt.whole(answer, NAMES, least) == good
    assert receipt.whole(answer, {}, least) == (good and not missing or contributors == 3)


class World:
    """Instead of an End and its clock: it is everywhere from `arrives` on; who is dead makes each answer late."""

    def __init__(self, monkeypatch, arrives, dead=0):
        self.now, self.arrives, self.dead, self.called = 0, arrives, dead, []
        monkeypatch.setattr(receipt, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(receipt, "ask", self.ask)
        monkeypatch.setattr(receipt, "silent", self.silent)

    def run(self, done, seconds):
        self.now += seconds

    def ask(self, end, question, seconds):
        asked, self.now = self.now, self.now + (seconds if self.dead else 0.5)
        lacking = 0 if asked >= self.arrives else 1
        return Answer(question, (lacking, ((100,),) * lacking), 4 - self.dead, 0, self.dead, 1)

    def silent(self, end, names, answer, seconds, heard):
        self.called.append(seconds)
        return [103] * self.dead


@pytest.mark.parametrize("seconds", [15, 30, 60])
@pytest.mark.parametrize("dead", [0, 1])
def test_it_is_asked_again_before_it_is_told(monkeypatch, seconds, dead):
    """A table that arrives after a third of the time is not told as lacking, though nobody can answer for the dead;
    a third is left for calling names."""
    world = World(monkeypatch, seconds / 3, dead)
    answer, unheard, done = receipt.receipt(world, TARIFF_7, 0, NAMES, seconds)
    assert answer.value == (0, ()) and unheard == [103] * dead and done == (not dead)
    assert world.now <= seconds and (not dead or 2 < world.called[0] <= seconds / 3)


def test_what_does_not_arrive(monkeypatch):
    for seconds in (1, 6, 15, 600):
        world = World(monkeypatch, 9999, 1)
        answer, _, done = receipt.receipt(world, TARIFF_7, 0, NAMES, seconds)
        assert answer.value[0] == 1 and not done
        assert world.now + max(world.called[0], 6) <= seconds + 8


class Answers(World):
    """These, one after the other, each as late as it may be; the last one again and again."""

    def __init__(self, monkeypatch, *answers):
        super().__init__(monkeypatch, 0)
        self.answers, self.given, self.heard = list(answers), [], None

    def ask(self, end, question, seconds):
        self.now += seconds
        self.given.append(seconds)
        value, contributors = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Answer(question, value, contributors, 0, 4 - contributors, seconds)

    def silent(self, end, names, answer, seconds, heard):
        self.heard = heard
        return []


@pytest.mark.parametrize("what, least, answers, best", [
    ("keys", 3, [((1, 101), 3), ((3, 102), 1)], ((1, 101), 3)),  # the last one is poor
    ("keys", 3, [((1, 101), 2), ((2, 102), 3), ((3, 100), 3), (None, 0)], ((3, 100), 3)),  # the newest of equals
    ("tariff 7", 0, [((4, ((100,),)), 4), ((1, ((101,),)), 1)], ((4, ((100,),)), 4)),
    ("tariff 7", 0, [((4, ((100,),)), 4), ((0, ()), 3)], ((0, ()), 3)),  # it arrived, a reply was lost
    ("tariff 7", 0, [((0, ()), 3), ((0, ()), 2)], ((0, ()), 3)),
    ("keys", 3, [((2, 101), 99), ((2, 102), 3), ((2, 103), 4)], ((2, 103), 4)),  # more than there are
])
def test_the_best_answer_is_told(monkeypatch, what, least, answers, best):
    world = Answers(monkeypatch, *answers)
    found, _, _ = receipt.receipt(world, question_of(what), least, NAMES, 60)
    assert (found.value, found.contributors) == best
    for value, _ in answers[:len(world.given)]:
        assert not value or what != "keys" or value[1] in world.heard, "who was quoted is not silent"


def test_it_is_not_asked_again_without_the_time_for_it(monkeypatch):
    """Who is asked and says nothing is asked for 3.5 s."""
    for seconds in range(1, 200):
        world = Answers(monkeypatch, ((1, 101), 3))
        receipt.receipt(world, question_of("keys"), 3, NAMES, seconds)
        assert all(each >= 3.5 for each in world.given[1:]), (seconds, world.given)
        assert world.now <= max(seconds, 2)
