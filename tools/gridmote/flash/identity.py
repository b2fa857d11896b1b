"""Configuration, secrets and keys that are to go onto a board with its application, if any are given."""

from pathlib import Path

from gridmote.fault import Fault
from gridmote.flash.place import BoardPlace
from gridmote.provision.folder import FolderPlace
from gridmote.provision.install import install
from gridmote.provision.layout import (
    CONFIG,
    NodeSet,
    decode,
    named_keys,
    on_device,
    pair,
    read_set,
)
from settings.schema import ConfigError, check
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


class Identity:
    """What was given, checked by the node's own schema before any board is touched. Fault."""

    def __init__(self, config=None, secrets=None, keys=None, node=None):
        if node and (config or secrets or keys):
            raise Fault("--node brings configuration, secrets and keys: no --config, --secrets, --keys with it")
        self._config = _object(config) if config else None
        self._secrets = _object(secrets) if secrets else None
        self._keys = keys
        self._name = str(config or secrets or node or keys)
        if keys and not Path(keys).is_dir():
            raise Fault(f"{keys}: no such folder")
        if node:
            found = read_set(FolderPlace(node))
            if found is None:
                raise Fault(f"{node}: no {CONFIG} in it; `gridmote provision` makes such a folder")
            self._config, self._secrets, self._keys = found
        self._new, self._missing = None, False
        if self._config is not None:
            self._check(NodeSet(self._config, self._secrets or {}, {}))

    @property
    def given(self):
        return self._config is not None or self._secrets is not None or self._keys is not None

    def _check(self, node_set):
        try:
            checked = check(node_set.merged)
            if checked["source"]["kind"] == "synthetic":
                settings(checked["source"]["grid"])
        except ConfigError as error:
            raise Fault("\n".join(f"{self._name}: {line}" for line in str(error).splitlines())) from error
        except (ValueError, TypeError, KeyError) as error:
            raise Fault(f"{self._name}: source.grid: {error}") from error
        if checked["source"]["kind"] == "replay":
            raise Fault(f"{self._name}: source.kind: replay is for `gridmote node`; boards have synthetic, adc")

    def examine(self, link):
        """What the board has instead of what was not given; nothing is written. Fault if the whole does not fit."""
        place = BoardPlace(link)
        if not self.given:
            self._missing = pair(place)[1] is None
            return
        has = read_set(place) or NodeSet({}, {}, {})
        config = has.config if self._config is None else self._config
        if not config:
            raise Fault(f"{link.place} has no configuration yet: give --config too")
        node_set = NodeSet(config, has.secrets if self._secrets is None else self._secrets, {})
        self._check(node_set)
        for name in named_keys(config):
            data = self._key(name, place)
            if data is None:
                raise Fault(f"{self._name}: names {on_device(name)}, which the board does not have: give --keys")
            node_set.keys[name] = data
        self._new = node_set

    def _key(self, name, place):
        if isinstance(self._keys, dict):
            return self._keys.get(name)
        path = Path(self._keys) / name.removeprefix("keys/") if self._keys else None
        return path.read_bytes() if path and path.is_file() else place.read(name)

    def install(self, link):
        """Put it into its place, the last good one kept; lines that say so."""
        if self._new is None:
            return ["no configuration on the board yet: it will wait for one (gridmote provision, or --config)"] \
                if self._missing else []
        changed = install(BoardPlace(link), self._new, keep_good=True)
        topic = self._new.config.get("id", "?")
        return [f"configuration of {topic}: {'written' if changed else 'the same'}"]
