"""`gridmote watch`: every PMU that a broker carries, live."""

import secrets
import signal
import threading
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from gridmote.broker.address import topic_filter
from gridmote.broker.login import BrokerOption, Ca, LocalBroker, Login, PasswordFile, User, one_broker
from gridmote.fault import Fault, give_up
from gridmote.pdc.intake import filters_for
from gridmote.watch.state import KINDS, Watch
from gridmote.watch.view import json_line, line, table

_ANSWER_S = 10.0
_FRAME_S = 0.25  # between two pictures
_LINE_S = 1.0
_LOOK_S = 2.5  # how long --once looks: rates need some frames


class Listener:
    """Feeds a Watch from a clean session; reconnects by itself. Fault where the first connection fails.

    `with` lends `rows(now_s)`; `trouble` says what is wrong at present, "" if nothing.
    """

    def __init__(self, login, filters):
        self._address = login.address
        self._filters = filters
        self._watch = Watch()
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self.trouble = f"{login.address} does not answer"
        self._client = client = login.client(f"gridmote-watch-{secrets.token_hex(4)}")
        client.reconnect_delay_set(0.5, 5)
        client.connect_timeout = 5.0
        client.on_connect, client.on_disconnect = self._connected, self._disconnected
        client.on_message = self._message

    def __enter__(self):
        try:
            self._client.connect(self._address.host, self._address.port, keepalive=10)
        except OSError as error:
            raise Fault(f"{self._address} cannot be reached: {error}") from error
        self._client.loop_start()
        if not self._answered.wait(_ANSWER_S) or self.trouble:
            self.__exit__()
            raise Fault(self.trouble)
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def rows(self, now_s):
        with self._lock:
            return self._watch.rows(now_s)

    # paho's callbacks, in paho's thread.

    def _connected(self, client, _userdata, _flags, reason, _properties):
        self.trouble = f"{self._address} refuses: {reason}" if reason.is_failure else ""
        if not reason.is_failure:
            client.subscribe([(topic, 1) for topic in self._filters])
        self._answered.set()

    def _disconnected(self, _client, _userdata, _flags, reason, _properties):
        if not self.trouble:
            self.trouble = f"connection to {self._address} lost"
        with self._lock:
            self._watch.cut()

    def _message(self, _client, _userdata, message):
        with self._lock:
            self._watch.feed(message.topic, message.payload, time.time(), message.retain)


def filters_of(topics):
    """Topic filters for the PMU topics given, or for all. ValueError for what is no topic filter."""
    kinds = [kind for kind in KINDS if kind != "PDC"]
    return filters_for(map(topic_filter, topics or ["+/+/+/PMU/+", "+/+/+/PDC/+"]), kinds)


def _watch_table(listener, console, ended):
    def picture():
        note = listener.trouble or ("" if rows else "no PMU heard yet")
        return table(rows, console.width, console.height, note)

    rows = listener.rows(time.time())
    with Live(picture(), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while not ended.wait(_FRAME_S):
            rows = listener.rows(time.time())
            live.update(picture(), refresh=True)


def _write(rows, now_s, as_json, console):
    for row in rows:
        if as_json:
            print(json_line(row, now_s), flush=True)
        else:
            console.print(line(row, now_s), markup=False)


def watch(
    broker: LocalBroker = None,
    broker_option: BrokerOption = None,
    topic: Annotated[list[str] | None, typer.Option(
        help="Topic of a PMU, + and # allowed; repeatable. Without any: +/+/+/PMU/+ and concentrators")] = None,
    user: User = None,
    password_file: PasswordFile = None,
    ca: Ca = None,
    once: Annotated[bool, typer.Option(
        "--once", help="Look for a moment, show it once; status 1 if no PMU is heard.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so many seconds.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a second for each PMU.")] = False,
):
    """Watch every PMU of a broker: rate, frequency, phasors, latency, gaps and outbox.

    A live table on a terminal, elsewhere a line a second for each PMU. Ctrl-C ends it. Only listens: the broker
    keeps no session of it.
    """
    console = Console(highlight=False, soft_wrap=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        login = Login(one_broker(broker, broker_option), user, password_file, ca)
        with Listener(login, filters_of(topic)) as listener:
            if once:
                ended.wait(_LOOK_S)
                now_s = time.time()
                rows = listener.rows(now_s)
                if console.is_terminal and not as_json:
                    console.print(table(rows, console.width, 10_000))
                else:
                    _write(rows, now_s, as_json, console)
                if not rows:
                    raise Fault(f"no PMU heard within {_LOOK_S} s")
                return
            if seconds:
                timer = threading.Timer(seconds, ended.set)
                timer.daemon = True
                timer.start()
            if console.is_terminal and not as_json:
                _watch_table(listener, console, ended)
                return
            while not ended.wait(_LINE_S):
                now_s = time.time()
                _write(listener.rows(now_s), now_s, as_json, console)
    except (Fault, ValueError, OSError) as fault:
        give_up("watch", fault)
