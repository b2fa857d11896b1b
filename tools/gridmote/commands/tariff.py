"""`gridmote tariff`: prices of a file, checked and shown; signed as tariff tables; and the keys that sign."""

import typer

from gridmote.tariff.check_command import check_file
from gridmote.tariff.keys_command import show_keys
from gridmote.tariff.revoke_command import revoke_keys
from gridmote.tariff.sign_command import sign_file

tariff = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="rich",
    help="Prices of electricity for the appliances of a grid: see and check a file of them, sign it for the nodes.",
    epilog="Start with [bold]gridmote tariff check prices.json[/].")
tariff.command("check")(check_file)
tariff.command("sign")(sign_file)
tariff.command("keys")(show_keys)
tariff.command("revoke")(revoke_keys)
