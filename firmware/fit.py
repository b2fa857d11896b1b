"""A message that must not be too long."""

import json

from micropython import const

_SHORT = const(8)  # of any text, where the message becomes too long


def fit(fields, most):
    """These as JSON, in bytes; of more than `most` with every text cut short: some are long, or long in JSON."""
    data = json.dumps(fields).encode()
    if len(data) > most:
        for name in fields:
            if isinstance(fields[name], str):
                fields[name] = fields[name][:_SHORT]
        data = json.dumps(fields).encode()
    return data
