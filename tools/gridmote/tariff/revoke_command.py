"""`gridmote tariff revoke`: the end of a key that is stolen, signed by the recovery key."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gridmote.fault import Fault, give_up
from gridmote.tariff import options
from gridmote.tariff.messages import free, write

_EPOCH = typer.Argument(min=1, max=254, help="Of the last key that ends; those before it end, too.")
_RECOVERY = typer.Option(metavar="FOLDER", help="Folder of the recovery key, on a medium that is kept offline.")
_ORIGIN = typer.Option(min=1, max=15, show_default=False, help=(
    "Say it as that origin; without: 15, as which no tariff is signed."))
_OUT = typer.Option(metavar="FILE", help="Where to write the signed message.")
_FORCE = typer.Option("--force", help="Write over an existing file.")


def revoke_keys(
    epoch: Annotated[int, _EPOCH],
    recovery: Annotated[Path, _RECOVERY],
    keys: Annotated[Path, options.KEYS] = Path("fleet-keys"),
    origin: Annotated[int | None, _ORIGIN] = None,
    out: Annotated[Path, _OUT] = Path("revoke.signed"),
    force: Annotated[bool, _FORCE] = False,
):
    """End the keys up to an epoch for good: nodes that hear of it believe nothing that they sign.

    For a key that is stolen while there is no new one yet; [bold]gridmote tariff keys --replace[/] brings one, and
    ends the old ones of itself where it arrives. What is ended signs no more here, either.
    [bold]gridmote tariff keys[/] says which epoch signs now.

    [bold]gridmote tariff revoke 1 --recovery /media/stick/recovery[/], then [bold]gridmote is inject
    revoke.signed ...[/]
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        from gridmote.tariff import signing  # slow to load

        free(out, force)
        (message,) = signing.revoked(keys, recovery, signing.watch(), epoch, origin)
        write(out, [message], force)
        console.print(f"  {message.summary}; signed by the recovery key, in {out}: gridmote is inject sends it",
                      markup=False)
        if signing.existing(keys, signing.watch()).revoked():
            console.print("  the key that signs now is among them, and signs no more: gridmote tariff keys "
                          "--replace makes another")
    except OSError as error:
        give_up("tariff revoke", f"{error.filename}: {error.strerror}")
    except Fault as fault:
        give_up("tariff revoke", fault)
