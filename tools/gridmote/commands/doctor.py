"""`gridmote doctor`: what is wrong with a broker for phasor data, what it costs and how to mend it."""

import contextlib
import json
import ssl
import sys
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gridmote.broker.login import BROKER_HELP, Broker, BrokerOption, Ca, Login, PasswordFile, User, one_broker
from gridmote.broker.mosquitto import SHIPPED
from gridmote.doctor import crash as doctor_crash
from gridmote.doctor.findings import BAD, GOOD, NOTE, UNKNOWN, judge
from gridmote.doctor.measure import Examination
from gridmote.doctor.visit import Refused, Silent
from gridmote.fault import Fault, give_up

_MARKS = {GOOD: ("✓", "green"), BAD: ("✗", "bold red"), NOTE: ("!", "yellow"), UNKNOWN: ("?", "cyan")}
_COSTS_DATA, _NO_CONNECTION = 1, 2
_STEPS = (  # those after the rights only where the rights allow them
    ("rights: one empty message for each kind of topic", Examination.rights, False),
    ("$SYS", Examination.system, False),
    ("a retained message", Examination.retained, True),
    ("large messages", Examination.sizes, True),
    ("a persistent session", Examination.session, True),
    ("pairs of messages, for Nagle's algorithm", Examination.nodelay, True),
    ("the queue of an absent subscriber", Examination.queue, True),
)


def examine(login, place, say):
    """-> facts; say(text) is told each step. Fault, in words for whoever has to mend it, without a way in."""
    examination = Examination(login, place)
    say("a connection")
    enter(login, examination.greet)
    for text, step, needs_rights in _STEPS:
        if not needs_rights or examination.allowed:
            say(text)
            step(examination)
    return examination.facts


def enter(login, connect):
    """connect(), its exceptions turned into a Fault that says what to do."""
    where = str(login.address)
    try:
        return connect()
    except OSError as error:
        if isinstance(error, ssl.SSLError) or login.address.tls and isinstance(error, ConnectionResetError):
            raise Fault(f"{where}: TLS fails: {error}\nis it the TLS port? is --ca the CA of the broker's "
                        "certificate, and the name the one in it?") from error
        raise Fault(f"{where} cannot be reached: {error}\nis the broker running, is the port right, does it "
                    "listen beyond its own computer (listener)?") from error
    except Refused as error:
        who = f"user {login.user!r}" if login.user else "nobody (no --user given)"
        raise Fault(f"{where} refuses {who}: {error}\npassword_file or allow_anonymous of the broker; password by "
                    "--password-file or GRIDMOTE_PASSWORD") from error
    except Silent as error:
        raise Fault(f"{where} answers, but not as an MQTT broker: {error}\nis it the port of TLS (mqtts://) or of "
                    "websockets?") from error


@contextlib.contextmanager
def _progress(console):
    """say(text): shown while it lasts on a terminal, nothing elsewhere."""
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("") as status:
        yield lambda text: status.update(f"trying {text}")


def show(console, finding):
    """A finding as lines."""
    mark, style = _MARKS[finding.verdict]
    console.print(Text.assemble((f"{mark} {finding.subject}", style), f"  {finding.found}"))
    if finding.verdict == GOOD:
        return
    more = {"costs": finding.cost, "mosquitto": finding.mosquitto, "other brokers": finding.others}
    for what, text in more.items():
        if text:
            console.print(Text.assemble((f"    {what}: ", "dim"), text))


def _summary(findings):
    count = {verdict: sum(f.verdict == verdict for f in findings) for verdict in _MARKS}
    words = f"{count[BAD]} cost{'s' if count[BAD] == 1 else ''} data" if count[BAD] else "nothing that costs data"
    return f"{count[GOOD]} good, {words}, {count[NOTE]} to note, {count[UNKNOWN]} cannot be told"


def _report(findings, as_json, broker):
    if as_json:
        print(json.dumps({"broker": broker, "findings": [finding._asdict() for finding in findings],
                          "good": all(finding.verdict != BAD for finding in findings)}))
        return
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        show(console, finding)
    console.print(Text(_summary(findings), style="bold"))


def doctor(
    broker: Broker = None,
    broker_option: BrokerOption = None,
    user: User = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    place: Annotated[str | None, typer.Option(
        help="First three levels of the topics tried, area/location-type/location-id, where rights differ; "
        "without: gridmote-doctor/check/ and a random one")] = None,
    crash: Annotated[bool, typer.Option(
        "--crash", help="Only this: wait while you kill the broker and start it again; is everything there?")
    ] = False,
    conf: Annotated[bool, typer.Option(
        "--conf", help="Only print the mosquitto.conf made for this use, which explains itself.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
):
    """Examine an MQTT broker: what loses phasor data there, what it costs and how to mend it.

    Takes up to half a minute and about 1 MB, on topics of its own, and leaves nothing behind.
    Exit status: 0 nothing costs data, 1 something does, 2 no connection.
    """
    if conf:
        sys.stdout.write(SHIPPED.read_text())
        return
    try:
        broker = one_broker(broker, broker_option, default=None)
        if broker is None:
            raise Fault(f"BROKER is missing: {BROKER_HELP}")
        if place is not None and (place.count("/") != 2 or set(place) & set("+#")):
            raise Fault("--place: three levels, area/location-type/location-id")
        login = Login(broker, user, password_file, ca)
        with _progress(Console(stderr=True)) as say:
            if crash:
                findings = [doctor_crash.survives(login, place, enter, partial(typer.echo, err=True))]
            else:
                findings = judge(examine(login, place, say))
    except (Fault, ValueError, OSError) as fault:
        give_up("doctor", fault, _NO_CONNECTION)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    _report(findings, as_json, str(login.address))
    if any(finding.verdict == BAD for finding in findings):
        raise typer.Exit(_COSTS_DATA)
