"""`gridmote is`: the utility's information system, as far as a segment's gossip is concerned."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gridmote.fault import Fault, give_up
from gridmote.tariff import messages
from gridmote.utility.end import End
from gridmote.utility.inject import check, inject, name_of
from gridmote.utility.options import JOIN_S, Controllers, Keys, Segment, segment_of
from gridmote.utility.orders import order
from gridmote.utility.question import coverage, names_of, remark, said
from gridmote.utility.receipt import asked, receipt
from gridmote.utility.roll import lines
from gridmote.utility.watch import Watch

is_ = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="rich",
    help="The utility's end of a segment: inject what is signed, command one node, watch what is needed. To ask "
    "the segment: [bold]gridmote query[/].",
    epilog="Start with [bold]gridmote tariff sign[/], which makes what is injected.")

_SECONDS = typer.Option("--timeout", min=1, max=600, help="Seconds for a controller's acknowledgement.")


@is_.command("inject")
def inject_file(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Signed messages, of gridmote tariff sign.")],
    segment: Segment,
    ssc: Controllers,
    keys: Keys = Path("fleet-keys"),
    timeout: Annotated[float, _SECONDS] = 30,
    receipt_s: Annotated[float, typer.Option(
        "--receipt", min=0, max=3600, help="Ask until all have it, for so many seconds for each message, and at "
        "most 8 more to see who does not answer.")] = 0,
):
    """Give signed messages to the controllers of a segment, from where they gossip to every node.

    Each is insisted on until two controllers have acknowledged it, one where there is one: who had it already says
    so, too, hence it may be done again. With --receipt the segment is asked who holds the tariff (or took it, and
    newer ones since), who does not, and who does not answer; of a revocation which old keys are still believed, of
    a key whether it is known. The status is 1 if somebody lacks it in the end, or does not answer.

    [bold]gridmote is inject day.signed --segment north,secondary-station,1156 --ssc 10.0.0.7:7113 --receipt 60[/]
    """
    console = Console(highlight=False, soft_wrap=True)
    lacking = False
    try:
        found = messages.read(path)
        levels = segment_of(segment)
        check(found, keys, time.time())
        names = names_of(keys, levels)
        with End(keys, levels, ssc) as end:
            with console.status(f"looking for a controller of {segment}") as status:
                end.join(JOIN_S)
                arrived = inject(end, found, timeout, status.update)
            for message, who in arrived:
                told = ", ".join(names.get(number, f"node {number}") for number in who)
                alone = len(who) < min(2, end.given)
                console.print(f"{name_of(message)}: acknowledged by {told}" + (
                    f" alone, by no second controller within {timeout:g} s" if alone else ""), markup=False)
            for message in found if receipt_s else ():
                lacking |= not _everywhere(console, end, message, receipt_s)
    except (Fault, OSError) as fault:
        give_up("is inject", fault)
    if lacking:
        raise typer.Exit(1)


def _everywhere(console, end, message, seconds):
    """Whether everybody who was provisioned answers, and has it in the end. Of a command nobody can be asked."""
    wanted = asked(message)
    if not wanted:
        return True
    question, least = wanted
    with console.status(f"{question.words}?"):
        answer, unheard, done = receipt(end, question, least, end.names, seconds)
    first, *more = said(answer, end.names)
    console.print(f"{name_of(message)}: {first}; {coverage(answer, len(end.names), len(unheard))}", markup=False)
    for line in [*more, *remark(answer), *lines(unheard, end.names)]:
        console.print(line, markup=False)
    return done


@is_.command("order")
def order_node(
    node: Annotated[str, typer.Argument(metavar="ID", help="The node, by its id.")],
    command: Annotated[str, typer.Argument(
        help='What it is to do: restart, or JSON such as {"appliance": "washer", "finish_by": 1799999999}.')],
    segment: Segment,
    ssc: Controllers,
    keys: Keys = Path("fleet-keys"),
    hours: Annotated[float, typer.Option(min=0.1, max=18, help="For so long the command is worth something.")] = 1,
    timeout: Annotated[float, _SECONDS] = 30,
):
    """Command one node, sealed with its own key: no one-time key of the tariffs is used up for it.

    Controllers pass it on without being able to read its seal; the node obeys once, and tells by EVENT.

    [bold]gridmote is order washer-17 restart --segment north,secondary-station,1156 --ssc 10.0.0.7:7113[/]
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        levels = segment_of(segment)
        with End(keys, levels, ssc) as end:
            with console.status(f"looking for a controller of {segment}") as status:
                end.join(JOIN_S)
                made = order(end, keys, levels, node, command.encode(), hours)
                ((_, who),) = inject(end, [made], timeout, status.update)
            told = f"{len(who)} controllers" if len(who) > 1 else "a controller"
            console.print(f"command {made.seq} for {node}: acknowledged by {told}; the node says by EVENT what "
                          "it did", markup=False)
    except (Fault, OSError) as fault:
        give_up("is order", fault)


@is_.command("watch")
def watch(
    segment: Segment,
    ssc: Controllers,
    keys: Keys = Path("fleet-keys"),
    seconds: Annotated[float, typer.Option(min=0, help="End after so many seconds; 0: at Ctrl-C.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each change.")] = False,
):
    """See what the segment says by itself: energy that is needed, notices.

    Appliances tell their meter what they need, meters their controller, controllers the utility: one message.
    A controller tells one run of this command; start it once.

    [bold]gridmote is watch --segment north,secondary-station,1156 --ssc 10.0.0.7:7113 --json[/]
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        levels = segment_of(segment)
        with End(keys, levels, ssc) as end:
            with console.status(f"looking for a controller of {segment}"):
                end.join(JOIN_S)
            watching = Watch(end, names_of(keys, levels))
            last_s = time.monotonic() + seconds
            while not seconds or time.monotonic() < last_s:
                end.run(watching.step, 1)
                for line, fields in watching.news():
                    if as_json:
                        print(json.dumps(fields), flush=True)
                    else:
                        console.print(line, markup=False)
    except KeyboardInterrupt:
        pass
    except (Fault, OSError) as fault:
        give_up("is watch", fault)
