"""Configuration, secrets and keys that are to go onto a board with its application, if any are given."""

from pathlib import Path

from gridmote.fault import Fault
from gridmote.flash.link import Refused
from gridmote.flash.place import BoardPlace
from gridmote.provision.folder import FolderPlace
from gridmote.provision.install import clear_keys, install
from gridmote.provision.layout import (
    CONFIG,
    GOOD_CONFIG,
    GOOD_SECRETS,
    KEY_FILES,
    SECRETS,
    NodeSet,
    decode,
    inside,
    named_keys,
    on_device,
    pair,
    read_set,
)
from settings import schema
from settings.schema import ConfigError, check, merge
from waveform.grid import settings


def _object(path):
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Fault(f"{path}: {error.strerror or error}") from error
    found = decode(data, str(path))
    if not isinstance(found, dict):
        raise Fault(f"{path}: an object is needed")
    return found


def _folder(node):
    """The NodeSet of a folder that gridmote provision made, with every key file that it names."""
    try:
        found = read_set(FolderPlace(node))
    except OSError as error:
        raise Fault(f"{error.filename or node}: {error.strerror or error}; --node is a folder that `gridmote "
                    "provision` made") from error
    if found is None:
        raise Fault(f"{node}: no {CONFIG} in it; `gridmote provision` makes such a folder")
    gone = [name for name in named_keys(found.config) if name not in found.keys]
    if gone:
        raise Fault(f"{node}: {CONFIG} names {', '.join(map(on_device, gone))}, which is not in "
                    f"{Path(node) / 'keys'}: `gridmote provision` makes the folder whole again")
    return found


def _mistakes(error, names):
    """Lines of a ConfigError, each with the file that it is of. names: of the configuration, of the secrets."""
    lines = str(error).splitlines()
    return Fault("\n".join(f"{names[line.partition(':')[0] in schema.SECRETS]}: {line}" for line in lines))


def _check_secrets(secrets, name):
    try:
        merge({}, secrets)
    except ConfigError as error:
        raise _mistakes(error, (name, name)) from error


def _check(config, secrets, names):
    _check_secrets(secrets, names[1])
    try:
        checked = check(merge(config, secrets))
    except ConfigError as error:
        raise _mistakes(error, names) from error
    source = checked["source"]
    if source and source["kind"] == "replay":
        raise Fault(f"{names[0]}: source.kind: replay is for `gridmote node`; boards have synthetic, adc")
    try:
        if source and source["kind"] == "synthetic":
            settings(source["grid"])
    except (ValueError, TypeError, KeyError) as error:
        raise Fault(f"{names[0]}: source.grid: {error}") from error
    for key in KEY_FILES:
        path = checked["broker"][key]
        if path and not (inside(path) or "").startswith("keys/"):
            raise Fault(f"{names[0]}: broker.{key}: on a board that is {on_device('keys/NAME')}, which --keys "
                        "brings; `gridmote provision` puts all of it there by itself")


def _no_secrets(config, name):
    for key in schema.SECRETS:
        section, _, last = key.partition(".")
        if isinstance(config.get(section), dict) and config[section].get(last):
            raise Fault(f"{name}: {key}: is a secret, and a configuration may be read by anybody: put it, nested "
                        "alike, into a file for --secrets (make: FLAGS=\"--secrets FILE\"), or let `gridmote "
                        "provision` ask for it")


# Where boards/esp32 keeps the last good pair beyond the file system; places as in firmware/lastgood.py.
_EMPTY_VAULT = """
try:
 import esp32
 nvs = esp32.NVS('gridmote')
 for name in ('a0', 'a1', 'a2', 'b0', 'b1', 'b2'):
  try:
   nvs.erase_key(name)
  except OSError:
   pass
 nvs.commit()
except ImportError:
 pass
"""


class Identity:
    """What was given, checked by the node's own schema before any board is touched. Fault.

    replace: also where the board is another node, of which nothing then stays.
    """

    def __init__(self, config=None, secrets=None, keys=None, node=None, replace=False):
        if node and (config or secrets or keys):
            raise Fault("--node brings configuration, secrets and keys: no --config, --secrets, --keys with it")
        self._names = (str(config), str(secrets))
        self._keys, self._replace = keys, replace
        if keys and not Path(keys).is_dir():
            raise Fault(f"{keys}: no such folder")
        if node:
            self._config, self._secrets, self._keys = _folder(node)
            self._names = (str(Path(node) / CONFIG), str(Path(node) / SECRETS))
        else:
            self._config = _object(config) if config else None
            self._secrets = _object(secrets) if secrets else None
        self._new, self._missing, self._other = None, False, False
        if config:
            _no_secrets(self._config, config)
        if self._config is not None:
            _check(self._config, self._secrets or {}, self._names)
        elif secrets:
            _check_secrets(self._secrets, secrets)

    @property
    def given(self):
        return self._config is not None or self._secrets is not None or self._keys is not None

    def examine(self, link):
        """What the board has instead of what was not given; nothing is written. Fault if the whole does not fit."""
        place = BoardPlace(link)
        if not self.given:
            self._missing = pair(place)[1] is None
            return
        has = self._there(place)
        config = has.config if self._config is None else self._config
        if not config:
            raise Fault(f"{place} has no configuration yet: give --config too (make: CONFIG=FILE)")
        secrets = has.secrets if self._secrets is None else self._secrets
        given = self._config is not None, self._secrets is not None
        _check(config, secrets, [mine if has_it else f"{place}: {on_device(name)}" for has_it, mine, name
                                 in zip(given, self._names, (CONFIG, SECRETS), strict=True)])
        self._new = NodeSet(config, secrets, {})
        for name in named_keys(config):
            data = self._key(name, has)
            if data is None:
                raise Fault(f"the configuration names {on_device(name)}, which the board does not have: give "
                            "--keys (make: FLAGS=\"--keys FOLDER\")")
            self._new.keys[name] = data

    def _there(self, place):
        """NodeSet of the board, empty if it is to become another node. Fault if that was not asked for."""
        try:
            has = read_set(place) or NodeSet({}, {}, {})
            whose = has.config.get("id") if has.config else None
            what = f"is node {whose}"
        except Fault as fault:
            if self._config is None:
                raise
            has, whose, what = None, "", f"has a configuration that cannot be read ({fault})"
        if self._config is None or whose in (None, self._config["id"]):
            return has
        if not self._replace:
            raise Fault(f"{place} {what}, {self._names[0]} is for {self._config['id']}. Nothing was changed. "
                        "--replace (make: FLAGS=--replace) makes it that node; nothing stays of the keys, "
                        "passwords and last good configuration that it has")
        self._other = True
        return NodeSet({}, {}, {})

    def _key(self, name, has):
        if isinstance(self._keys, dict):
            return self._keys.get(name)
        path = Path(self._keys) / name.removeprefix("keys/") if self._keys else None
        if path is None or not path.is_file():
            return has.keys.get(name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise Fault(f"{path}: {error.strerror or error}") from error

    def install(self, link):
        """Put it into its place, the last good one of this node kept; lines that say so."""
        if self._new is None:
            return ["no configuration on the board yet: it will wait for one (gridmote provision, or --config)"] \
                if self._missing else []
        if self._other:
            try:
                link.run(_EMPTY_VAULT)
            except Refused as error:
                raise Fault(f"{link.place}: the last good configuration stays in its NVS: {error.last}") from error
        place = BoardPlace(link)
        changed = install(place, self._new, keep_good=True, clear=False)
        self._drop_others(place)
        if self._keys is not None:
            clear_keys(place, self._new)
        return [f"configuration of {self._new.config['id']}: {'written' if changed else 'the same'}"]

    def _drop_others(self, place):
        """The last good pair of another node: this one must not become that again."""
        good = place.read(GOOD_CONFIG)
        try:
            same = good is None or decode(good, GOOD_CONFIG)["id"] == self._new.config["id"]
        except (Fault, KeyError, TypeError):
            same = False
        if not same:
            place.remove(GOOD_CONFIG)
            if place.read(GOOD_SECRETS) is not None:
                place.remove(GOOD_SECRETS)
