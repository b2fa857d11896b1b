"""Who of a segment does not answer, by name."""

from collections import Counter

from gossip.quantity import HELD, ROLL
from gridmote.utility.question import EVERYBODY, Question, ask

_SLOTS = 504  # docs/gossip-queries.md
_ARGUMENTS = range(2000)  # that are tried; a node has 16 bits for it
_TIMES = 3
_NAMED = 15


def silent(end, names, answer, seconds):
    """Numbers of those who do not answer, where this Answer of HELD, asked of everybody, counts fewer than `names`.

    names: {number: id} of all who were provisioned. They are called by name, three times at most, each in so many
    seconds: whoever answers once is not silent. Who cannot be told from others that answer is left out.
    """
    absent = len(names) - answer.contributors - answer.faults
    if answer.question.function != HELD or absent <= 0:
        return []
    there, unheard = set(), set()
    for _ in range(_TIMES):
        unsure = names.keys() - there
        if len(unheard & unsure) <= absent:  # else it is an answer that was lost
            unsure -= unheard
        if not unsure:
            break
        argument = max(_ARGUMENTS, key=lambda one: len(unsure & alone(names, one)))
        found = ask(end, Question(ROLL, argument, EVERYBODY, "who is there"), seconds)
        marked = answered(names, found.value[0] if found.value else bytes(_SLOTS // 8), argument)
        unheard |= names.keys() - marked
        there |= marked & alone(names, argument)
    return sorted(unheard - there)


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
