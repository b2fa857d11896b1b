"""How a command ends when it cannot do what was asked: one line on stderr, no traceback."""

import typer


class Fault(Exception):
    """What is wrong, in words for the person who typed the command."""


def give_up(command, fault, status=1):
    """Say it and end with `status`: 1 it failed, 2 it was asked for wrongly. Several lines stay several."""
    for line in str(fault).splitlines():
        typer.echo(f"gridmote {command}: {line}", err=True)
    raise typer.Exit(status)
