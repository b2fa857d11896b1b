"""What every reader of prices returns, and what a check says of it."""

from typing import NamedTuple

STEPS_S = (900, 1800, 3600)  # that a table can have
_NAMES = {900: "quarter hour", 1800: "half hour", 3600: "hour"}


class Slot(NamedTuple):
    begin: int  # POSIX seconds
    end: int
    price: int  # minor units of the currency per MWh
    place: int  # line of a CSV, entry of a JSON, from 1

    @property
    def step_s(self):
        return self.end - self.begin


class Prices(NamedTuple):
    """`slots` as the file has them, at least one."""

    path: object  # Path
    kind: str  # what a place is called: "line" or "entry"
    unit: object  # units.Unit
    zone: object  # clock.Zone
    slots: tuple
    remarks: tuple = ()  # Findings of the reader
    about: str = ""  # what the file is, for a person


class Finding(NamedTuple):
    wrong: bool  # else a remark
    place: int | None
    text: str


def said(prices, finding):
    """One line: file, place, what."""
    if finding.place is None:
        return f"{prices.path}: {finding.text}"
    between = ":" if prices.kind == "line" else f": {prices.kind} "
    return f"{prices.path}{between}{finding.place}: {finding.text}"


def counted(number, step_s):
    """`48 half hours`."""
    return f"{number:,} {_NAMES[step_s]}{'' if number == 1 else 's'}"


def lasting(seconds):
    """`45 min`, `1 h 30 min`, `3 h`."""
    hours, rest = divmod(seconds, 3600)
    minutes, odd = divmod(rest, 60)
    if odd:
        return f"{seconds} s"
    return " ".join([*([f"{hours} h"] if hours else []), *([f"{minutes} min"] if minutes or not hours else [])])
