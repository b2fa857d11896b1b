"""The broker of a command: as its argument, as --broker, or both."""

import pytest
from typer.testing import CliRunner

from gridmote.cli import app

COMMANDS = ["pdc", "watch", "doctor"]


def refused(command, *arguments):
    """The one line on stderr."""
    done = CliRunner().invoke(app, [command, *arguments])
    assert done.exit_code in (1, 2) and not done.stdout, done.output
    line, = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("arguments", [["http://x"], ["--broker", "http://x"], ["http://x", "--broker", "http://x"]])
def test_either_way_or_both_alike(command, arguments):
    assert refused(command, *arguments) == f"gridmote {command}: broker http://: the scheme is mqtt or mqtts"


@pytest.mark.parametrize("command", COMMANDS)
def test_two_brokers_are_one_too_many(command):
    line = refused(command, "one:1883", "--broker", "two:1883")
    assert line == f"gridmote {command}: two brokers, one:1883 and --broker two:1883: leave one of them out"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("arguments", [[""], ["--broker", ""]])
def test_an_empty_variable_of_a_shell_is_not_the_default(command, arguments):
    assert "expected host:port" in refused(command, *arguments)
