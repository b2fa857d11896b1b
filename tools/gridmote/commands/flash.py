"""`gridmote flash`: the application onto a board, without ever leaving it without one."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from gridmote.fault import Fault, give_up
from gridmote.flash import board as flash_board
from gridmote.flash.copying import Copying
from gridmote.flash.identity import Identity
from gridmote.flash.link import Broken, Link
from gridmote.flash.pack import Pack
from gridmote.flash.parts import compiled, main_file
from gridmote.flash.port import find
from gridmote.flash.watch import watch
from needed import BOARDS, ROOT

_AGAIN = ("The application it had starts again at the next power-on or reset, or by itself within a minute.\n"
          "Plug it in and repeat the same command: it goes on where it was")


@contextlib.contextmanager
def _progress(console):
    """step(done, of, path), drawn on a terminal."""
    if not console.is_terminal:
        yield lambda done, of, path: None
        return
    with Progress(TextColumn("{task.percentage:3.0f} %"), BarColumn(), TextColumn("{task.fields[path]}"),
                  console=console, transient=True) as bar:
        task = bar.add_task("", total=None, path="")
        yield lambda done, of, path: bar.update(task, completed=done, total=of, path=path)


def install(link, board, identity, source, console, told=lambda done, of, path: None):
    """Everything but the reset. told(done, of, path): each step of the copy. Fault; Broken."""

    def say(text):
        console.print(Text(text))

    say(f"stopping what runs at {link.place}")
    link.stop(lambda most_s: say(f"no answer yet, up to {most_s} s more: an application says good-bye first"))
    facts = flash_board.examine(link, board)
    say(f"{facts.machine}, MicroPython {facts.version}: {facts.heap >> 10} KiB of heap, {facts.free >> 10} of "
        f"{facts.flash >> 10} KiB of flash free")
    pack = Pack(compiled(board, facts.march, source))
    with _progress(console) as step:
        copying = Copying(link, pack, lambda *at: (step(*at), told(*at)))
        identity.examine(link)
        result = copying.copy()
    if result.nothing:
        say(f"application: the same {len(pack.bodies)} modules ({len(pack.data) >> 10} KiB), 0 sent")
    else:
        say(f"application: {len(pack.bodies)} modules ({len(pack.data) >> 10} KiB), {result.sent} sent, "
            f"{result.kept} copied on the board, {result.resumed} from last time; slot {result.slot} verified")
    for line in identity.install(link):
        say(line)
    copying.start_from(result.slot, main_file(source))


def _leave(link):
    """After a failure: the board starts what it had."""
    if link.stopped:
        with contextlib.suppress(Exception, KeyboardInterrupt):
            link.interrupt()
            link.reset()


def flash(
    board: Annotated[str, typer.Option(help=f"What it is: {', '.join(BOARDS[:2])}.")],
    port: Annotated[str | None, typer.Option(
        help="Its port, such as /dev/ttyACM0, or socket://HOST:PORT. Without: the only USB serial port.")] = None,
    config: Annotated[Path | None, typer.Option(
        help="Also write this configuration (JSON), checked first. Without: the board keeps its own.")] = None,
    secrets: Annotated[Path | None, typer.Option(
        help="Also write these secrets (JSON, nested as the configuration).")] = None,
    keys: Annotated[Path | None, typer.Option(
        help="Also write the key files of this folder that the configuration names as /node/keys/NAME.")] = None,
    node: Annotated[Path | None, typer.Option(
        help="All three of them: a folder that `gridmote provision` made.")] = None,
    replace: Annotated[bool, typer.Option(
        "--replace", help="Also if the board is another node: nothing stays of that one's identity.")] = False,
    wait: Annotated[bool, typer.Option(
        help="Look on until the node's first frame was acknowledged, or leave at once.")] = True,
    patience: Annotated[float, typer.Option(help="Seconds to wait for that frame.", min=1)] = 180.0,
    source: Annotated[Path | None, typer.Option(help="A source tree other than this one.", hidden=True)] = None,
    deadman: Annotated[int, typer.Option(hidden=True)] = 60,
):
    """Put the application onto a board and see it run: compiled for its processor, only what changed is sent.

    It goes into the slot that does not run, is verified there, and only then becomes what the board starts. Broken
    off anywhere, the board has the application that it had; repeated, it goes on where it was. Outbox,
    configuration, secrets and keys stay as they are unless they are given here.

    Exit status: 0 done (with --wait: a frame was acknowledged), 1 not, 2 asked for wrongly, 130 stopped by Ctrl-C.
    """
    console = Console(stderr=False, highlight=False, soft_wrap=True)
    if board not in BOARDS:
        give_up("flash", f"--board {board} (make: BOARD=): {' or '.join(BOARDS[:2])}", 2)
    link, started = None, False
    try:
        identity = Identity(config, secrets, keys, node, replace)
        place = port or find()
        link = Link(place, deadman)
        install(link, board, identity, source or ROOT, console)
        link.reset()
        started = True
        console.print("the board starts" + (", waiting for its first frame" if wait else ""))
        if wait:
            watch(link, lambda: Link(place), lambda line: console.print(Text(f"  {line}", style="dim")), patience)
            console.print(Text("its first frame was acknowledged", style="bold green"))
    except Broken as fault:
        give_up("flash", f"{fault}\n{_AGAIN}")
    except Fault as fault:
        if link is not None and not started:
            _leave(link)
        give_up("flash", fault)
    except KeyboardInterrupt:
        if started:
            give_up("flash", "stopped looking on; the board has the new application, and starts it", 130)
        if link is None or not link.stopped:
            give_up("flash", "stopped before anything was changed", 130)
        _leave(link)
        give_up("flash", "stopped; the board starts the application that it had, and repeated this goes on where "
                "it was", 130)
    finally:
        if link is not None:
            link.close()
