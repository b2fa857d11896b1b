"""Where a broker is and who one is there: options that commands share, and paho clients made of them."""

import os
import ssl
from pathlib import Path
from typing import Annotated

import paho.mqtt.client as mqtt
import typer

from gridmote.broker.address import BrokerAddress
from gridmote.fault import Fault

BROKER_HELP = "host:port, mqtt://user@host:port or mqtts://..."
Broker = Annotated[str | None, typer.Argument(help=BROKER_HELP)]
LocalBroker = Annotated[str | None, typer.Argument(help=BROKER_HELP, show_default="127.0.0.1:1883")]
BrokerOption = Annotated[str | None, typer.Option("--broker", help="The same as BROKER")]
User = Annotated[str | None, typer.Option(help="MQTT user name")]
PasswordFile = Annotated[Path | None, typer.Option(
    help="File with the MQTT password (or set GRIDMOTE_PASSWORD)", exists=True, dir_okay=False)]
Ca = Annotated[Path | None, typer.Option(
    help="CA certificates for mqtts:// instead of the system's", exists=True, dir_okay=False)]


def one_broker(argument, option, default="127.0.0.1:1883"):
    """-> what was said of the Broker and the BrokerOption of a command, else `default`; Fault if that is two."""
    said = {broker for broker in (argument, option) if broker is not None}
    if len(said) > 1:
        raise Fault(f"two brokers, {argument} and --broker {option}: leave one of them out")
    return said.pop() if said else default


class Login:
    """What the options say. ValueError for a bad address, OSError for a file that cannot be read.

    `client(...)` makes a paho client with user, password and TLS set, to be connected to `address`; `dress(client)`
    sets them in another.
    """

    def __init__(self, broker, user=None, password_file=None, ca=None):
        self.address = BrokerAddress(broker)
        self.user = user or self.address.user
        self._password = os.environ.get("GRIDMOTE_PASSWORD")
        if password_file is not None:
            self._password = password_file.read_text().rstrip("\r\n")
        self._tls = ssl.create_default_context(cafile=str(ca) if ca else None) if self.address.tls else None

    def client(self, client_id, version=mqtt.MQTTv311, **options):
        """options: those of paho's Client."""
        return self.dress(mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=version, **options))

    def dress(self, client):
        if self.user:
            client.username_pw_set(self.user, self._password)
        if self._tls:
            client.tls_set_context(self._tls)
        return client
