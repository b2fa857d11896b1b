"""`gridmote query`: a question to a whole segment, one answer."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gossip.quantity import HELD
from gridmote.fault import Fault, give_up
from gridmote.utility.end import End
from gridmote.utility.options import JOIN_S, Controllers, Keys, Segment, segment_of
from gridmote.utility.question import (
    EVERYBODY,
    QUESTIONS,
    ROLES,
    ask,
    coverage,
    fields,
    question_of,
    remark,
    said,
)
from gridmote.utility.receipt import whole
from gridmote.utility.roll import lines, silent

_WHAT = "; ".join(f"{name}: {one.words}" for name, one in QUESTIONS.items()) + "; tariff N: who holds it"


def query(
    what: Annotated[list[str], typer.Argument(help=_WHAT, show_default=False)],
    segment: Segment,
    ssc: Controllers,
    keys: Keys = Path("fleet-keys"),
    timeout: Annotated[float, typer.Option(min=1, max=120, help="Seconds for the answer.")] = 15,
    least: Annotated[int, typer.Option(min=0, max=65535, help="So many that answer are enough; 0: all.")] = 0,
    role: Annotated[list[str] | None, typer.Option(help="Only nodes of that role: ied, meter, ssc.")] = None,
    every: Annotated[float, typer.Option(min=0, help="Ask again every so many seconds; 0: once.")] = 0,
    times: Annotated[int, typer.Option(min=0, help="With --every: end after so many; 0: at Ctrl-C.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each answer.")] = False,
):
    """Ask all nodes of a segment, and get one answer with its coverage.

    The question gossips through the segment, each node puts together what those behind it say. No server calls
    anybody; who is lost on the way is counted as missing. The status is 1 if nobody could say; of tariff N also if
    somebody lacks it or does not answer, as of inject --receipt. Who does not answer is called by name for as long
    again, at least 6 s.

    [bold]gridmote query voltage --segment north,secondary-station,1156 --ssc 10.0.0.7:7113[/]

    [bold]gridmote query tariff 7 --segment north,secondary-station,1156 --ssc 10.0.0.7:7113[/]
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        question = question_of(" ".join(what))
        levels = segment_of(segment)
        for one in role or ():
            if one not in ROLES:
                raise Fault(f"--role {one}: one of {', '.join(ROLES)}")
        if question.function == HELD and least:
            raise Fault("--least: who holds a tariff is asked of all")
        targets = sum(ROLES[one] for one in set(role or ()))
        with End(keys, levels, ssc) as end:
            with console.status(f"looking for a controller of {segment}"):
                end.join(JOIN_S)
            asked, good = 0, False
            while True:
                with console.status(question.words):
                    answer = ask(end, question, timeout, least, targets)
                everybody = (targets or question.targets) == EVERYBODY
                expected = end.names if everybody else {}
                with console.status("who does not answer?"):
                    unheard = silent(end, expected, answer, timeout) if everybody and not least else []
                good = answer.contributors and (
                    question.function != HELD or whole(answer, expected) and not unheard)
                _tell(console, answer, end.names, len(expected), unheard, as_json)
                asked += 1
                if not every or asked == times:
                    break
                next_s = time.monotonic() + max(every - answer.seconds, 0)
                end.run(lambda next_s=next_s: time.monotonic() >= next_s, every)
        if not good:
            raise typer.Exit(1)
    except KeyboardInterrupt:
        pass
    except (Fault, OSError) as fault:
        give_up("query", fault)


def _tell(console, answer, names, expected, unheard, as_json):
    """An Answer with its coverage. expected: nodes that were provisioned, 0: not known; unheard: their numbers that
    do not answer."""
    if as_json:
        told = {"provisioned": expected} if expected else {}
        told |= {"silent": [names[one] for one in unheard]} if unheard else {}
        print(json.dumps({**fields(answer, names), **told}), flush=True)
        return
    for line in [*said(answer, names), *remark(answer), *lines(unheard, names)]:
        console.print(line, markup=False)
    console.print(coverage(answer, expected, len(unheard)), style="dim")
