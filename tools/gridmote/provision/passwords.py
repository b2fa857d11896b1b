"""Where passwords come from: a file, the environment, what the node has already, or a hidden prompt. Never argv."""

import getpass
import os
import sys

import typer

from gridmote.fault import Fault
from gridmote.provision.values import get, put

_KINDS = {  # password: whose it is, what it is called, where else it can come from
    "wifi.password": ("wifi.ssid", "Wi-Fi {!r} (empty: it is open)", "GRIDMOTE_WIFI_PASSWORD",
                      "--wifi-password-file"),
    "broker.password": ("broker.user", "MQTT user {!r}", "GRIDMOTE_PASSWORD", "--password-file"),
}
_CA_VARIABLE = "GRIDMOTE_CA_PASSWORD"


class Needed(Exception):
    """A word that is to be asked for; not while a board stands still, or a lock is held."""


class Passwords:
    """files: {"wifi.password": Path or None, "broker.password": ...}; again: ask even if the node has one.

    What is to be asked for is Needed, which asking() answers.
    """

    def __init__(self, files, again=False):
        self._said = {key: _from_file(path) for key, path in files.items() if path}
        self._again = again
        self._answers = {}

    def complete(self, given, old):
        """Put into `given` the passwords that it needs. old: the NodeSet before, or None. Fault if there is no way
        to one."""
        for key, (owner_key, *_) in _KINDS.items():
            owner = get(given, owner_key)
            if owner and isinstance(owner, str) and get(given, key) is None:
                put(given, key, self._find(key, owner, old))

    def _find(self, key, owner, old):
        owner_key, what, variable, option = _KINDS[key]
        if key in self._said:
            return self._said[key]
        if variable in os.environ:
            return os.environ[variable]
        if old and not self._again and get(old.config, owner_key) == owner:
            return get(old.secrets, key, "")
        return self._answer(f"Password of {what.format(owner)}", f"{key}: set {variable}, or {option}", True)

    def word(self, what):
        """The word that opens an encrypted key."""
        if _CA_VARIABLE in os.environ:
            return os.environ[_CA_VARIABLE]
        return self._answer(f"Word for {what}", f"{what} is encrypted: set {_CA_VARIABLE}", False)

    def _answer(self, *question):
        if question not in self._answers:
            raise Needed(*question)
        return self._answers[question]

    def asking(self, attempt):
        """What attempt() returns, begun anew after each word that it Needed."""
        while True:
            try:
                return attempt()
            except Needed as needed:
                question = needed.args
            self._answers[question] = _ask(*question)


def _from_file(path):
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Fault(f"{path}: not UTF-8") from None


def _ask(what, without, twice):
    if not sys.stdin.isatty():
        raise Fault(f"{without}; there is no terminal to ask at")
    try:
        while True:
            said = getpass.getpass(f"{what}: ")  # turns echo off before it prompts, as click does not
            if not twice or getpass.getpass("Once more: ") == said:
                return said
            typer.echo("They differ: again, please.", err=True)
    except EOFError:
        raise Fault(without) from None
