"""What the PDC adapter tells: a line an event, for people (Rich) or for programs (JSON)."""

import json
import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

_STYLES = {
    "pmu": "green", "client_connected": "green", "broker_found": "green", "archive_recovered": "green",
    "caught_up": "green",
    "client_dropped": "red", "broker_lost": "red", "broker_unreachable": "red", "broker_refuses": "red",
    "archive_trouble": "red", "bad_payload": "yellow", "port_taken": "yellow",
    "not_served": "red", "session_taken": "red",
}


class Report:
    """report(event, **fields): prints at once; flat fields. With `as_json` one object a line on stdout."""

    def __init__(self, as_json=False):
        self._json = as_json
        self._console = Console(highlight=False, soft_wrap=True)

    def __call__(self, event, **fields):
        if self._json:
            line = {"event": event, "time": round(time.time(), 6), **fields}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            return
        if event == "pmu":
            self._console.print(_connection_tester(fields))
            return
        if event == "summary":
            self._summary(fields)
            return
        said = "  ".join("%s %s" % (name.replace("_", " "), value) for name, value in fields.items())
        style = _STYLES.get(event, "default")
        self._console.print("%s [%s]%s[/]  %s" % (
            time.strftime("%H:%M:%S"), style, event.replace("_", " "), escape(said)))

    def _summary(self, fields):
        table = Table(title="Summary", title_justify="left", show_header=False)
        for name, value in fields.items():
            if not isinstance(value, list):
                table.add_row(name.replace("_", " "), str(value))
        self._console.print(table)
        for rows in (fields["pmus"], fields["served"]):
            if rows:
                table = Table(*rows[0])
                for row in rows:
                    table.add_row(*(escape(str(value)) for value in row.values()))
                self._console.print(table)


def _connection_tester(pmu):
    """What to type into PMU Connection Tester, in the words of its window."""
    table = Table.grid(padding=(0, 2))
    for label, value in (
            ("Protocol", "IEEE C37.118.2-2011"),
            ("Connection", "Tcp, Establish Tcp Server not ticked"),
            ("Host IP", pmu["host"]),
            ("Port", pmu["port"]),
            ("Device ID Code", pmu["idcode"]),
            ("Command channel", "not defined (the same connection)")):
        table.add_row(label, "[bold]%s[/]" % escape(str(value)))
    title = "PMU Connection Tester: %s" % escape(pmu["station"])
    return Panel(table, title=title, subtitle=escape("%s, %s" % (pmu["topic"], pmu["rate"])), expand=False)
