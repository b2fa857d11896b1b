"""A node's identity as files, laid out as in the /node folder of a device; read back as it would boot."""

import contextlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from gridmote.fault import Fault
from settings.schema import ConfigError, keys_of, merge

DEVICE_FOLDER = "/node"
CONFIG, SECRETS = "config.json", "secrets.json"
GOOD_CONFIG, GOOD_SECRETS = "config.good", "secrets.good"
KEY_FILES = ("ca", "certificate", "key")  # of section broker
STAGED = "~"  # ends the name of a file that is not in its place yet
_USED = ("topic", "broker", "wifi", "gossip")  # of an old configuration, for the one that replaces it
OWN_KEY = re.compile(r"keys/(%s)-[0-9a-f]{8}\.der" % "|".join(KEY_FILES))


class NodeSet(NamedTuple):
    """config and secrets as in their files; keys: {"keys/...": bytes}, named by the configuration."""

    config: dict
    secrets: dict
    keys: dict

    @property
    def merged(self):
        return merge(self.config, self.secrets)

    def key_file(self, name):
        """The bytes that broker.NAME of the configuration names, or None."""
        return self.keys.get(inside(self.config.get("broker", {}).get(name, "")))


def encode(part):
    return (json.dumps(part, indent=1) + "\n").encode()


def on_device(name):
    return f"{DEVICE_FOLDER}/{name}"


def inside(path):
    """"keys/x.der" of "/node/keys/x.der"; None for any other path."""
    head = DEVICE_FOLDER + "/"
    return path[len(head):] if isinstance(path, str) and path.startswith(head) else None


def on_host(path, folder):
    """The Path that `path` of a configuration in `folder` means on this computer."""
    name = inside(path)
    return Path(folder) / (name if name is not None else path)


def once(pairs):
    """An object of JSON; ValueError for a key that comes twice, of which one value would be ignored in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ConfigError("%s: given twice" % next(key for key in keys if keys.count(key) > 1))
    return found


def decode(data, name):
    """The object in the bytes of a JSON file; Fault, which shows nothing of what is in it."""
    try:
        return json.loads(data.decode(), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise Fault(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise Fault(f"{name}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise Fault(f"{name}: not JSON that can be read: nested too deeply") from None
    except ConfigError as error:
        raise Fault(f"{name}: {error}") from None


def pair(place):
    """(names, bytes) of the two files that a node in `place` boots with; bytes None where there is none at all.
    The secrets may be missing: none.

    As firmware/boot.py does: without config.json, which is so only while both files change, the last good ones.
    """
    for names in ((CONFIG, SECRETS), (GOOD_CONFIG, GOOD_SECRETS)):
        config = place.read(names[0])
        if config is not None:
            return names, (config, place.read(names[1]))
    return (CONFIG, SECRETS), None


def read_set(place, replaced=False):
    """The NodeSet with which a node in `place` boots, or None; Fault for files that nobody can use.

    replaced: a whole configuration is to take its place: what cannot be used counts as none, so that the last good
    one is it, if there is one.
    """
    names, found = pair(place)
    try:
        return _node_set(place, names, found) if found else None
    except Fault as fault:
        if not replaced:
            raise Fault(f"{fault}; gridmote provision --config FILE replaces it") from None
    good = (place.read(GOOD_CONFIG), place.read(GOOD_SECRETS))
    if good[0] is not None:
        with contextlib.suppress(Fault):
            return _node_set(place, (GOOD_CONFIG, GOOD_SECRETS), good)
    return None


def _node_set(place, names, found):
    parts = []
    for name, data in zip(names, found, strict=True):
        parts.append({} if data is None else decode(data, place.path(name)))
        if not isinstance(parts[-1], dict):
            raise Fault(f"{place.path(name)}: an object is needed")
    try:
        merged = merge(*parts)
    except ConfigError as error:
        raise Fault("\n".join(f"{place.path(names[1])}: {line}" for line in str(error).splitlines())) from None
    for section in _USED:
        if not isinstance(merged.get(section, {}), dict):
            raise Fault(f"{place.path(names[0])}: {section}: an object is needed")
    rules = keys_of("GOSSIP")
    for key, value in merged.get("gossip", {}).items():
        wrong = key in rules and rules[key][0](value)
        if wrong:
            raise Fault(f"{place.path(names[1])}: gossip.{key}: must be {wrong}, not as given")
    return NodeSet(*parts, {name: data for name in named_keys(parts[0]) if (data := place.read(name)) is not None})


def named_keys(config):
    """["keys/...", ...] that a configuration names."""
    broker = config.get("broker", {}) if isinstance(config, dict) else {}
    found = [inside(broker.get(name, "")) for name in KEY_FILES] if isinstance(broker, dict) else []
    return [name for name in found if name]
