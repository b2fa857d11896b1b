"""Prices as Octopus Energy's API gives those of Agile: JSON, newest first, ISO times, p/kWh."""

import json

from gridmote.fault import Fault
from gridmote.tariff.clock import Zone, parsed
from gridmote.tariff.prices import Finding
from gridmote.tariff.rows import Row, options, settled
from gridmote.tariff.units import price_of, unit_of


class _Number(str):
    """A number of the file, as it stands there."""


def _refused(text):
    raise ValueError(f"{text} is no number")


def read(path, text, wanted):
    """-> Prices; Fault. Days are those of Europe/London and prices p/kWh, unless it is `wanted` otherwise."""
    wanted = wanted._replace(unit=wanted.unit or unit_of("p/kWh"), zone=wanted.zone or Zone("Europe/London"))
    value = "value_inc_vat" if wanted.vat else "value_exc_vat"
    entries, remarks = _entries(path, text)
    rows, mistakes = [], []
    for place, entry in enumerate(entries, 1):
        try:
            rows.append(_row(place, entry, value, wanted))
        except ValueError as error:
            mistakes.append(Finding(True, place, str(error)))
    about = f"JSON, {'with' if wanted.vat else 'without'} VAT"
    return settled(path, "entry", rows, mistakes, wanted.unit, wanted, about, remarks)


def _entries(path, text):
    """-> (list, [Finding])."""
    try:
        given = json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_refused)
    except json.JSONDecodeError as error:
        raise Fault(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        why = "too deep" if isinstance(error, RecursionError) else error
        raise Fault(f"{path}: not JSON of prices: {why}") from None
    remarks = []
    if isinstance(given, dict):
        if given.get("next"):
            remarks.append(Finding(False, None, 'one page of several: "next" in it names the one that follows'))
        given = given.get("results")
    if not isinstance(given, list):
        raise Fault(f'{path}: no list "results" in it, which is where prices are in what Octopus\' API gives')
    return given, remarks


def _row(place, entry, value, wanted):
    """-> Row; ValueError."""
    if not isinstance(entry, dict):
        raise ValueError(f"no object with valid_from, valid_to and {value}")
    for name in (value, "valid_from", "valid_to"):
        if name not in entry:
            raise ValueError(f"no {name}")
    if entry["valid_to"] is None:
        raise ValueError("valid_to is null: a price without an end fits no table")
    for name in ("valid_from", "valid_to"):
        if type(entry[name]) is not str:
            raise ValueError(f"{name} is no text")
    if not isinstance(entry[value], _Number):
        raise ValueError(f"{value} is no number")
    price, rounded = price_of(entry[value], wanted.unit)
    begin, end = parsed(entry["valid_from"]), parsed(entry["valid_to"])
    return Row(place, options(begin, wanted.zone), begin, end, price, rounded)
