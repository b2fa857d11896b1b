"""What can be asked of a segment, and how the answer reads."""

import datetime
import time
from typing import NamedTuple

from gossip.quantity import (
    ANGLE,
    COUNT,
    EPOCH,
    EPOCH_NONE,
    FREQUENCY,
    HELD,
    KEY,
    LAST,
    MAX,
    MEAN,
    MIN,
    PERIODS,
    SPAN,
    SUM,
    VERSIONS,
    VOLTAGE,
)
from gossip.wire import IED, METER, SSC
from gridmote.fault import Fault

EVERYBODY = IED | METER | SSC
ROLES = {"ied": IED, "meter": METER, "ssc": SSC}
_REFUSED = 2  # gossip.query, what became of who was asked
_AGAIN_S = 0.5
_ANGLES_AGO_S = 2  # angles are compared at one second, which all have measured by then
PERIODS_H = ("00-08", "08-16", "16-24")  # UTC
_WORST_MV, _WORST_WH = 2000 * 1_000_000, 8 * 1_000_000_000  # settings/segment.py, what nodes can be rated for
_BOUNDS = {VOLTAGE: (0, _WORST_MV), ANGLE: (-18000, 18000), FREQUENCY: (45000, 65000), EPOCH: (0, EPOCH_NONE),
           KEY: (0, EPOCH_NONE)}  # as firmware/answers.py, which knows what its segment is rated for
_AHEAD_S = 60


class Question(NamedTuple):
    """function, arg: of Queries.start; targets: roles; words: what it asks, for a person. receipt: who does not
    answer is to be named."""

    function: int
    arg: int
    targets: int
    words: str
    receipt: bool = False


QUESTIONS = {
    "voltage": Question(LAST, VOLTAGE, METER, "the newest voltage that a meter measured"),
    "lowest": Question(MIN, VOLTAGE, METER, "the lowest voltage"),
    "highest": Question(MAX, VOLTAGE, METER, "the highest voltage"),
    "span": Question(SPAN, ANGLE, METER, "the largest difference of phase angles"),
    "frequency": Question(MEAN, FREQUENCY, METER, "the mean frequency"),
    "count": Question(COUNT, 0, EVERYBODY, "how many nodes are there"),
    "needs": Question(PERIODS, 0, IED, "energy that appliances need today, by period (UTC)"),
    "tomorrow": Question(PERIODS, 1, IED, "energy that appliances need tomorrow, by period (UTC)"),
    "versions": Question(VERSIONS, 0, EVERYBODY, "which applications run"),
    "epochs": Question(MIN, EPOCH, EVERYBODY, "the oldest key of tariffs that a node still believes", True),
    "keys": Question(MIN, KEY, EVERYBODY, "the newest key of tariffs of the node that lags most", True),
}


def bounds(function, arg):
    """What one node's value can be, as Queries has it: a controller's lies are cut here."""
    if function == PERIODS:
        return 0, _WORST_WH
    found = _BOUNDS.get(arg & 0xFF, ()) if function in (SUM, MEAN, MIN, MAX, LAST) else ()
    return (*found, int(time.time()) + _AHEAD_S) if found and function == LAST else found


def question_of(text):
    """The Question of "voltage", "tariff 7" and the like; Fault."""
    words = text.split()
    if len(words) == 2 and words[0] == "tariff" and words[1].isdigit() and 0 < int(words[1]) < 1 << 30:
        return Question(HELD, int(words[1]), EVERYBODY, f"who holds tariff {words[1]}, and who does not", True)
    if text not in QUESTIONS:
        raise Fault(f"{text}: unknown; there are {', '.join(QUESTIONS)} and tariff N")
    return QUESTIONS[text]


class Answer(NamedTuple):
    """value: as gossip.aggregate has it, None: of nobody. Numbers of nodes; seconds it took."""

    question: Question
    value: tuple | None
    contributors: int
    faults: int
    missing: int
    seconds: float


def ask(end, question, seconds, least=0, targets=0):
    """The Answer, after `seconds` at most; again where controllers are busy with other questions. Fault where it
    could not be asked."""
    began = end.now()
    while True:
        left_s = seconds - _passed_s(end, began)
        found, arg = [], question.arg
        if question.function == SPAN and arg == ANGLE:
            arg |= (int(time.time()) - _ANGLES_AGO_S & 0xFF) << 8
        query = end.stack.queries.start(
            end.now(), question.function, arg, found.append, targets=targets or question.targets, least=least,
            timeout_ms=int(left_s * 1000))
        if not query:
            raise Fault("too many questions at once")
        end.run(lambda found=found, query=query: found or _refused(query), left_s + 2)
        if found or _passed_s(end, began) > seconds - 2:
            break
        query.end = end.now()  # it is over
        end.run(lambda: False, _AGAIN_S)
    return Answer(
        question, query.value, query.contributors, query.faults, query.missing(), _passed_s(end, began))


def _passed_s(end, began):
    return (end.now() - began & 0x3FFFFFFF) / 1000


def _refused(query):
    """Whether nobody has room for it."""
    said = [child[0] for child in query.children.values()]
    return bool(said) and all(what == _REFUSED for what in said)


def said(answer, names):
    """The lines of the answer for a person. names: {number: id} of the nodes that are known."""
    question, value = answer.question, answer.value
    if not value:
        return ["nobody could say"]
    function = question.function
    if question.arg in (EPOCH, KEY) and function == MIN:
        return [_epoch(question.arg, *value, names)]
    if function in (MIN, MAX):
        return [f"{_amount(question.arg, value[0])} at {_name(value[1], names)}"]
    if function == LAST:
        when = datetime.datetime.fromtimestamp(value[0], datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        when = when if value[0] else "a time that cannot be"
        return [f"{_amount(question.arg, value[1])} at {_name(value[2], names)}, {when}"]
    if function == MEAN:
        return [_amount(question.arg, value[0] / answer.contributors)]
    if function == SPAN:
        wide = value[1] >= 18000
        return ["between 120 and 180 degrees, not half a circle" if wide else f"{value[1] / 100:.2f} degrees"]
    if function == COUNT:
        return [f"{value[0]}"]
    if function == PERIODS:
        return [f"{period} h: {wh:,} Wh" for period, wh in zip(PERIODS_H, value, strict=True)]
    if function == VERSIONS:
        return [f"{version.rstrip(bytes(1)).decode(errors='replace')}: {count}" for version, count in value[1]] + (
            [f"others: {value[0]}"] if value[0] else [])
    lack = [_name(number, names) for (number,) in value[1]]
    more = value[0] - len(lack)
    lines = [f"held by {answer.contributors - value[0]}, lacking at {value[0]}"]
    return lines + [f"  lacks it: {one}" for one in lack] + ([f"  and {more} more"] if more else [])


def remark(answer):
    """[a line], where some lack a table: what else may be the reason."""
    if answer.question.function != HELD or not answer.value or not answer.value[0]:
        return []
    return ["  a table that a newer one replaced, or whose key has ended, may read as lacking"]


def fields(answer, names):
    """The same as an object of JSON."""
    value = answer.value
    return {
        "question": answer.question.words, "value": _plain(value), "said": said(answer, names),
        "contributors": answer.contributors, "faults": answer.faults, "missing": answer.missing,
        "seconds": round(answer.seconds, 3),
    }


def coverage(answer, expected, silent=0):
    """One line: how much of the segment this answer is of. expected: nodes that were provisioned, 0: not known.
    silent: so many that do not answer are named beside it.

    Missing are those that this leaves; where it is not known those that nodes asked in vain, several of them the
    same."""
    told, missing = f"{answer.contributors} answered", f"up to {answer.missing}" if answer.missing else "0"
    if expected:
        absent = expected - answer.contributors - answer.faults
        missing = max(absent, silent, 0)
        told += (f" of {expected} ({100 * answer.contributors / expected:.0f} %)" if absent >= 0 else
                 f" of only {expected} that were provisioned: a node counts some that are not there")
    return f"{told}, {answer.faults} could not say, {missing} missing, {answer.seconds:.1f} s"


def names_of(fleet, segment):
    """{number: id} of the nodes that were provisioned for it."""
    path = fleet / "segments" / f"{','.join(segment)}.numbers"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        number, _, name = line.partition(" ")
        if number.isdigit() and name:
            found[int(number)] = name
    return found


def _plain(value):
    if isinstance(value, bytes):
        return value.rstrip(bytes(1)).decode(errors="replace")
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _name(number, names):
    return names.get(number, f"node {number}")


def _epoch(quantity, epoch, number, names):
    where = _name(number, names)
    if quantity == KEY:
        return f"all know a key of epoch {epoch} or later, {where} none later" if epoch else f"no key at {where}"
    return f"the oldest key believed has epoch {epoch}, at {where}" if epoch < EPOCH_NONE else "no key is believed"


def _amount(quantity, value):
    return f"{value / 1000:.3f} {'Hz' if quantity == FREQUENCY else 'V'}"

