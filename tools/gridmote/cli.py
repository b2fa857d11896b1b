"""The `gridmote` command: its table of commands. A command's module is imported when it is called.

Its function of the same name is the command; where that is a Typer of its own, the commands in it come below.
"""

from importlib import import_module
from keyword import iskeyword

import typer
from typer.core import TyperGroup

COMMANDS = {  # name, which is that of the module and of its function: what `gridmote --help` says
    "demo": "See everything work: broker, meter, PDC adapter and a PDC, with a summary and a picture.",
    "node": "Run one node on this computer, from a configuration.",
    "provision": "Make the identity of a node, or of a fleet: configuration, keys, certificate.",
    "flash": "Put the application onto a board (Pico W, ESP32) and see its first frame acknowledged.",
    "tariff": "Check prices of electricity, and sign them as tariffs for the nodes.",
    "gossip": "How much gossip a segment of nodes needs, and what it costs.",
    "is": "The utility's end of a segment: inject what is signed, command one node, watch what is needed.",
    "query": "Ask all nodes of a segment, get one answer.",
    "pdc": "Serve the PMU topics of a broker to phasor data concentrators over TCP.",
    "gaps": "What is missing in an archive: from when to when, how much, and why.",
    "export": "The frames of an archive as CSV.",
    "watch": "See every PMU of a broker live: frequency, phasors, rate, latency, gaps, outbox.",
    "doctor": "What is wrong with an MQTT broker for phasor data, what it costs, how to mend it.",
    "frames": "Decode the C37.118 frames of a file, or encode them again and compare.",
    "estimate": "Phasors, frequency and ROCOF of a COMTRADE recording as CSV, by the firmware's estimator.",
}


def _paragraphs(text):
    """A docstring without its line breaks, which the help would keep."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _made(name, function):
    """The click command, or group of them, of what the module has."""
    alone = function
    if not isinstance(function, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        alone.command(name)(function)
    for each in alone.registered_commands:
        each.help = _paragraphs(each.callback.__doc__)
    return typer.main.get_command(alone) if alone is not function else typer.main.get_group(alone)


class _Lazy(TyperGroup):
    """Lists its commands by their one line; the one that is called is loaded."""

    def resolve_command(self, ctx, args):
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            python = f"{name}_" if iskeyword(name) else name
            command = _made(name, getattr(import_module(f"gridmote.commands.{python}"), python))
        return name, command, rest


app = typer.Typer(
    cls=_Lazy,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Start with [bold]gridmote demo[/]. A node of your own: [bold]gridmote node --example > node.json[/], "
    "edit it, [bold]gridmote node node.json[/]. Each command explains itself: [bold]gridmote node --help[/].",
)


@app.callback()
def gridmote():
    """Run, watch and measure Gridmote nodes."""


for _name, _line in COMMANDS.items():
    app.command(_name, help=_line)(lambda: None)
