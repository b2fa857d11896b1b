"""Signed messages in a file, a JSON object a line, to be injected by the utility's end (`gridmote is inject`).

    {"origin": 1, "seq": 7, "reach": 7, "lifetime_s": 65535, "payload": "hexadecimal", "summary": "for a person"}

What is signed are all but the summary (docs/gossip-wire.md): a line that is changed is refused by every node.
"""

import json
import os
from typing import NamedTuple

from gossip.wire import NUMBER_MOST, PAYLOAD_MOST
from gridmote.fault import Fault

_BOUNDS = {"origin": (1, 15), "seq": (1, NUMBER_MOST), "reach": (1, 7), "lifetime_s": (1, 65535)}


class Message(NamedTuple):
    origin: int
    seq: int
    reach: int  # sum of gossip.wire's HAN, FAN, WAN
    lifetime_s: int
    payload: bytes
    summary: str = ""


def line_of(message):
    return json.dumps({**message._asdict(), "payload": message.payload.hex()}) + "\n"


def free(path, force):
    """Fault where it exists, without `force`, or where there is no folder to write it to."""
    if path.is_dir() or not path.parent.is_dir():
        raise Fault(f"{path}: {'a folder' if path.is_dir() else 'no such folder'}")
    if path.exists() and not force:
        raise Fault(f"{path} exists; --force writes over it")


def write(path, messages, force):
    """On the disk, whole or not at all; Fault as of free(). OSError."""
    free(path, force)
    staged = path.with_name(path.name + "~")
    with staged.open("w", encoding="utf-8") as stream:
        stream.writelines(line_of(message) for message in messages)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(staged, path)


def read(path):
    """-> [Message], at least one; Fault with the line of what is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Fault(f"{path}: not UTF-8 at byte {error.start}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(_message(json.loads(line)))
            except (ValueError, RecursionError) as error:
                raise Fault(f"{path}:{number}: no signed message: {error}") from None
    if not found:
        raise Fault(f"{path}: no signed messages in it; `gridmote tariff sign` writes them")
    return found


def _message(given):
    """ValueError."""
    if not isinstance(given, dict):
        raise ValueError("no JSON object")
    for name, (least, most) in _BOUNDS.items():
        value = given.get(name)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{name} is not {least} to {most}")
    if not isinstance(given.get("payload"), str):
        raise ValueError("payload is no text")
    payload = bytes.fromhex(given["payload"])
    if not 1 <= len(payload) <= PAYLOAD_MOST:
        raise ValueError(f"payload is not 1 to {PAYLOAD_MOST} bytes")
    return Message(*(given[name] for name in _BOUNDS), payload, str(given.get("summary", "")))
