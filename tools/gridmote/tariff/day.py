"""Prices day by day, as clocks of the time zone have them, and the cheapest window of a day."""

from collections import Counter
from fractions import Fraction
from typing import NamedTuple

from gridmote.tariff.prices import STEPS_S

_QUARTER_S = 900


class Window(NamedTuple):
    begin: int  # POSIX seconds
    end: int
    mean: Fraction  # minor units per MWh


class Day(NamedTuple):
    """A date and the slots that begin in it, in the order of time. begin, end: of the date, POSIX seconds."""

    date: object
    begin: int
    end: int
    slots: list

    @property
    def hours(self):
        return Fraction(self.end - self.begin, 3600)

    @property
    def changes(self):
        """Whether clocks change on it."""
        return self.hours != 24

    @property
    def step_s(self):
        """The most frequent one."""
        return Counter(slot.step_s for slot in self.slots).most_common(1)[0][0]

    @property
    def full(self):
        """How many slots of that step the day has."""
        return (self.end - self.begin) // self.step_s

    def holes(self):
        """[begin of each slot that is missing]."""
        return self._on_grid(lambda count: count == 0)

    def doubles(self):
        """[begin of each that is there more than once]."""
        return self._on_grid(lambda count: count > 1)

    def _on_grid(self, wanted):
        """[begin of each slot of the day in which a quarter of an hour is covered as often as `wanted` says]."""
        counts = Counter(at // _QUARTER_S for slot in self.slots for at in range(slot.begin, slot.end, _QUARTER_S))
        begins = range(self.begin, self.begin + self.full * self.step_s, self.step_s)
        return [begin for begin in begins
                if any(wanted(counts[at // _QUARTER_S]) for at in range(begin, begin + self.step_s, _QUARTER_S))]


def days_of(prices):
    """-> [Day] of the slots whose step a table can have; a date without any is not among them."""
    by_date = {}
    for slot in sorted(slot for slot in prices.slots if slot.step_s in STEPS_S):
        by_date.setdefault(prices.zone.date(slot.begin), []).append(slot)
    return [Day(date, *prices.zone.span(date), by_date[date]) for date in sorted(by_date)]


def cheapest(slots, window_s):
    """-> the Window of that length with the least mean price, the first of equals; None where none is whole.

    slots: in the order of time. It begins with a slot and has no gap; of its last slot it may have a part.
    """
    best = None
    for i, first in enumerate(slots):
        end, total, at = first.begin + window_s, 0, first.begin
        for slot in slots[i:]:
            if slot.begin != at or at >= end:
                break
            total += slot.price * (min(slot.end, end) - slot.begin)
            at = slot.end
        if at >= end and (best is None or Fraction(total, window_s) < best.mean):
            best = Window(first.begin, end, Fraction(total, window_s))
    return best

