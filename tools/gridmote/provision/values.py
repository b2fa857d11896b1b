"""Keys of a configuration as people write them, `broker.port`, and their values as text."""

import contextlib
import copy
import json

from gridmote.broker.address import BrokerAddress
from gridmote.fault import Fault
from settings.schema import HIDDEN, SCHEMA, SECRETS, keys_of


def rule_of(key):
    """The check of a dotted key, None if there is no such key, a dict for a section."""
    rule = SCHEMA
    for level in key.split("."):
        if not isinstance(rule, dict) or level not in rule:
            return None
        rule = keys_of(rule[level][0])
    return rule


def get(config, key, default=None):
    for level in key.split("."):
        if not isinstance(config, dict) or level not in config:
            return default
        config = config[level]
    return config


def put(config, key, value):
    """Set a dotted key in a nested configuration; Fault if a part of its path is no section there."""
    *sections, last = key.split(".")
    for level in sections:
        config = config.setdefault(level, {})
        if not isinstance(config, dict):
            raise Fault(f"{key}: {level} is no object")
    config[last] = value


def drop(config, key):
    """Forget a dotted key, and sections that are empty then."""
    head, _, rest = key.partition(".")
    if rest and isinstance(config.get(head), dict):
        drop(config[head], rest)
        if not config[head]:
            del config[head]
    elif not rest:
        config.pop(head, None)


def known(key):
    """ValueError for what is no key that has a value."""
    rule = rule_of(key)
    if rule is None:
        raise ValueError(f"{key}: unknown; `gridmote node --schema` prints every key")
    if isinstance(rule, dict):
        raise ValueError(f"{key}: a section; its keys are {', '.join(f'{key}.{name}' for name in rule)}")
    return rule


def parsed(key, text):
    """The value of a dotted key from its text: as it stands, or as JSON; brokers as host:port host:port.
    ValueError without the value of a secret.
    """
    rule = known(key)
    if key == "broker.fallback" and not text.lstrip().startswith("["):
        return [broker(word) for word in text.split()]
    candidates = [text]
    with contextlib.suppress(json.JSONDecodeError, RecursionError):
        candidates.append(json.loads(text))
    for value in candidates:
        if rule(value) is None:
            return value
    shown = "not as given" if key in HIDDEN else f"not {text!r}"
    raise ValueError(f"{key}: must be {rule(candidates[-1])}, {shown}")


def broker(text):
    address = BrokerAddress(text)
    return {"host": address.host, "port": address.port}


def split(merged):
    """(configuration without secrets, the secrets), both new; a secret that is empty is none."""
    config, secrets = copy.deepcopy(merged), {}
    for key in SECRETS:
        value = get(config, key)
        if value is not None:
            drop(config, key)
            if value != "":
                put(secrets, key, value)
    return config, secrets
