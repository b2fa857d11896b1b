"""The `gridmote` command: its table of commands."""

import typer

app = typer.Typer(no_args_is_help=True, help="Run, watch and measure Gridmote nodes.")


@app.callback()
def gridmote():
    """Run, watch and measure Gridmote nodes."""
