"""One run of `gridmote provision`: from what was asked for to identities in their places."""

import contextlib
import copy
import re
from pathlib import Path
from typing import NamedTuple

from gridmote.broker.address import BrokerAddress
from gridmote.fault import Fault
from gridmote.provision import fleet
from gridmote.provision.folder import FolderPlace
from gridmote.provision.identity import Mistakes, make, plan
from gridmote.provision.install import install, interrupted, state
from gridmote.provision.layout import KEY_FILES, decode, inside, read_set
from gridmote.provision.values import drop, get, known, parsed, put
from settings.schema import SECRETS


class Wishes(NamedTuple):
    """What the options say that is not in the base configuration; None or empty: nothing."""

    id: str | None = None
    role: str | None = None
    topic: str | None = None
    idcode: int | None = None
    wifi: str | None = None
    brokers: tuple = ()
    user: str | None = None
    ca: Path | None = None
    settings: tuple = ()  # of key=value

    def apply(self, given):
        """Change the nested configuration; Fault, ValueError."""
        for key, value in (("id", self.id), ("role", self.role), ("measurement.idcode", self.idcode),
                           ("wifi.ssid", self.wifi)):
            if value is not None:
                put(given, key, value)
        if self.topic is not None:
            levels = self.topic.split("/")
            if len(levels) != 3:
                raise Fault("--topic: three levels, area/location-type/location-id")
            for name, level in zip(("area", "location_type", "location_id"), levels, strict=True):
                put(given, f"topic.{name}", level)
        self._broker(given)
        for text in self.settings:
            key, equal, value = text.partition("=")
            known(key)
            if key in SECRETS:
                raise Fault(f"--set {key}: a secret is not said on the command line, where everyone on the machine "
                            "can read it")
            if not equal:
                raise Fault(f"--set {key}: expected KEY=VALUE")
            put(given, key, parsed(key, value))

    def _broker(self, given):
        if self.ca is not None:
            put(given, "broker.ca", str(self.ca.resolve()))
        if self.brokers:
            addresses = [BrokerAddress(text) for text in self.brokers]
            tls = bool(get(given, "broker.ca"))
            for text, address in zip(self.brokers, addresses, strict=True):
                if address.tls and not tls:
                    raise Fault(f"--broker {text}: TLS needs --ca, the CA of the broker's certificate")
                if tls and not re.search(r":\d+/?$", text):
                    address.port = 8883
            first, *others = addresses
            put(given, "broker.host", first.host)
            put(given, "broker.port", first.port)
            put(given, "broker.fallback", [{"host": one.host, "port": one.port} for one in others])
            if first.user:
                put(given, "broker.user", first.user)
        if self.user is not None:
            put(given, "broker.user", self.user)


class Result(NamedTuple):
    plan: object
    made: object
    place: object
    changed: bool
    note: str  # about an earlier run


class Run:
    """authority, passwords: those of the module of that name. new_keys, certificate, days: as identity.make() takes
    them."""

    def __init__(self, authority, passwords, new_keys=False, certificate=True, days=3650):
        self._authority, self._passwords = authority, passwords
        self._options = {"new_keys": new_keys, "certificate": certificate, "days": days}

    def one(self, place, config, wishes, on_board=False):
        """Result for the node in `place`. config: path of the base configuration; None: what the node has.
        on_board: the node itself proves what its last good configuration is. Needed, Fault."""
        old = read_set(place, replaced=bool(config))
        given = base(config) if config else _as_base(old, place)
        wishes.apply(given)
        word, had = self._passwords.word, {}
        if not config:
            had = old.keys
            self._missing(given, had, place)
        try:
            plan(given, had, word)
            self._passwords.complete(given, old)
            planned = plan(given, had, word)
        except Mistakes as error:
            start = f"{config}: " if config else ""
            raise Fault("\n".join(start + line for line in str(error).splitlines())) from None
        if on_board and planned.full["source"] and planned.full["source"]["kind"] == "replay":
            raise Fault("source.kind: replay is for `gridmote node`; boards have synthetic and adc")
        with self._authority.held():
            return self._put(place, planned, old, self._make(place, planned, old), on_board)

    def _missing(self, given, had, place):
        """Fault for files of keys that the node should have and has not; with new keys those are no loss."""
        names = {name: path for name in KEY_FILES if (path := inside(get(given, f"broker.{name}")))}
        for name, path in names.items():
            if path not in had and name == "ca":
                raise Fault(f"{place.path(path)}: is missing; --ca FILE gives the CA of the broker again")
            if path not in had and not self._options["new_keys"]:
                raise Fault(f"{place.path(path)}: is missing; --new-keys makes key and certificate anew")
        if set(names.values()) - set(had):
            for name in names.keys() - {"ca"}:
                drop(given, f"broker.{name}")

    def fleet(self, table, folder, config, wishes):
        """[Result] of every row of the table, in folder/ID; Fault before anything is written if a row is wrong."""
        given = base(config) if config else {}
        wishes.apply(given)

        def complete(given):
            self._passwords.complete(given, read_set(FolderPlace(folder / given["id"]), replaced=True))

        planned = fleet.plans(table, given, complete, self._passwords.word)
        with self._authority.held():
            made, faults = [], []
            for one in planned:
                place = FolderPlace(folder / one.id)
                try:
                    old = read_set(place, replaced=True)
                    made.append((place, one, old, self._make(place, one, old)))
                except Fault as fault:
                    faults.append(str(fault))
            if faults:
                raise Fault("\n".join(faults))
            return [self._put(*parts) for parts in made]

    def _make(self, place, planned, old):
        try:
            return make(planned, old, self._authority, **self._options)
        except Fault as fault:
            raise Fault(f"{place}: {fault}") from None

    def _put(self, place, planned, old, made, on_board=False):
        with contextlib.nullcontext() if on_board else _alone(place, old):
            note = interrupted(place)
            try:
                changed = install(place, made.node_set, on_board)
            except KeyboardInterrupt:
                whole = _state(place, old, made.node_set)
                raise Fault(f"{place}: interrupted\n{place}: {whole}; the same command finishes it") from None
            except (OSError, Fault) as error:
                kind = type(error) if isinstance(error, Fault) else Fault
                why = getattr(error, "strerror", None) or str(error).removeprefix(f"{place}: ")
                raise kind(f"{place}: {why}\n{place}: {_state(place, old, made.node_set)}") from None
        return Result(planned, made, place, changed, note)


@contextlib.contextmanager
def _alone(place, old):
    """With the lock of a folder; Fault if another run has it, or has changed what was read before."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(place.held())
        except OSError as error:
            raise Fault(f"{place}: {error.strerror}") from None
        if read_set(place, replaced=True) != old:
            raise Fault(f"{place}: another run changed it just now; nothing is written, try again")
        yield


def _state(place, old, new):
    try:
        return state(place, old, new)
    except (OSError, Fault):
        return "it cannot be reached now, but has the old or the new identity, whole"


def base(path):
    """The nested configuration in a file, names of its files made absolute; Fault."""
    try:
        given = decode(Path(path).read_bytes(), path)
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    if not isinstance(given, dict):
        raise Fault(f"{path}: an object is needed")
    for name in ("certificate", "key"):  # another node's are not this one's
        if inside(get(given, f"broker.{name}")):
            drop(given, f"broker.{name}")
    fleet.anchor(given, Path(path).parent)
    return given


def _as_base(old, place):
    if old is None:
        raise Fault(f"{place}: no node there yet: which configuration shall it start from? --config FILE; "
                    "`gridmote node --example > meter.json` makes one to begin with")
    return copy.deepcopy(old.config)
