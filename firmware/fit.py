"""A message that must not be too long."""

import json

from micropython import const

_SHORT = const(8)  # of any text, where the message becomes too long
_LEAST = ("gossip", "appliances")


def fit(fields, most):
    """These as JSON, in bytes. If more than `most`, with every text cut short: some are long, or long in JSON. Then
    without what tells the least for its length."""
    data = json.dumps(fields).encode()
    if len(data) > most:
        for name in fields:
            if isinstance(fields[name], str):
                fields[name] = fields[name][:_SHORT]
        data = json.dumps(fields).encode()
        for name in _LEAST:
            if len(data) > most and fields.pop(name, 0):
                data = json.dumps(fields).encode()
    return data
