"""Whether what is signed has arrived everywhere: asked until it has, or the time is over."""

import time

from gossip.quantity import HELD, MIN
from gossip.wire import KEY, REVOKE
from gridmote.utility.inject import table_of
from gridmote.utility.question import ask, question_of
from gridmote.utility.roll import quoted, silent

_BODY = 12  # where that of a signed message begins
_EPOCH = 8  # where a key has its epoch, RFC 8554, 5.3
_LONGEST_S, _LEAST_S = 15, 2  # for one answer
_AGAIN_S = 4  # for another one: who says nothing is asked for 3.5 s
_PAUSE_S = 2


def asked(message):
    """(Question, the least number that everybody has to say, 0: any); None: it has no receipt."""
    payload, table = message.payload, table_of(message)
    if table:
        return question_of(f"tariff {table.number}"), 0
    if payload[0] == REVOKE and len(payload) > _BODY:
        return question_of("epochs"), payload[_BODY]
    if payload[0] == KEY and len(payload) > _BODY + _EPOCH:
        return question_of("keys"), payload[_BODY + _EPOCH]
    return None


def whole(answer, names, least=0):
    """Whether all answered, and nobody lacks it. names: {number: id} of all who were provisioned, {}: not known."""
    if not answer.value or answer.faults:
        return False
    function, said = answer.question.function, answer.value[0]
    there = answer.contributors >= len(names) if names else not answer.missing
    return there and not (function == HELD and said) and not (function == MIN and said < least)


def receipt(end, question, least, names, seconds):
    """(Answer, numbers of those who do not answer, whether it is everywhere), within so many seconds and 8 more at
    most: of several answers the best. A third of the time is kept for calling those who do not answer by name."""
    last_s = time.monotonic() + seconds
    best, heard, budget_s = None, set(), max(_LEAST_S, seconds / 3)
    while True:
        answer = ask(end, question, min(_LONGEST_S, budget_s))
        heard |= quoted(answer)
        done = whole(answer, names, least)
        if done or best is None or _worth(answer, names) >= _worth(best, names):
            best = answer
        left_s = last_s - time.monotonic()
        pause_s = min(_PAUSE_S, left_s / 8)
        if done or left_s - pause_s <= max(seconds / 3, _AGAIN_S):
            break
        end.run(lambda: False, pause_s)
        budget_s = max(_AGAIN_S, (last_s - time.monotonic()) / 3)
    unheard = silent(end, names, best, left_s, heard)
    return best, unheard, done and not unheard


def _worth(answer, names):
    """Of two answers the better one has more: of those who hold it, for they only grow in number, and then of those
    who answered. More than were provisioned are worth no more."""
    count = min(answer.contributors, len(names) or answer.contributors)
    lacking = answer.value[0] if answer.value and answer.question.function == HELD else count
    return max(count - lacking, 0), count
