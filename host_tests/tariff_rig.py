"""Files of prices for tests, and running `gridmote tariff`."""

import json
from datetime import UTC, datetime, timedelta

from typer.testing import CliRunner

from gridmote.cli import app

# Days of 23 and 25 hours, from their begin to their end in UTC, by directive 2000/84/EC: at 01:00 UTC of the last
# Sundays of March and October, in the EU and in the United Kingdom alike.
CHANGES = {
    ("Europe/Rome", "2026-03-29"): ("2026-03-28T23:00Z", "2026-03-29T22:00Z", 23),
    ("Europe/Rome", "2026-10-25"): ("2026-10-24T22:00Z", "2026-10-25T23:00Z", 25),
    ("Europe/Rome", "2027-03-28"): ("2027-03-27T23:00Z", "2027-03-28T22:00Z", 23),
    ("Europe/Rome", "2027-10-31"): ("2027-10-30T22:00Z", "2027-10-31T23:00Z", 25),
    ("Europe/London", "2026-03-29"): ("2026-03-29T00:00Z", "2026-03-29T23:00Z", 23),
    ("Europe/London", "2026-10-25"): ("2026-10-24T23:00Z", "2026-10-26T00:00Z", 25),
    ("Europe/London", "2027-03-28"): ("2027-03-28T00:00Z", "2027-03-28T23:00Z", 23),
    ("Europe/London", "2027-10-31"): ("2027-10-30T23:00Z", "2027-11-01T00:00Z", 25),
}


def run(*arguments, columns=200):
    return CliRunner().invoke(app, ["tariff", *map(str, arguments)], env={"COLUMNS": str(columns)})


def soc(text):
    return int(datetime.fromisoformat(text).timestamp())


def agile(begin, prices, minutes=30):
    """Entries as Octopus' API gives them, newest first; prices: numbers, p/kWh without VAT."""
    at, found = datetime.fromisoformat(begin).astimezone(UTC), []
    for price in prices:
        end = at + timedelta(minutes=minutes)
        found.append({"value_exc_vat": price, "value_inc_vat": price, "payment_method": None,
                      "valid_from": f"{at:%Y-%m-%dT%H:%M:%SZ}", "valid_to": f"{end:%Y-%m-%dT%H:%M:%SZ}"})
        at = end
    return found[::-1]


def written(path, entries):
    path.write_text(json.dumps({"count": len(entries), "next": None, "previous": None, "results": entries}))
    return path


def walls(begin, end, hours, minutes):
    """[(begin, end)] of each slot of a day of CHANGES, as clocks show them. By arithmetic."""
    day = datetime.fromisoformat(end).astimezone(UTC).date() - timedelta(days=hours == 25 and end[11:13] == "00")
    shift = int((datetime(day.year, day.month, day.day, tzinfo=UTC)
                 - datetime.fromisoformat(begin)).total_seconds())  # offset of the day's begin from UTC
    change = soc(f"{day}T01:00Z")
    found = []
    for at in range(soc(begin), soc(end) + 1, 60 * minutes):
        offset = shift + (0 if at < change else 3600 * (24 - hours))
        found.append(f"{datetime.fromtimestamp(at + offset, UTC):%Y-%m-%d %H:%M}")
    return list(zip(found, found[1:], strict=False))


def csv_file(path, rows, head="start,price_EUR_MWh"):
    path.write_text("\n".join([head, *rows]) + "\n")
    return path
