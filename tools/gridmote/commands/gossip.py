"""`gridmote gossip`: how much gossip a segment needs, and what it costs."""

import json
import sys
from math import ceil, log10
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from gossip import plan as planner
from gridmote.fault import Fault, give_up

gossip = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="rich",
    help="The gossip among nodes: plan it for a segment.",
    epilog="Start with [bold]gridmote gossip plan 1000[/].")
_OTHERS = (3, 4, 5, 8)  # values of f that are shown beside the one proposed


def _told(found):
    return {
        "n": found.n, "loss": found.loss, "crash": found.crash, "f": found.f, "r": found.r,
        "repairs": found.repairs, "push": round(found.push, 5), "everybody": round(found.everybody, 6),
        "datagrams": round(found.datagrams, 3),
    }


def _row(table, name, found, style=None):
    table.add_row(
        name, str(found.r), "%.1f %%" % (100 * found.push), str(found.repairs),
        "%.2f %%" % (100 * found.everybody), "%.2f" % found.datagrams, style=style)


def _show(console, best, want):
    console.print("[bold]%s nodes[/], %g %% of the datagrams lost, %g %% of the nodes crashed\n" % (
        f"{best.n:,}", 100 * best.loss, 100 * best.crash))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in ("r", "push reaches", "repairs", "all have it", "datagrams a node"):
        table.add_column(name, justify="right")
    _row(table, "[bold]f %d, proposed[/]" % best.f, best)
    for f in _OTHERS:
        if f != best.f and f < best.n:
            _row(table, "f %d" % f, planner.at(best.n, best.loss, best.crash, f, want), "dim")
    console.print(table)
    alone = planner.alone(best.n, best.loss, best.crash, want)
    console.print("Without repair it would take f %d to reach all with the same probability; memberlist sends %d "
                  "datagrams a node." % (ceil(alone), 4 * ceil(log10(best.n + 1))))
    console.print("\nIn a node's configuration: [bold]gossip.fanout %d[/], [bold]gossip.rounds %d[/]. This is the "
                  "cheapest that does; a node without them takes f 4 (3 up to 10 nodes) and r 8 to 24 by its "
                  "gossip.population, which leaves less to be asked for, whatever is lost.\n" % (best.f, best.r))
    console.print("push reaches: the share of the live nodes that have the message before anybody asks for it. "
                  "repairs: periods in which who lacks it asks two others, from when it knows that it is late (the "
                  "message's validity has begun, a gap in the sequence, a neighbour's digest).")


def plan(
    nodes: Annotated[int, typer.Argument(help="Nodes of the segment, those that are off included.")],
    loss: Annotated[float, typer.Option(min=0, max=99, help="Datagrams that are lost, in percent.")] = 25,
    crashed: Annotated[float, typer.Option(
        min=0, max=99, help="Nodes that are off and still in the views of others, in percent.")] = 10,
    want: Annotated[float, typer.Option(
        min=1, max=99.9999, help="Probability that all live nodes have a message, in percent.")] = 99.9,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, shares instead of percent.")] = False,
):
    """Fanout f and rounds r for so many nodes, how far the push gets, how many repairs complete it, what it costs.

    A relay passes a message on once, to f peers on each kind of link. Some nodes are missed; they find out and
    ask (late pull), which is far cheaper than a fanout that misses nobody. The plan is the cheapest f with which
    99 % of the live nodes have a message within 8 periods, and all with the probability wanted.

    The figures come from formulas (lib/gossip/plan.py) that agree with simulation to one point.
    """
    for option, percent in (("--loss", loss), ("--crashed", crashed)):
        if 0 < percent < 1:
            told = f"{option} {percent:g} is {percent:g} %; for a share of {percent:g} say {100 * percent:g}"
            typer.echo(f"gridmote gossip plan: {told}", err=True)
    try:
        best = planner.plan(nodes, loss / 100, crashed / 100, want / 100)
    except ValueError as error:
        give_up("gossip plan", Fault(str(error).removeprefix("plan: ")))
    if as_json:
        sys.stdout.write(json.dumps(_told(best)) + "\n")
    else:
        _show(Console(highlight=False, soft_wrap=True), best, want / 100)


gossip.command("plan")(plan)


@gossip.callback()
def _group():
    """The gossip among nodes: plan it for a segment."""
