"""`gridmote tariff keys`: what the key that signs has left; the first one, and one in place of a lost one."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from gridmote.fault import Fault, give_up
from gridmote.tariff import options
from gridmote.tariff.messages import free, write

_OUT = typer.Option(metavar="FILE", help="With --replace: where to write the signed message.")
_FORCE = typer.Option("--force", help="Write over an existing file.")
_NEW = typer.Option("--new", help="Make the first key of the fleet; takes some seconds.")
_REPLACE = typer.Option("--replace", help=(
    "Make a new key in place of one that is lost, stolen or copied, and sign it with the recovery key."))
_RECOVERY = typer.Option(metavar="FOLDER", show_default=False, help=(
    "Folder of the recovery key, on a medium that is kept offline. With --new it is made there, also for a "
    "tariff key that has none yet."))
_ORIGIN = typer.Option(min=1, max=15, show_default=False, help=(
    "With --replace: sign tariffs as that origin from now on, 1 at first."))
_HEIGHT = typer.Option(help="A key signs 2^HEIGHT messages: 10 takes 7 s to make, 15 four minutes and a longer "
                       "signature.")

_WITHOUT = ("no recovery key: if the tariff key is lost or stolen, every node has to be provisioned by hand; "
            "gridmote tariff keys --new --recovery FOLDER makes one, before nodes are provisioned")


def show_keys(
    keys: Annotated[Path, options.KEYS] = Path("fleet-keys"),
    new: Annotated[bool, _NEW] = False,
    replace: Annotated[bool, _REPLACE] = False,
    recovery: Annotated[Path | None, _RECOVERY] = None,
    origin: Annotated[int | None, _ORIGIN] = None,
    height: Annotated[Literal["5", "10", "15"], _HEIGHT] = "10",  # LMS has no others, but 20
    out: Annotated[Path, _OUT] = Path("key.signed"),
    force: Annotated[bool, _FORCE] = False,
):
    """What the key that signs tariffs has left, and when the next one is made; make the first one.

    A key signs a limited number of times (LMS, RFC 8554), and never twice with one of its parts: a copy of its
    folder, fleet-keys/tariff, or one restored from a backup refuses to sign. Keep a copy of the rest of fleet-keys.
    When 80 % are used, [bold]gridmote tariff sign[/] makes the next key and tells nodes of it. With the recovery
    key, kept offline and made before nodes are provisioned, a lost or stolen key is replaced.

    [bold]gridmote tariff keys --new --recovery /media/stick/recovery[/], before nodes are provisioned

    [bold]gridmote tariff keys[/]

    [bold]gridmote tariff keys --replace --recovery /media/stick/recovery[/], then [bold]gridmote is inject
    key.signed ...[/]
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        from gridmote.sign.recovery import Recovery  # slow to load
        from gridmote.sign.signer import Signer
        from gridmote.tariff import signing

        watch = signing.watch()
        if new and replace:
            raise Fault("--new is for a fleet without a key, --replace for one that has lost it")
        if recovery and not (new or replace):
            raise Fault("--recovery goes with --new or --replace")
        if origin and not replace:
            raise Fault("--origin goes with --replace")
        if new:
            _new(Signer(keys, watch), recovery and Recovery(recovery, watch), keys, int(height), console)
        if replace:
            if not recovery:
                raise Fault("--replace needs the recovery key: --recovery FOLDER")
            free(out, force)
            write(out, signing.replaced(keys, recovery, watch, int(height), origin), force)
            console.print(f"  the new key, signed by the recovery key, is in {out}: gridmote is inject sends it")
        signer = signing.existing(keys, watch)
        if not (keys / "recovery.pub").exists():
            typer.echo(_WITHOUT, err=True)
        console.print(f"  {signing.told(signing.left(signer))}")
    except OSError as error:
        give_up("tariff keys", f"{error.filename}: {error.strerror}")
    except Fault as fault:
        give_up("tariff keys", fault)


def _new(signer, recovery, keys, height, console):
    """The keys that the fleet lacks; Fault if it lacks none of what is asked for."""
    there = signer.exists()
    if there and (not recovery or (keys / "recovery.pub").exists()):
        raise Fault(f"{keys}: has a tariff key already" + (
            "" if recovery else "; with --recovery FOLDER it gets a recovery key, if it has none"))
    if recovery:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        recovery.create(keys)
        console.print(f"  recovery key in {recovery.folder}: keep it offline, and never sign with a copy of it")
    if there:
        console.print("  the tariff key stays; nodes that were provisioned before get the recovery key by gridmote "
                      "provision, again")
        return
    signer.create(height)
    console.print(f"  tariff key in {keys}/tariff; nodes get {keys}/tariff.pub by gridmote provision")
