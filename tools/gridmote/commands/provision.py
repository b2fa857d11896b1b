"""`gridmote provision`: the identity of a node, or of a whole fleet, into folders or onto a board."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gridmote.fault import Fault, give_up
from gridmote.flash.link import Broken
from gridmote.flash.port import find
from gridmote.flash.stopped import stopped
from gridmote.provision.authority import Authority
from gridmote.provision.folder import FolderPlace
from gridmote.provision.identity import describe_certificate
from gridmote.provision.passwords import Passwords
from gridmote.provision.run import Run, Wishes
from settings.schema import ConfigError

_AGAIN = ("The application on the board starts again at the next power-on or reset, or by itself within a minute.\n"
          "Plug it in and repeat the same command")


def _facts(one):
    """[(name, value)] to be told of a node."""
    full, broker, measurement = one.plan.full, one.plan.full["broker"], one.plan.full["measurement"]
    others = ", ".join(f"{other['host']}:{other['port']}" for other in broker["fallback"])
    return [
        ("node", one.plan.id), ("in", f"{one.place}, {'written' if one.changed else 'as it was'}"),
        ("topic", "/".join(one.plan.topic[:3])), ("role", full["role"]),
        ("IDCODE", str(measurement["idcode"]) if measurement else "none"),
        ("broker", f"{broker['host']}:{broker['port']}{' TLS' if 'ca' in one.plan.files else ''}"
         + (f", then {others}" if others else "") if broker["host"] else "none"),
        ("Wi-Fi", full["wifi"]["ssid"] or "none"), ("certificate", describe_certificate(one.made)),
        ("node key", one.made.node_key),
    ]


def _say(text):
    """As it is: a terminal that is too narrow breaks lines, nothing is cut."""
    Console(highlight=False, soft_wrap=True).print(Text(text))


def _summary(results):
    if len(results) == 1:
        for name, value in _facts(results[0]):
            _say(f"{name:<12} {value}")
        return
    rows = [[name for name, _ in _facts(results[0])], *([value for _, value in _facts(one)] for one in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _tell(results, authority):
    _summary(results)
    for one in results:
        if one.note:
            _say(f"{one.place}: {one.note}; now it is whole")
    if any("ca" in one.plan.files and one.plan.full["broker"]["port"] == 1883 for one in results):
        _say("TLS at port 1883, where brokers expect none: 8883 is usual (--broker host:8883)")
    if any(one.made.certificate in ("made", "kept") for one in results):
        _say(f"The broker knows the nodes by {authority.folder}/ca.pem (mosquitto: cafile, "
             "require_certificate true, use_identity_as_username true)")
    _keep(authority.folder)


def _keep(folder):
    """What is to be kept of the fleet's keys, and what for."""
    _say(f"{folder} holds the keys of the fleet: keep it to yourself, and keep a copy")
    if not (folder / "tariff").exists():
        return
    _say(f"without {folder}/tariff, of which no copy signs: after the loss of this disk put the copy back, then\n"
         "gridmote tariff keys --replace --recovery FOLDER makes another tariff key")
    if not (folder / "recovery.pub").exists():
        _say(f"but there is no recovery key yet: gridmote tariff keys --new --keys {folder} --recovery FOLDER\n"
             "makes it; then provision the nodes again")


_FOLDER = typer.Argument(help="Where to write: laid out like /node of a device; with --fleet a folder ID for each.",
                         show_default=False)
_PORT = typer.Option(help="Write onto the board at this port instead, such as /dev/ttyACM0; auto: the only one.",
                     show_default=False)
_FLEET = typer.Option(help="CSV, one row a node; its header names keys: id,measurement.idcode,wifi.ssid,...",
                      show_default=False, dir_okay=False)
_CONFIG = typer.Option(help="Configuration to start from (JSON). Without: what the node in FOLDER has.",
                       show_default=False, dir_okay=False)
_ID = typer.Option("--id", help="Producer id, MQTT client id and CN of the certificate.", show_default=False)
_ROLE = typer.Option(help="What the node does.", show_default=False)
_TOPIC = typer.Option(help="area/location-type/location-id; nodes that share it are one segment.",
                      show_default=False)
_IDCODE = typer.Option(help="IDCODE of its stream.", show_default=False)
_WIFI = typer.Option(help="Name of the Wi-Fi network.", show_default=False)
_WIFI_FILE = typer.Option(help="File with its password (or set GRIDMOTE_WIFI_PASSWORD, or be asked).",
                          show_default=False)
_BROKER = typer.Option(help="host:port; again for those to fall back to, nearest first.", show_default=False)
_USER = typer.Option(help="MQTT user name; none is needed where the broker knows nodes by certificate.",
                     show_default=False)
_USER_FILE = typer.Option(help="File with the MQTT password (or set GRIDMOTE_PASSWORD, or be asked).",
                          show_default=False)
_CA = typer.Option(help="CA of the broker's certificate (PEM or DER): turns TLS on.", show_default=False,
                   exists=True, dir_okay=False)
_CERTIFICATE = typer.Option("--certificate/--no-certificate", help="With TLS: a certificate of the node's own.")
_DAYS = typer.Option(help="How long that is valid.", min=1, max=36500)
_SET = typer.Option("--set", help="KEY=VALUE for any other key, such as measurement.rate=25. Again for more.",
                    show_default=False)
_AUTHORITY = typer.Option(help="Folder of the fleet's CA and keys, made at first; a CA of your own: ca.pem and "
                          "ca.key in it.")
_NEW_KEYS = typer.Option("--new-keys", help="Make private key, certificate and node key anew; else they stay.")
_ASK = typer.Option("--ask", help="Ask for passwords even where the node has them already.")


def provision(
    folder: Annotated[Path | None, _FOLDER] = None,
    port: Annotated[str | None, _PORT] = None,
    fleet: Annotated[Path | None, _FLEET] = None,
    config: Annotated[Path | None, _CONFIG] = None,
    node_id: Annotated[str | None, _ID] = None,
    role: Annotated[str | None, _ROLE] = None,
    topic: Annotated[str | None, _TOPIC] = None,
    idcode: Annotated[int | None, _IDCODE] = None,
    wifi: Annotated[str | None, _WIFI] = None,
    wifi_password_file: Annotated[Path | None, _WIFI_FILE] = None,
    broker: Annotated[list[str] | None, _BROKER] = None,
    user: Annotated[str | None, _USER] = None,
    password_file: Annotated[Path | None, _USER_FILE] = None,
    ca: Annotated[Path | None, _CA] = None,
    certificate: Annotated[bool, _CERTIFICATE] = True,
    days: Annotated[int, _DAYS] = 3650,
    settings: Annotated[list[str] | None, _SET] = None,
    authority: Annotated[Path, _AUTHORITY] = Path("fleet-keys"),
    new_keys: Annotated[bool, _NEW_KEYS] = False,
    ask: Annotated[bool, _ASK] = False,
):
    """Make the identity of a node: configuration, secrets, keys and certificate, checked as the node checks them.

    [bold]gridmote provision meter-1 --config meter.json --id meter-1 --wifi Lab --ca broker-ca.pem[/] writes the
    folder meter-1; [bold]gridmote flash --node meter-1[/] brings it onto a board, [bold]gridmote node meter-1[/]
    runs it on this computer.

    Whatever interrupts it, the old or the new identity is there, whole; the one before stays as *.good. Keys that
    exist stay. TLS is by certificates: MicroPython has none with pre-shared keys. Passwords come from a hidden
    prompt, the environment or files, and are never shown.
    """
    if (folder is None) == (port is None) or fleet and port:
        give_up("provision", "where to? a FOLDER, or --port of a board; --fleet takes a FOLDER", 2)
    if folder and folder.resolve() == authority.resolve():
        give_up("provision", f"{folder}: holds the keys of the fleet (--authority), which no node gets", 2)
    passwords = {"wifi.password": wifi_password_file, "broker.password": password_file}
    wishes = Wishes(node_id, role, topic, idcode, wifi, tuple(broker or ()), user, ca, tuple(settings or ()))
    try:
        words = Passwords(passwords, ask)
        keys = Authority(authority, words.word)
        run = Run(keys, words, new_keys, certificate, days)

        def attempt():
            if fleet:
                return run.fleet(fleet, folder, config, wishes)
            if folder:
                return [run.one(FolderPlace(folder), config, wishes)]
            with stopped(find() if port == "auto" else port) as place:  # not while a word is asked for
                return [run.one(place, config, wishes, on_board=True)]

        results = words.asking(attempt)
    except Broken as fault:
        give_up("provision", f"{fault}\n{_AGAIN}")
    except (Fault, ConfigError, ValueError, OSError) as fault:
        give_up("provision", fault)
    except (KeyboardInterrupt, typer.Abort):
        raise typer.Exit(130) from None
    _tell(results, keys)

