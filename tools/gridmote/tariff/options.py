"""What the commands of `gridmote tariff` have in common: options, and how findings are said."""

import typer
from rich.markup import escape

from gridmote.fault import Fault
from gridmote.tariff.check import Bounds
from gridmote.tariff.clock import Zone
from gridmote.tariff.prices import said
from gridmote.tariff.rows import Wanted
from gridmote.tariff.units import price_of, unit_of

FILE = "JSON as Octopus Energy's API gives it for Agile, or a CSV: start, price and perhaps end."
UNIT = typer.Option(show_default=False, rich_help_panel="The file", help=(
    "Unit of the prices: p/kWh, ct/kWh (of a euro), EUR/MWh, GBP/MWh, ... Without: p/kWh for JSON, what the title "
    "of the column says for CSV."))
ZONE = typer.Option(show_default=False, rich_help_panel="The file", help=(
    "Time zone of days, and of times that say no offset, such as Europe/Rome. Without: Europe/London for JSON, UTC "
    "for CSV, whose times then have to say their offset."))
VAT = typer.Option("--vat/--no-vat", rich_help_panel="The file", help=(
    "Of JSON: the prices with VAT, or those without."))
COLUMNS = typer.Option(show_default=False, rich_help_panel="The file", metavar="START,PRICE[,END]", help=(
    "Titles or numbers (from 1) of the columns of a CSV, where titles do not tell."))
DAY_FIRST = typer.Option("--day-first", rich_help_panel="The file", help=(
    "In a CSV 03/04/2026 is the third of April."))
STEP = typer.Option(show_default=False, rich_help_panel="The file", help=(
    "Minutes of a price, for a CSV without ends whose times do not tell."))
LEAST = typer.Option(metavar="PRICE", show_default=False, rich_help_panel="The file", help=(
    "Prices below are absurd; in the unit of the file. Without: -50 ct/kWh, or as many p/kWh."))
MOST = typer.Option(metavar="PRICE", show_default=False, rich_help_panel="The file", help=(
    "Prices above are absurd. Without: 400 ct/kWh, or as many p/kWh."))

KEYS = typer.Option("--keys", help="Folder of the fleet's keys, as gridmote provision has it.")

_SHOWN = 20  # mistakes of a file


def wanted(unit, zone, vat, columns, day_first, step):
    """-> rows.Wanted; Fault."""
    names = tuple(name.strip() for name in columns.split(",")) if columns else None
    if names and not 2 <= len(names) <= 3:
        raise Fault(f"--columns {columns}: START,PRICE or START,PRICE,END")
    if step is not None and step not in (15, 30, 60):
        raise Fault(f"--step {step}: a table has steps of 15, 30 or 60 minutes")
    return Wanted(None if unit is None else unit_of(unit), None if zone is None else Zone(zone), vat, names,
                  day_first, step and 60 * step)


def bounds(least, most, unit):
    """-> Bounds; Fault."""
    try:
        return Bounds(*(default if text is None else price_of(text, unit)[0]
                        for text, default in zip((least, most), Bounds(), strict=True)))
    except ValueError as error:
        raise Fault(f"--least, --most: {error}") from None


def say(prices, findings, console):
    """Remarks on standard output, what is wrong on standard error -> how much is wrong."""
    wrong = [finding for finding in findings if finding.wrong]
    for finding in findings:
        if not finding.wrong:
            console.print(f"  [yellow]note[/] {escape(finding.text)}", soft_wrap=True)
    for finding in wrong[:_SHOWN]:
        typer.echo(said(prices, finding), err=True)
    if len(wrong) > _SHOWN:
        typer.echo(f"{prices.path}: and {len(wrong) - _SHOWN:,} more", err=True)
    return len(wrong)
