"""Who of a segment does not answer, by name."""

import time
from collections import Counter

from gossip.quantity import HELD, MIN, ROLL
from gridmote.utility.question import EVERYBODY, Question, ask

_SLOTS = 504  # docs/gossip-queries.md
_ARGUMENTS = range(2000)  # that are tried; a node has 16 bits for it
_TIMES = 3
_LEAST_S = 2  # for each
_NAMED = 15


def silent(end, names, answer, seconds, heard=frozenset()):
    """Numbers of those who do not answer, where this Answer of a receipt, asked of everybody, is not of all `names`
    and nobody else: where it counts too many, too, for then it cannot be believed.

    names: {number: id} of all who were provisioned. They are called by name, three times at most, in so many
    seconds or 6: whoever answers once is not silent, nor who is quoted in the answer, or was `heard` before. Who
    cannot be told from others that answer is left out.
    """
    absent = len(names) - answer.contributors - answer.faults
    if not answer.question.receipt or not absent and not answer.missing:
        return []
    last_s = time.monotonic() + seconds
    there, unheard = quoted(answer) | heard, set()
    for times in range(_TIMES, 0, -1):
        unsure = names.keys() - there
        if len(unheard & unsure) <= absent:  # else it is an answer that was lost
            unsure -= unheard
        if not unsure:
            break
        argument = max(_ARGUMENTS, key=lambda one: len(unsure & alone(names, one)))
        left_s = max(last_s - time.monotonic(), 0) / times
        found = ask(end, Question(ROLL, argument, EVERYBODY, "who is there"), max(left_s, _LEAST_S))
        marked = answered(names, found.value[0] if found.value else bytes(_SLOTS // 8), argument)
        unheard |= names.keys() - marked
        there |= marked & alone(names, argument)
    return sorted(unheard - there)


def quoted(answer):
    """Numbers of those whose own word the Answer of a receipt has."""
    if not answer.value:
        return set()
    function, (_, who) = answer.question.function, answer.value
    return {number for (number,) in who} if function == HELD else {who} if function == MIN else set()


def lines(numbers, names):
    """For a person."""
    told = [f"  silent: {names[number]}" for number in numbers[:_NAMED]]
    return told + ([f"  and {len(numbers) - _NAMED} more are silent"] if len(numbers) > _NAMED else [])


def slot(number, argument):
    return number % (_SLOTS + argument) % _SLOTS


def alone(names, argument):
    """Numbers whose bit is nobody else's."""
    count = Counter(slot(number, argument) for number in names)
    return {number for number in names if count[slot(number, argument)] == 1}


def answered(names, roll, argument):
    """Numbers whose bit is set."""
    return {number for number in names
            if roll[slot(number, argument) >> 3] >> (slot(number, argument) & 7) & 1}
