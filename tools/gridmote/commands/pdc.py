"""`gridmote pdc`: PMU topics of an MQTT broker, served to PDCs over TCP as if each were the PMU itself."""

import asyncio
import signal
import socket
import sqlite3
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gridmote.archive.store import Archive, ArchiveError
from gridmote.archive.trouble import in_words
from gridmote.broker.address import topic_filter
from gridmote.broker.login import BrokerOption, Ca, LocalBroker, Login, PasswordFile, User, one_broker
from gridmote.fault import Fault
from gridmote.pdc.adapter import PdcAdapter
from gridmote.pdc.intake import DEFAULT_FILTERS, filters_for
from gridmote.pdc.lock import only_one, only_writer
from gridmote.pdc.report import Report
from gridmote.pdc.subscriber import Subscriber


class Backfill(StrEnum):
    ARCHIVE = "archive"
    CLIENTS = "clients"


async def _run(host, base_port, fixed_ports, archive, late_to_clients, report, session):
    """Until a signal, or Fault when the broker gave the session to another adapter."""
    adapter = PdcAdapter(host, base_port, fixed_ports, archive, late_to_clients, report)
    loop = asyncio.get_running_loop()
    ended, taken = asyncio.Event(), []

    def told(event, **fields):
        report(event, **fields)
        if event == "session_taken":
            taken.append(event)
            ended.set()

    adapter.subscriber = Subscriber(loop=loop, on_messages=adapter.on_messages, report=told, **session)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    adapter.start()
    totals = loop.create_task(adapter.tell_totals())
    await ended.wait()
    totals.cancel()
    await adapter.stop()
    report("summary", **adapter.summary())
    if taken:
        raise Fault("another program took over the session of client id %s at %s, and gets its messages now: "
                    "each adapter needs a --client-id of its own"
                    % (session["client_id"], session["login"].address))


def split_ports(options):
    """["4712", "some/topic=4720"] -> (base port, {topic: port}). Raises ValueError, naming what is wrong."""
    base, fixed = 4712, {}
    for option in options:
        topic, _, port = option.rpartition("=")
        if not port.isdecimal() or int(port) > 65535:
            raise ValueError("port %r: expected 0..65535 or TOPIC=PORT" % option)
        if not topic:
            base = int(port)
        elif "+" in topic_filter(topic) or "#" in topic:
            raise ValueError("port %r: a port is for one topic, not for a wildcard" % option)
        else:
            fixed[topic] = int(port)
    return base, fixed


def pdc(
    broker: LocalBroker = None,
    broker_option: BrokerOption = None,
    topic: Annotated[list[str] | None, typer.Option(
        help="Topic of a PMU, + and # allowed; repeatable. Without any: +/+/+/PMU/+. "
             "What nodes send beside it (backfill, METER, EVENT) comes along")] = None,
    port: Annotated[list[str] | None, typer.Option(
        help="TCP port of the first PMU heard (4712), further ones get the next, and keep it with --archive; "
             "TOPIC=PORT fixes one; repeatable")
    ] = None,
    host: Annotated[str, typer.Option(
        help="Address to listen at; 0.0.0.0 lets PDCs of other machines in (C37.118 knows no passwords)")
    ] = "127.0.0.1",
    archive: Annotated[Path | None, typer.Option(
        help="SQLite file, of this adapter alone, that keeps every frame exactly once")] = None,
    backfill: Annotated[Backfill, typer.Option(
        help="Where frames go that come late: the archive only, or PDC clients that take data then too, at ten "
             "times the live rate")
    ] = Backfill.ARCHIVE,
    user: User = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    client_id: Annotated[str | None, typer.Option(
        help="MQTT client id, unique per running adapter: the broker keeps messages for it while the adapter is "
             "away. Without any: of this computer and the base port")] = None,
    mqtt: Annotated[int, typer.Option(
        min=3, max=5, help="MQTT version: 5, or 3 (3.1.1) for an old broker")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line for each event")] = False,
):
    """Serve MQTT PMU topics to phasor data concentrators over TCP (IEEE C37.118.2, commanded mode)."""
    try:
        login = Login(one_broker(broker, broker_option), user, password_file, ca)
        base_port, fixed_ports = split_ports(port or [])
        filters = filters_for([*map(topic_filter, topic or []), *fixed_ports]) or DEFAULT_FILTERS
        session = {
            "login": login, "filters": filters, "version": mqtt,
            "client_id": client_id or "gridmote-pdc-%s-%d" % (socket.gethostname(), base_port),
        }
        late_to_clients = backfill is Backfill.CLIENTS
        with ExitStack() as stack:
            stack.enter_context(only_one(session["client_id"], login.address))
            kept = Archive(str(archive)) if archive else None
            if kept:
                stack.enter_context(only_writer(archive))
            asyncio.run(_run(host, base_port, fixed_ports, kept, late_to_clients, Report(as_json), session))
    except (ValueError, ArchiveError, OSError, Fault) as error:
        typer.echo("gridmote pdc: %s" % error, err=True)
        raise typer.Exit(1) from error
    except sqlite3.Error as error:
        typer.echo("gridmote pdc: %s" % in_words(archive, error), err=True)
        raise typer.Exit(1) from error
