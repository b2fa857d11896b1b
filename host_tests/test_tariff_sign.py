"""`gridmote tariff sign` and `keys`: what they write is believed, held and acted on by a node's own code."""

import time
from pathlib import Path

import pytest

from gossip.trust import Trust
from gossip.wire import KEY, OK, OLD, SIGNATURE
from gridmote.sign.recovery import Recovery
from gridmote.sign.signer import Signer
from gridmote.tariff import signing
from gridmote.tariff.messages import read
from host_tests.mpy.plain_shelf import Shelf
from host_tests.tariff_rig import agile, csv_file, run, written
from tariff.book import Book

HOUR = 3600
BEGIN = int(time.time()) // HOUR * HOUR + 2 * HOUR  # of prices: they are to come


class Node:
    """Trust and Book of a node, as they meet signed messages."""

    def __init__(self, keys, currency="GBP"):
        public = [bytes.fromhex((keys / name).read_text()) if (keys / name).exists() else b""
                  for name in ("tariff.pub", "recovery.pub")]
        self.trust = Trust(*public, None, Shelf(), lambda: int(time.time()))
        self.book = Book(Shelf(), currency=currency)

    def hears(self, message):
        """The reason against it, OK for none; a table is in the book then."""
        said = memoryview(message.payload)
        reason = self.trust.begin(said, message.reach, message.origin, message.seq, message.lifetime_s)
        if reason == OK:
            while self.trust.step(1 << 20) is None:
                pass
            reason = self.trust.accept()
        if reason == OK and said[0] != KEY:
            since, until, size = (int.from_bytes(said[a:b], "big") for a, b in ((2, 6), (6, 10), (10, 12)))
            assert self.book.add(said, 12, size, since, until, int(time.time())) == ""
        return reason


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """A folder with a key of 32 signatures; files go beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Signer(tmp_path / "keys").create(5)
    return tmp_path / "keys"


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(seconds))


def day_file(tmp_path, values, minutes=30, name="a.json"):
    return written(tmp_path / name, agile(stamp(BEGIN), values, minutes))


def test_a_day_is_believed_and_acted_on(tmp_path, keys):
    path = day_file(tmp_path, [(i - 5) / 8 for i in range(48)])
    done = run("sign", path, "--keys", keys, "--limit", "3000,now,+2h", "--emergency", "2,+1h,+2h")
    assert done.exit_code == 0, done.stderr
    [message] = read(tmp_path / "a.signed")
    assert message.summary in done.stdout and "48 half hours of GBP" in message.summary
    assert "key 1: 1 of 32 signatures used, 31 left; the next key is made at 25" in done.stdout
    assert (message.origin, message.reach) == (1, 7) and 65000 < message.lifetime_s <= 65535
    node = Node(keys)
    assert node.hears(message) == OK and node.hears(message) == OLD
    for i in range(48):
        assert node.book.current(BEGIN + 1800 * i)[1] == (i - 5) * 125  # p/MWh
    now = int(time.time())
    assert node.book.current(now)[1:] == (None, 0, 3000) and node.book.current(now + HOUR + 60)[2:] == (2, 3000)
    assert node.book.current(BEGIN + 86400)[1] is None
    body = message.payload[:20] + b"\0" + message.payload[21:]
    for change in ({"seq": message.seq + 1}, {"lifetime_s": 7}, {"reach": 6}, {"payload": body}):
        assert Node(keys).hears(message._replace(**change)) == SIGNATURE


def test_what_is_longer_than_a_table_is_split_and_newer_ones_win(tmp_path, keys):
    path = day_file(tmp_path, range(300), 15)
    assert run("sign", path, "--keys", keys).exit_code == 0
    first = read(tmp_path / "a.signed")
    assert len(first) == 3 and len({message.seq for message in first}) == 3
    again = day_file(tmp_path, [7] * 8, name="b.json")
    assert run("sign", again, "--keys", keys).exit_code == 0
    for order in (first[::-1] + read(tmp_path / "b.signed"), read(tmp_path / "b.signed") + first):
        node = Node(keys)
        assert [node.hears(message) for message in order] == [OK] * 4
        for i in range(300):
            assert node.book.current(BEGIN + 900 * i)[1] == (7000 if i < 16 else 1000 * i)
    alone = Node(keys)
    assert alone.hears(first[1]) == OK and alone.book.current(BEGIN + 900 * 132)[1] == 132_000


def test_an_alert_and_its_end(tmp_path, keys):
    common = "--keys", keys, "--priority", "0", "--currency", "EUR"
    done = run("sign", *common, "--emergency", "3,now,+30min", "--limit", "0,now,+30min")
    assert done.exit_code == 0, done.stderr
    [alert] = read(Path("alert.signed"))
    done = run("sign", *common, "--emergency", "0,now,+30min", "--limit", "none,now,+30min", "--out", "end.signed")
    assert "emergency 0 from" in done.stdout and "no limit from" in done.stdout
    node = Node(keys, "EUR")
    assert node.hears(alert) == OK and node.book.current(int(time.time()) + 60)[2:] == (3, 0)
    assert alert.lifetime_s <= 1800
    [end] = read(Path("end.signed"))
    assert node.hears(end) == OK and node.book.current(int(time.time()) + 60)[2:] == (0, None)


def test_at_80_percent_the_next_key_is_made_told_and_taken(tmp_path, keys):
    path, node, seen = day_file(tmp_path, [1]), Node(keys), []
    for number in range(40):
        done = run("sign", path, "--keys", keys, "--out", f"{number}.signed")
        assert done.exit_code == 0, done.stderr
        messages = read(Path(f"{number}.signed"))
        seen += [message.payload[0] for message in messages]
        assert [node.hears(message) for message in messages] == [OK] * len(messages)
        if number == 25:
            assert "the next key, epoch 2" in done.stdout and "; the next key is made" in done.stdout
    assert seen.index(KEY) == 25 and len(seen) > 40
    shown = run("keys", "--keys", keys).stdout
    assert shown.startswith("  key 2: ") and " of 32 signatures used" in shown


def test_a_lost_key_is_replaced_by_the_recovery_key(tmp_path, keys):
    Recovery(tmp_path / "recovery").create(keys, 5)
    path, node = day_file(tmp_path, [1]), Node(keys)
    assert run("sign", path, "--keys", keys, "--out", "old.signed").exit_code == 0
    done = run("keys", "--keys", keys, "--replace", "--recovery", tmp_path / "recovery", "--height", "5")
    assert done.exit_code == 0 and "key 3: 0 of 32" in done.stdout, done.stderr
    [message] = read(Path("key.signed"))
    assert message.payload[0] == KEY and message.summary == "the next key, epoch 3"
    assert node.hears(message) == OK
    assert node.hears(read(Path("old.signed"))[0]) == SIGNATURE
    assert run("sign", path, "--keys", keys, "--out", "new.signed").exit_code == 0
    assert node.hears(read(Path("new.signed"))[0]) == OK
    for arguments in (["--recovery", tmp_path / "absent"], []):
        done = run("keys", "--keys", keys, "--replace", "--out", "again", *arguments)
        assert done.exit_code == 1 and len(done.stderr.splitlines()) == 1 and not Path("again").exists()
    assert "key 3:" in run("keys", "--keys", keys).stdout


def test_the_first_key(tmp_path, keys):
    done = run("keys", "--keys", tmp_path / "fresh", "--new", "--recovery", tmp_path / "r", "--height", "5")
    assert done.exit_code == 0, done.stderr
    assert "key 1: 0 of 32 signatures used, 32 left; the next key is made at 25\n" in done.stdout
    assert Node(tmp_path / "fresh").trust and (tmp_path / "fresh/recovery.pub").exists()
    assert done.stderr.strip() == ""
    for arguments, said in (
        (["--keys", "none"], "none: no tariff key in it; gridmote tariff keys --new --keys none makes one"),
        (["--keys", keys, "--new"], "has a tariff key already"),
        (["--keys", keys, "--new", "--replace"], "--new is for a fleet without a key"),
        (["--keys", keys, "--recovery", "r"], "--recovery goes with --new or --replace"),
    ):
        done = run("keys", *arguments)
        assert done.exit_code == 1 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_the_recovery_key_is_not_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    done = run("keys", "--new", "--height", "5")
    assert done.exit_code == 0 and done.stderr.strip().startswith("no recovery key: ")
    assert "gridmote tariff keys --new --recovery FOLDER makes one, before nodes are provisioned" in done.stderr
    before = Path("fleet-keys/tariff/state").read_bytes()
    done = run("keys", "--new")
    assert done.exit_code == 1 and "; with --recovery FOLDER it gets a recovery key, if it has none" in done.stderr
    done = run("keys", "--new", "--recovery", "rec")
    assert done.exit_code == 0 and done.stderr.strip() == "", done.stderr
    assert "recovery key in rec: keep it offline" in done.stdout
    assert "nodes that were provisioned before get the recovery key by gridmote provision, again" in done.stdout
    assert Path("fleet-keys/tariff/state").read_bytes() == before and "key 1: 0 of 32" in done.stdout
    assert Path("fleet-keys/recovery.pub").read_text().strip() == Recovery("rec").public().hex()
    done = run("keys", "--new", "--recovery", "rec2")
    assert done.exit_code == 1 and "has a tariff key already" in done.stderr and not Path("rec2").exists()


def test_when_the_next_key_is_made(keys):
    left = signing.left(Signer(keys))
    assert (left.epoch, left.used, left.size, left.renewal, left.live) == (1, 0, 32, 25, (1,))
    left = left._replace(size=1024, used=100, made_s=0)
    assert left.renewal == 819 and left.renewal_s(86400) == 86400 + 719 * 864
    assert left._replace(used=0).renewal_s(86400) is None and left._replace(used=819).renewal_s(86400) is None
    assert "; the next key is made at 819, about " in signing.told(left)
    assert "the next key is made with the next signature" in signing.told(left._replace(used=820))


def test_nothing_is_signed_in_vain(tmp_path, keys):
    """Whatever is wrong is told before a one-time key is used up."""
    good, used = day_file(tmp_path, range(48)), lambda: signing.left(Signer(keys)).used
    (tmp_path / "there").touch()
    bad = written(tmp_path / "bad.json", agile(stamp(BEGIN), [1, 2, 900]))
    passed = written(tmp_path / "passed.json", agile("2026-05-01T00:00Z", [1, 2]))
    for arguments, said in (
        ([bad], "bad.json: entry 1: 900.00 p/kWh from"), ([passed], "all of its prices have passed"),
        ([day_file(tmp_path, range(300), 15, "l.json"), "--priority", "0", "--valid-until", "+1min", "--valid-from",
          "+2min"], "valid until a time that is not after"),
        ([good, "--valid-from", "+33d"], "nodes refuse what begins more than 32 days ahead"),
        ([good, "--valid-from", "soon"], "time 'soon': expected"), ([good, "--from", "+9d"], "no prices between"),
        ([good, "--out", tmp_path / "there"], "there exists; --force writes over it"),
        ([good, "--out", tmp_path / "no" / "x"], "no such folder"), ([good, "--out", tmp_path], "a folder"),
        ([good, "--limit", "x,now,+2h"], "--limit x,now,+2h: expected such as 3000,now,+2h"),
        ([good, "--limit", "4294967296,now,+2h"], "limit 4294967296 is not 0 to"),
        ([good, "--limit", "5,+2h,now"], "limit is not from a time until a later one"),
        ([good, "--emergency", "4,now,+2h"], "emergency 4 is not 0 to 3"),
        ([good, "--emergency", "4"], "--emergency 4: expected such as 3,now,+2h"),
        ([good, "--currency", "EUR"], "--currency EUR: the prices are in GBP"),
        (["--emergency", "1,now,+2h"], "needs --currency"), (["--currency", "EUR"], "neither a price nor"),
        (["--currency", "eur", "--emergency", "1,now,+2h"], "currency eur is not three capital letters"),
        ([tmp_path / "absent.json"], "No such file"), ([good, "--keys", "absent"], "no tariff key in it"),
    ):
        done = run("sign", "--keys", keys, *arguments)
        assert done.exit_code == 1 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        assert used() == 0 and not (tmp_path / "a.signed").exists()
    for _ in range(2):  # dry runs
        done = run("sign", good, "--dry-run", "--keys", keys, "--from", stamp(BEGIN + HOUR), "--to", "+1d")
        assert done.exit_code == 0 and used() == 0 and "nothing was signed" in done.stdout
    assert run("sign", good, "--keys", keys).exit_code == 0 and used() == 1


def test_sizes_of_a_dry_run_without_keys(tmp_path, monkeypatch):
    """The long day of quarter hours with all that a table can have: 21 + 2 * 99 + 9 + 12 bytes."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    rows = [f"{stamp(BEGIN + 900 * i)},{80 + i},{stamp(BEGIN + 900 * i + 900)}" for i in range(100)]
    path = csv_file(tmp_path / "a.csv", rows, "start,price_EUR_MWh,end")
    done = run("sign", path, "--dry-run", "--keys", tmp_path / "none", "--limit", "5,now,+1h", "--emergency",
               "1,now,+1h")
    assert done.exit_code == 0 and "; 240 bytes, datagram of 1,185 of 1,232" in done.stdout
    assert "1 signature; nothing was signed" in done.stdout and not (tmp_path / "none").exists()


def test_a_signed_message_is_as_long_as_the_dry_run_says(tmp_path, keys):
    path = day_file(tmp_path, range(48))
    told = run("sign", path, "--dry-run", "--keys", keys).stdout
    assert run("sign", path, "--keys", keys).exit_code == 0
    [message] = read(tmp_path / "a.signed")
    assert f"datagram of {25 + len(message.payload) + 8:,} of 1,232" in told


def test_help_teaches():
    for command, words in (
        ("sign", ("--dry-run", "80 %", "--emergency", "3,now,+2h", "--currency", "--valid-from")),
        ("keys", ("--new", "--recovery", "--replace", "refuses to sign", "offline")),
    ):
        shown = " ".join(run(command, "--help", columns=160).stdout.split())
        assert all(word in shown for word in words), shown
