"""`gridmote tariff check`: see the prices of a file, and what is wrong with them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gridmote.fault import Fault, give_up
from gridmote.tariff import options
from gridmote.tariff.check import check
from gridmote.tariff.show import tell
from gridmote.tariff.source import read

_WINDOW = typer.Option(metavar="HOURS", help="Length of the cheapest window to show.", min=0.25, max=24)
_PICTURE = typer.Option(metavar="FILE.png", help="Write a picture there, too.", show_default=False, dir_okay=False)


def check_file(
    path: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help=options.FILE)],
    unit: Annotated[str | None, options.UNIT] = None,
    zone: Annotated[str | None, options.ZONE] = None,
    vat: Annotated[bool, options.VAT] = True,
    columns: Annotated[str | None, options.COLUMNS] = None,
    day_first: Annotated[bool, options.DAY_FIRST] = False,
    step: Annotated[int | None, options.STEP] = None,
    least: Annotated[str | None, options.LEAST] = None,
    most: Annotated[str | None, options.MOST] = None,
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
        prices = read(path, options.wanted(unit, zone, vat, columns, day_first, step))
        findings = check(prices, options.bounds(least, most, prices.unit))
        tell(console, prices, window_s)
        wrong = options.say(prices, findings, console)
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
