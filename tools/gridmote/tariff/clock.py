"""Times of a file: ISO 8601, or the clocks of a time zone, which skip an hour a year and have one twice."""

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridmote.fault import Fault
from gridmote.tariff.prices import STEPS_S

_YEARS = range(2000, 2100)
_ISO = r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)"
_DOTS = r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})"
_SLASHES = r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})"
_OF_DAY = r"(?:[T ]\s*(?P<H>\d{1,2}):(?P<M>\d\d)(?::(?P<S>\d\d)(?:\.0+)?)?)?"
_OFFSET = r"\s*(?P<off>[Zz]|[+-]\d\d:?\d\d|[+-]\d\d)?"
_FORMS = [re.compile(form + _OF_DAY + _OFFSET, re.ASCII) for form in (_ISO, _DOTS, _SLASHES)]
_EXAMPLES = "2026-03-29T01:30:00Z, 2026-03-29T02:30+01:00, 2026-03-29 02:30 or 29.03.2026 02:30"


def parsed(text, day_first=False):
    """-> datetime to the second, aware if it says its offset (or is a count of seconds since 1970); ValueError."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{9,10}", text, re.ASCII):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(text))
    found = next(filter(None, (form.fullmatch(text) for form in _FORMS)), None)
    if not found:
        raise ValueError(f"time {text[:40]!r}: expected something like {_EXAMPLES}")
    if "/" in text and not day_first:
        raise ValueError(f"time {text!r}: is the day or the month first? --day-first says the day; "
                         "else write 2026-03-29")
    try:
        numbers = [int(found[name] or 0) for name in "ymdHMS"]
        made = datetime(*numbers, tzinfo=_offset(found["off"]))
    except ValueError:
        raise ValueError(f"time {text!r}: no such date or time") from None
    if made.year not in _YEARS:
        raise ValueError(f"time {text!r}: a year from {_YEARS[0]} to {_YEARS[-1]} is expected")
    return made


def _offset(text):
    if not text:
        return None
    if text in "Zz":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[3:].strip(":") or 0)
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


class Zone:
    """A time zone by its name in the IANA database; Fault."""

    def __init__(self, name):
        self.name = name
        try:
            ZoneInfo("Europe/Rome")
        except ZoneInfoNotFoundError:
            raise Fault("no time zones on this computer: install its package tzdata, or tzdata of PyPI") from None
        try:
            self.info = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Fault(f"time zone {name!r}: not known; names are like Europe/Rome or Europe/London") from None

    def at(self, seconds):
        """POSIX seconds -> aware datetime."""
        return datetime.fromtimestamp(seconds, self.info)

    def date(self, seconds):
        return self.at(seconds).date()

    def midnight(self, day):
        """POSIX seconds at which the date begins: at 00:00, or where that is skipped at the first time of it."""
        seconds = int(datetime(day.year, day.month, day.day, tzinfo=self.info).timestamp())
        while self.date(seconds) < day:
            seconds += 900
        return seconds

    def span(self, day):
        """(begin, end) of a date in POSIX seconds: 24 hours, or 23 or 25."""
        return self.midnight(day), self.midnight(day + timedelta(days=1))

    def of_day(self, seconds):
        """`01:30`, or `01:30 BST` where that time comes twice."""
        local = self.at(seconds)
        twice = len(self.candidates(local.replace(tzinfo=None, fold=0))) > 1
        return f"{local:%H:%M}{f' {local:%Z}' if twice else ''}"

    def when(self, seconds):
        """`2026-10-25 01:30 BST`; the name of the time only where that comes twice."""
        return f"{self.date(seconds)} {self.of_day(seconds)}"

    def candidates(self, naive):
        """POSIX seconds at which clocks show it: one, two in the hour that comes twice, none in the missing one."""
        found = []
        for fold in (0, 1):
            seconds = int(naive.replace(tzinfo=self.info, fold=fold).timestamp())
            if self.at(seconds).replace(tzinfo=None, fold=0) == naive and seconds not in found:
                found.append(seconds)
        return sorted(found)

    def options(self, given):
        """POSIX seconds that a datetime of parsed() can mean, at least one; ValueError."""
        if given.tzinfo:
            return [int(given.timestamp())]
        found = self.candidates(given)
        if not found:
            raise ValueError(f"{given:%Y-%m-%d %H:%M} does not exist in {self.name}: clocks skip it, the day has "
                             f"{_hours(self.span(given.date()))}")
        return found

    def end(self, begin, begin_given, end_given):
        """POSIX seconds of the end of a slot, whose begin is known and may have been written otherwise."""
        if end_given.tzinfo:
            return int(end_given.timestamp())
        if not begin_given.tzinfo:
            wall_s = int((end_given - begin_given).total_seconds())
            if wall_s in STEPS_S:  # so 01:00 to 02:00 is an hour where 01:00 comes again, or 02:00 never does
                return begin + wall_s
        found = self.options(end_given)
        return next((seconds for seconds in found if seconds > begin), found[-1])


def _hours(span):
    return f"{(span[1] - span[0]) / 3600:g} hours"


def in_order(options):
    """What times mean, of which each has one or two options, when they are in order, up or down.

    -> ([POSIX seconds], index of the first that comes out of order or None)
    """
    down = len(options) > 1 and options[0][0] > options[-1][0]
    chosen, out = [], None
    ways = options[::-1] if down else options
    begin = _leading(ways)
    for index, each in enumerate(ways):
        last = chosen[-1] if chosen else None
        if index < begin:
            pick = each[-1]
        else:
            pick = next((seconds for seconds in each if last is None or seconds > last), None)
            if pick is None:
                pick = each[0] if last not in each else last
                out = index if out is None and pick < last else out
        chosen.append(pick)
    if down:
        chosen.reverse()
        out = None if out is None else len(options) - 1 - out
    return chosen, out


def _leading(ways):
    """How many at the begin are of the second time: they could be of both, but the first would leave a gap."""
    count = next((i for i, each in enumerate(ways) if len(each) == 1), 0)
    rising = all(ways[i][0] < ways[i + 1][0] for i in range(count - 1))
    return count if rising else 0



def moment(text, zone, now):
    """POSIX seconds of `now`, `+90min`, `+2h`, `+1d`, or a time as in a file, by the clocks of `zone`; Fault."""
    text = text.strip()
    if text == "now":
        return now
    ahead = re.fullmatch(r"\+([0-9]{1,6})(min|h|d)", text, re.ASCII)
    if ahead:
        return now + int(ahead[1]) * {"min": 60, "h": 3600, "d": 86400}[ahead[2]]
    try:
        given = parsed(text)
        found = zone.options(given)
    except ValueError as error:
        raise Fault(f"{error}; or now, +90min, +2h") from None
    if len(found) > 1:
        both = " or ".join(zone.at(seconds).isoformat(timespec="minutes") for seconds in found)
        raise Fault(f"time {text!r} comes twice in {zone.name}: {both}?")
    return found[0]
