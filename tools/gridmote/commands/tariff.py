"""`gridmote tariff`: prices of a file, checked and shown; signed as tariff tables; and the keys that sign."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from gridmote.fault import Fault, give_up
from gridmote.tariff import rows
from gridmote.tariff.check import Bounds, check
from gridmote.tariff.clock import Zone
from gridmote.tariff.prices import said
from gridmote.tariff.show import tell
from gridmote.tariff.source import read
from gridmote.tariff.units import price_of, unit_of

_SHOWN = 20  # findings of a kind

tariff = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="rich",
    help="Prices of electricity for the appliances of a grid: see and check a file of them, sign it for the nodes.",
    epilog="Start with [bold]gridmote tariff check prices.json[/].")

_FILE = typer.Argument(metavar="FILE", show_default=False, help=(
    "JSON as Octopus Energy's API gives it for Agile, or a CSV: start, price and perhaps end."))
_UNIT = typer.Option(show_default=False, help=(
    "Unit of the prices: p/kWh, ct/kWh (of a euro), EUR/MWh, GBP/MWh, ... Without: p/kWh for JSON, what the title "
    "of the column says for CSV."))
_ZONE = typer.Option(show_default=False, help=(
    "Time zone of days, and of times that say no offset, such as Europe/Rome. Without: Europe/London for JSON, UTC "
    "for CSV, whose times then have to say their offset."))
_VAT = typer.Option("--vat/--no-vat", help="Of JSON: the prices with VAT, or those without.")
_COLUMNS = typer.Option(show_default=False, metavar="START,PRICE[,END]", help=(
    "Titles or numbers (from 1) of the columns of a CSV, where titles do not tell."))
_DAY_FIRST = typer.Option("--day-first", help="In a CSV 03/04/2026 is the third of April.")
_STEP = typer.Option(help="Minutes of a price, for a CSV without ends whose times do not tell.", show_default=False)
_LEAST = typer.Option(metavar="PRICE", show_default=False, help=(
    "Prices below are absurd; in the unit of the file. Without: -50 ct/kWh, or as many p/kWh."))
_MOST = typer.Option(metavar="PRICE", show_default=False, help="Prices above are absurd. Without: 400 ct/kWh.")
_WINDOW = typer.Option(metavar="HOURS", help="Length of the cheapest window to show.", min=0.25, max=24)
_PICTURE = typer.Option(metavar="FILE.png", help="Write a picture there, too.", show_default=False, dir_okay=False)


def _wanted(unit, zone, vat, columns, day_first, step):
    """-> rows.Wanted; Fault."""
    names = tuple(name.strip() for name in columns.split(",")) if columns else None
    if names and not 2 <= len(names) <= 3:
        raise Fault(f"--columns {columns}: START,PRICE or START,PRICE,END")
    if step is not None and step not in (15, 30, 60):
        raise Fault(f"--step {step}: a table has steps of 15, 30 or 60 minutes")
    return rows.Wanted(None if unit is None else unit_of(unit), None if zone is None else Zone(zone), vat, names,
                       day_first, step and 60 * step)


def _bounds(least, most, unit):
    """-> Bounds; Fault."""
    try:
        return Bounds(*(default if text is None else price_of(text, unit)[0]
                        for text, default in zip((least, most), Bounds(), strict=True)))
    except ValueError as error:
        raise Fault(f"--least, --most: {error}") from None


def _say(prices, findings, console):
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


@tariff.command("check")
def check_file(
    path: Annotated[Path, _FILE],
    unit: Annotated[str | None, _UNIT] = None,
    zone: Annotated[str | None, _ZONE] = None,
    vat: Annotated[bool, _VAT] = True,
    columns: Annotated[str | None, _COLUMNS] = None,
    day_first: Annotated[bool, _DAY_FIRST] = False,
    step: Annotated[int | None, _STEP] = None,
    least: Annotated[str | None, _LEAST] = None,
    most: Annotated[str | None, _MOST] = None,
    window: Annotated[float, _WINDOW] = 3,
    picture: Annotated[Path | None, _PICTURE] = None,
):
    """See the prices of a file day by day, with the cheapest window, and what is wrong with them.

    Wrong are overlaps, gaps, absurd prices, steps other than 15, 30 or 60 minutes, local times that do not exist,
    and days on which clocks change that have not their 23 or 25 hours. Each is a line of standard error with the
    line or entry of the file; the exit status is then 1.

    [bold]gridmote tariff check agile.json[/]

    [bold]gridmote tariff check prezzi.csv --zone Europe/Rome --unit EUR/MWh --picture prezzi.png[/]
    """
    console = Console(highlight=False)
    try:
        window_s = _window_s(window)
        prices = read(path, _wanted(unit, zone, vat, columns, day_first, step))
        findings = check(prices, _bounds(least, most, prices.unit))
        tell(console, prices, window_s)
        wrong = _say(prices, findings, console)
        if picture:
            from gridmote.tariff.picture import draw  # matplotlib: slow to load

            draw(picture, prices, window_s)
            console.print(f"  picture: {picture}")
    except OSError as error:
        give_up("tariff check", f"{error.filename}: {error.strerror}")
    except Fault as fault:
        give_up("tariff check", fault)
    if wrong:
        raise typer.Exit(1)
    console.print("  [green]nothing wrong[/]")


def _window_s(hours):
    """Seconds; Fault."""
    if hours * 4 != int(hours * 4):
        raise Fault(f"--window {hours:g}: whole quarters of an hour, such as 2.5")
    return int(hours * 3600)
