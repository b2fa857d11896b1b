"""`gridmote tariff sign`: the prices of a file as signed tables, or an alert."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gridmote.fault import Fault, give_up
from gridmote.tariff import options
from gridmote.tariff.check import check
from gridmote.tariff.clock import Zone, moment
from gridmote.tariff.issue import AHEAD_S, Wish, issues, summary
from gridmote.tariff.messages import free, write
from gridmote.tariff.rows import complain
from gridmote.tariff.source import read
from tariff.table import NO_LIMIT

_SINCE = typer.Option("--valid-from", metavar="TIME", help=(
    "Nodes act on it from then on: now, +90min, +2h, +1d or a time as in a file."))
_UNTIL = typer.Option("--valid-until", metavar="TIME", show_default=False, help=(
    "And until then. Without: as long as each table says something."))
_FROM = typer.Option("--from", metavar="TIME", help="Only the prices from then on.", show_default=False)
_TO = typer.Option("--to", metavar="TIME", help="Only the prices before.", show_default=False)
_PRIORITY = typer.Option(help="0 is the most urgent; of equals the newest counts.", min=0, max=255)
_EMERGENCY = typer.Option(metavar="LEVEL,FROM,UNTIL", show_default=False, help=(
    "Emergency of the grid: level 1 to 3 (the gravest), or 0, which ends an earlier one. Such as 3,now,+2h."))
_LIMIT = typer.Option(metavar="WATTS,FROM,UNTIL", show_default=False, help=(
    "What each may take from the grid, such as 3000,now,+2h; none,now,+2h ends an earlier limit."))
_CURRENCY = typer.Option(metavar="EUR", show_default=False, help="Of the nodes, for an alert without prices.")
_LIFETIME = typer.Option(metavar="HOURS", min=0.01, max=18.2, show_default=False, help=(
    "How long nodes pass it on. Without: as long as it is valid, 18.2 h at most."))
_OUT = typer.Option(metavar="FILE", show_default=False, help=(
    "Where to write the signed messages. Without: beside the prices, with .signed for an ending."))
_FORCE = typer.Option("--force", help="Write over an existing file.")
_DRY = typer.Option("--dry-run", help="Sign nothing; show tables and their sizes. Needs no keys.")


def sign_file(
    path: Annotated[Path | None, typer.Argument(metavar="FILE", show_default=False, help=(
        options.FILE + " Without: an alert, that leaves prices alone."))] = None,
    keys: Annotated[Path, options.KEYS] = Path("fleet-keys"),
    since: Annotated[str, _SINCE] = "now",
    until: Annotated[str | None, _UNTIL] = None,
    first: Annotated[str | None, _FROM] = None,
    last: Annotated[str | None, _TO] = None,
    priority: Annotated[int, _PRIORITY] = 128,
    emergency: Annotated[str | None, _EMERGENCY] = None,
    limit: Annotated[str | None, _LIMIT] = None,
    currency: Annotated[str | None, _CURRENCY] = None,
    lifetime: Annotated[float | None, _LIFETIME] = None,
    out: Annotated[Path | None, _OUT] = None,
    force: Annotated[bool, _FORCE] = False,
    dry: Annotated[bool, _DRY] = False,
    unit: Annotated[str | None, options.UNIT] = None,
    zone: Annotated[str | None, options.ZONE] = None,
    vat: Annotated[bool, options.VAT] = True,
    columns: Annotated[str | None, options.COLUMNS] = None,
    day_first: Annotated[bool, options.DAY_FIRST] = False,
    step: Annotated[int | None, options.STEP] = None,
    least: Annotated[str | None, options.LEAST] = None,
    most: Annotated[str | None, options.MOST] = None,
):
    """Sign the prices of a file as tariff tables, for all nodes of the fleet.

    The file is checked first, as by [bold]gridmote tariff check[/]; nothing is signed with anything wrong in it. A
    table holds 132 prices; more become several tables, each of which stands alone. Nodes take prices in the minor
    unit of the currency (cent, penny) per MWh, without rounding but for halves of that.

    Each table uses up one of the key's signatures. At 80 % of them the next key is made and told to the nodes in a
    message before the table: send all of the file that is written, in its order.

    [bold]gridmote tariff sign agile.json --dry-run[/]

    [bold]gridmote tariff sign prezzi.csv --zone Europe/Rome --limit 3000,now,+3h[/]

    [bold]gridmote tariff sign --emergency 3,now,+30min --priority 0 --currency EUR[/]
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        from gridmote.tariff import signing  # slow to load

        now = int(time.time())
        prices = _checked(path, options.wanted(unit, zone, vat, columns, day_first, step), least, most, console)
        place = prices.zone if prices else Zone(zone or "UTC")
        prices = _cut(prices, first, last, now)
        wish = Wish(moment(since, place, now), until and moment(until, place, now), priority,
                    _window("--emergency", emergency, place, now), _window("--limit", limit, place, now),
                    currency=_currency(prices, currency))
        if wish.since > now + AHEAD_S:
            raise Fault(f"--valid-from {since}: nodes refuse what begins more than {AHEAD_S // 86400} days ahead")
        found, passed = issues(prices, wish)
        if passed:
            console.print(f"  [yellow]note[/] {passed:,} prices have passed and are left out")
        if dry:
            _sizes(console, found, place, prices and prices.unit, signing.signature_bytes(keys), signing)
            return
        out = out or (path or Path("alert")).with_suffix(".signed")
        free(out, force)
        signer = signing.existing(keys, signing.watch())
        messages = signing.signed(signer, found, lifetime and int(lifetime * 3600), place, prices and prices.unit)
        write(out, messages, force)
        for message in messages:
            console.print(Text(f"  {message.summary}"))
        console.print(f"  {len(messages)} signed message{'s' * (len(messages) != 1)} in {out}; "
                      f"{signing.told(signing.left(signer))}")
    except OSError as error:
        give_up("tariff sign", f"{error.filename}: {error.strerror}")
    except Fault as fault:
        give_up("tariff sign", fault)


def _checked(path, wanted, least, most, console):
    """-> Prices, None without a file; Fault with all that is wrong."""
    if path is None:
        return None
    prices = read(path, wanted)
    findings = check(prices, options.bounds(least, most, prices.unit))
    complain(prices, [finding for finding in findings if finding.wrong])
    options.say(prices, findings, console)
    return prices


def _cut(prices, first, last, now):
    """Only the slots that begin from `first` on and before `last`; Fault if none is left."""
    if not prices or first is None and last is None:
        return prices
    begin = 0 if first is None else moment(first, prices.zone, now)
    end = 1 << 32 if last is None else moment(last, prices.zone, now)
    slots = tuple(slot for slot in prices.slots if begin <= slot.begin < end)
    if not slots:
        raise Fault(f"{prices.path}: no prices between --from and --to")
    return prices._replace(slots=slots)


def _window(option, text, zone, now):
    """`3,now,+2h` -> (3, from, until), None without; Fault."""
    if text is None:
        return None
    parts = text.split(",")
    amount = NO_LIMIT if option == "--limit" and parts[0].strip() == "none" else parts[0].strip()
    if len(parts) != 3 or not str(amount).isdecimal():
        raise Fault(f"{option} {text}: expected such as {'3000' if option == '--limit' else '3'},now,+2h")
    return int(amount), moment(parts[1], zone, now), moment(parts[2], zone, now)


def _currency(prices, currency):
    """Of an alert; Fault."""
    if prices:
        if currency not in (None, prices.unit.currency):
            raise Fault(f"--currency {currency}: the prices are in {prices.unit.currency}")
        return prices.unit.currency
    if currency is None:
        raise Fault("an alert without prices needs --currency, that of the nodes: they refuse others")
    return currency


def _sizes(console, found, zone, unit, signature, signing):
    for issue in found:
        console.print(Text(f"  {summary(issue, zone, unit)}"))
        console.print(f"    valid from {zone.when(issue.since)} to {zone.when(issue.until)}; {issue.size} bytes, "
                      f"datagram of {signing.datagram_bytes(issue, signature):,} of 1,232")
    console.print(f"  {len(found)} signature{'s' * (len(found) != 1)}; nothing was signed")
