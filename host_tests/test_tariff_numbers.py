"""What `gridmote tariff` signs is numbered without a gap: a node would ask all others for what is missing."""

import sys
import time
from pathlib import Path

import pytest

from gossip.trust import Trust
from gossip.wire import DIGEST, IWANT, KEY, REVOKE, TARIFF
from gridmote.tariff.messages import read
from gridmote.utility.inject import table_of
from host_tests.mpy.plain_shelf import Shelf
from host_tests.tariff_rig import agile, run, written

HOUR = 3600
PERIOD_MS = 2000


@pytest.fixture
def made(tmp_path, monkeypatch):
    """(public key, [Message]) of some days: one table a file, three of a long one, an alert, keys, a revocation."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    begin = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(time.time() // HOUR * HOUR + HOUR))
    day = written(tmp_path / "day.json", agile(begin, [1, 2, 3, 4]))
    long = written(tmp_path / "long.json", agile(begin, range(300), 15))
    assert run("keys", "--new", "--recovery", "rec", "--height", 5).exit_code == 0
    public, found = Path("fleet-keys/tariff.pub").read_text(), []
    alert = ["--emergency", "1,now,+2h", "--currency", "GBP"]
    for arguments in [[day]] * 4 + [[long], alert] + [[day]] * 20:
        done = run("sign", *arguments, "--out", "out", "--force")
        assert done.exit_code == 0, done.stderr
        found += read(Path("out"))
        assert found[-1].summary in done.stdout
    assert run("revoke", 1, "--recovery", "rec").exit_code == 0
    found += read(Path("revoke.signed"))
    assert run("sign", day, "--out", "out", "--force").exit_code == 0
    return bytes.fromhex(public), found + read(Path("out"))


def test_one_number_a_message(made):
    _, found = made
    numbered = [message.seq for message in found if message.payload[0] != REVOKE]
    assert numbered == list(range(1, len(found)))  # what the recovery key signs leaves no hole
    kinds = [message.payload[0] for message in found]
    assert kinds.count(KEY) >= 2 and kinds.count(REVOKE) == 1 and kinds.count(TARIFF) == 29
    for message in found:
        table = table_of(message)
        assert not table or table.number == message.seq
        assert not table or message.summary.startswith(f"tariff {message.seq}: ")


def test_nobody_asks_for_what_does_not_exist(made, monkeypatch):
    """Without loss, by nodes that verify: each has each message, and not one question was sent."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "mpy"))
    from gossip_net import Net

    public, found = made
    recovery = bytes.fromhex(Path("fleet-keys/recovery.pub").read_text())
    trust = {"trust": lambda i: Trust(public, recovery, None, Shelf(), lambda: int(time.time()))}
    net = Net(6, seed=3, tick_ms=500, defaults={"f": 5, "r": 8}, **trust)
    for message in found:
        head = message._asdict()
        del head["summary"]
        id = net.start(0, head.pop("payload"), **head)
        net.run(16 * PERIOD_MS)
        assert (len(net.times(id)), net.sent((IWANT, DIGEST))) == (6, 0), message.seq
    for name in [name for name in sys.modules if name.startswith("gossip_")]:
        del sys.modules[name]
