"""The utility's end in this process: its seat, what it says of an answer, and how it insists, with controllers that
are no more than a Stack on a socket."""

import contextlib
import multiprocessing
import random
import socket
import threading
import time

import pytest

from gossip.needs import Needs
from gossip.quantity import (
    ANGLE,
    COUNT,
    EPOCH,
    FREQUENCY,
    HELD,
    LAST,
    MAX,
    MEAN,
    MIN,
    PERIODS,
    SPAN,
    SUM,
    VERSIONS,
    VOLTAGE,
)
from gossip.query import Queries
from gossip.seal import Seal
from gossip.stack import Stack
from gossip.trust import Trust
from gossip.wire import DATA, IED, METER, NOTICE, SSC, TARIFF
from gridmote.fault import Fault
from gridmote.sign.message import order as sealed_order
from gridmote.tariff.messages import Message
from gridmote.utility import end as ends
from gridmote.utility.end import End, address_of
from gridmote.utility.inject import check, inject
from gridmote.utility.question import Answer, ask, coverage, fields, question_of, remark, said
from gridmote.utility.watch import Watch
from host_tests.mpy.plain_shelf import Shelf
from host_tests.udp_mesh import free_ports
from host_tests.utility_rig import KEY, SEGMENT, fleet_at

NOBODY, OTHER = {}, "66" * 32


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))


class Controller:
    """`with Controller(public):` an SSC that believes what that key signs; lost(datagram): whether it
    does not get that one."""

    def __init__(self, public=b"", number=1000, role=SSC, key=KEY):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(0.02)
        self.at = f"127.0.0.1:{self.sock.getsockname()[1]}"
        self.trust = Trust(public, b"", None, Shelf(), lambda: int(time.time()))
        self.delivered = []
        self.stack = Stack(number, role, 1, Seal(bytes.fromhex(key)), self.trust, self._send, random.randrange,
                           self._now(), period_ms=200, probe_ms=200)
        self.stack.relay.on_deliver = lambda item: self.delivered.append((item.buf[0], item.seq))
        self.needs = Needs(self.stack.relay, self.needed, random.randrange)
        self.own = None
        self.lost = lambda datagram: False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def needed(self, day):
        return self.own and self.own.get(day)

    @staticmethod
    def _now():
        return time.monotonic_ns() // 1_000_000 & 0x3FFFFFFF

    def _send(self, address, buf, n, tcp):
        self.sock.sendto(bytes(buf[:n]), (socket.inet_ntoa(address[:4]), int.from_bytes(address[4:6], "big")))

    def _run(self):
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                datagram, (host, port) = self.sock.recvfrom(2048)
                if not self.lost(datagram):
                    address = socket.inet_aton(host) + port.to_bytes(2, "big")
                    self.stack.received(bytearray(datagram), len(datagram), address, self._now())
            while self.stack.verify(1 << 20, self._now()):
                pass
            self.stack.tick(self._now())
            self.needs.tick(self._now(), int(time.time()) // 86400)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(5)
        self.sock.close()


def table(signer, body=b"", since=-60, until=3600):
    now = int(time.time())
    made = signer.sign(TARIFF, 7, signer.origin(), 0, 600, now + since, now + until, body)
    return [Message(one.origin, one.seq, one.reach, one.lifetime_s, one.payload) for one in made]


def quiet(text):
    pass


# -- its seat -----------------------------------------------------------------------------------------------------


def test_addresses():
    assert address_of("127.0.0.1:7113") == bytes([127, 0, 0, 1, 0x1B, 0xC9])
    assert address_of("localhost:1") == bytes([127, 0, 0, 1, 0, 1])
    for text in ("127.0.0.1", "127.0.0.1:", ":7113", ":7113x", "a:0", "a:65536", "7113", "a:-1", "127.0.0.1:٣"):
        with pytest.raises(Fault, match="HOST:PORT is needed"):
            address_of(text)
    for host in ("no-such-host.invalid", "a" * 300, "a..b"):
        with pytest.raises(Fault, match=host[:20]):
            address_of(f"{host}:7113")


def sit(folder, told, leave):
    with ends._seat(folder) as seat:
        told.put(seat)
        leave.wait(20)


def test_two_processes_have_two_numbers(tmp_path):
    there = multiprocessing.get_context("spawn")
    told, leave = there.Queue(), there.Event()
    other = there.Process(target=sit, args=(tmp_path, told, leave))
    other.start()
    assert told.get(timeout=30) == (2, 1)
    with ends._seat(tmp_path) as mine:
        assert mine == (3, 1)
    other.kill()  # as a crash: the seat is free, its count goes on
    other.join()
    with ends._seat(tmp_path) as mine, ends._seat(tmp_path) as second:
        assert (mine, second) == ((2, 2), (3, 2))


def test_all_numbers_in_use(tmp_path):
    with contextlib.ExitStack() as held:
        assert [held.enter_context(ends._seat(tmp_path))[0] for _ in range(14)] == list(range(2, 16))
        with pytest.raises(Fault, match="14 numbers .* in use"), ends._seat(tmp_path):
            pass


def test_a_count_is_never_used_twice(tmp_path, monkeypatch):
    """Whatever fails while it is written: the next run has another one, or there was none."""
    real, used = ends.os.replace, []
    for fails in (False, True, False):
        monkeypatch.setattr(ends.os, "replace", (lambda *_: 1 / 0) if fails else real)
        with contextlib.suppress(ZeroDivisionError), ends._seat(tmp_path) as seat:
            used.append(seat)
    assert used == [(2, 1), (2, 2)]


@pytest.mark.parametrize("text", ["", "x", "-1", "65536", "1e3"])
def test_a_damaged_count(tmp_path, text):
    (tmp_path / "2.boot").write_text(text)
    with pytest.raises(Fault, match=r"2\.boot: damaged.* number"), ends._seat(tmp_path):
        pass
    assert (tmp_path / "2.boot").read_text() == text


def test_a_number_is_used_up(tmp_path):
    """Nodes remember the last sequence number: a count that began again would be taken for old."""
    (tmp_path / "2.boot").write_text("65534\n")
    with ends._seat(tmp_path) as seat:
        assert seat == (2, 65535)
    with ends._seat(tmp_path) as seat:
        assert seat == (3, 1)


def test_a_number_keeps_its_port(tmp_path):
    """Nodes doubt who comes with a number that they know from another address."""
    keys = fleet_at(tmp_path / "keys", ()).folder.parent

    def port():
        return int((keys / "utility/2.port").read_text())

    with Controller() as there:
        for _ in range(2):
            with End(keys, SEGMENT, [there.at]) as end:
                end.join(10)
                mine = port()
                assert end._socket.getsockname()[1] == mine
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("0.0.0.0", mine))  # taken: another one, which is believed after two probes in vain
            with End(keys, SEGMENT, [there.at]) as end:
                assert port() != mine and not end.run(end.controllers, 0.1)
                assert "of another computer" in end.trouble()
                end.join(1)
        (keys / "utility/2.port").write_text("no port")
        with End(keys, SEGMENT, [there.at]):
            assert port()


# -- controllers -----------------------------------------------------------------------------------------------


def test_who_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(ends, "_OTHERS_S", 0.1)
    keys = fleet_at(tmp_path / "keys", ()).folder.parent
    [closed] = free_ports(1)
    cases = [("nobody listens there", f"127.0.0.1:{closed}", None),
             ("no word from there; it is off, or has another key than .*/segments/", None, Controller(key=OTHER)),
             (r"who is there is no controller \(role ssc\)", None, Controller(role=METER))]
    for why, at, there in cases:
        with there or contextlib.nullcontext(), End(keys, SEGMENT, [at or there.at]) as end:
            with pytest.raises(Fault, match=f"no controller of {end.segment} answers at .*: ({why})") as told:
                end.join(1.5)
            assert "\n" not in str(told.value)


def test_keys_of_segments(tmp_path):
    keys = fleet_at(tmp_path / "keys", ()).folder.parent
    path = keys / "segments" / f"{','.join(SEGMENT)}.key"
    with pytest.raises(Fault, match=f"no key of that segment; known are {path.stem}"):
        ends.segment_key(keys, ("a", "b", "c"))
    for text in ("", "zz", KEY[2:]):
        path.write_text(text)
        with pytest.raises(Fault, match="64 hexadecimal digits"):
            ends.segment_key(keys, SEGMENT)
    with pytest.raises(Fault, match="gridmote provision makes them"):
        ends.segment_key(tmp_path / "none", SEGMENT)


def test_a_controller_that_lies(tmp_path):
    """What it says of many nodes, of a frequency that no grid has, or of tomorrow, is cut; of how many, too."""
    fleet_at(tmp_path / "keys", ["meter-7", "meter-8"])
    with Controller() as there, End(tmp_path / "keys", SEGMENT, [there.at]) as end:
        end.join(10)
        assert end.stack.queries.most == 8 and sorted(end.names.values()) == ["meter-7", "meter-8"]
        low, high, newest = end.stack.queries.bounds(LAST, FREQUENCY)
        assert (low, high) == (45000, 65000) and abs(newest - time.time() - 60) < 60
        assert end.stack.queries.bounds(MEAN, FREQUENCY) == (45000, 65000)
        assert end.stack.queries.bounds(SUM, VOLTAGE) == (0, 2_000_000_000)
        assert end.stack.queries.bounds(PERIODS, 0) == (0, 8_000_000_000)
        assert end.stack.queries.bounds(HELD, 65536 + VOLTAGE) == end.stack.queries.bounds(MIN, 77) == ()
        there.stack.queries = Queries(there.stack.relay, lambda function, arg: 10**14, random.randrange)
        found = ask(end, question_of("frequency"), 10, targets=SSC)
        assert (found.value, found.contributors) == ((65000,), 1)


# -- inject ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def two(folder, **second):
    """(Signer, two Controllers, End): the second one with other keys, or whatever is said."""
    signer = fleet_at(folder / "keys", ())
    first, other = Controller(signer.public()), Controller(**{"public": signer.public(), "number": 1001, **second})
    with first, other, End(folder / "keys", SEGMENT, [first.at, other.at]) as end:
        end.join(10)
        yield signer, first, other, end


def test_two_controllers_acknowledge(tmp_path):
    with two(tmp_path) as (signer, first, other, end):
        messages = table(signer) + table(signer)
        for _ in range(2):  # a repetition, by another run: they have it
            found = inject(end, messages, 20, quiet)
            assert [sorted(who) for _, who in found] == [[1000, 1001]] * 2
            end.__exit__()
            end.__enter__()
            end.join(10)
        assert first.delivered == other.delivered == [(TARIFF, one.seq) for one in messages]
        with pytest.raises(Fault, match="comes twice"):
            inject(end, messages[:1] * 2, 20, quiet)


def test_none_acknowledges(tmp_path):
    stranger = fleet_at(tmp_path / "stranger", ())
    with two(tmp_path) as (_, first, other, end):
        with pytest.raises(Fault, match=r"tariff 1: no controller acknowledged it within 1 s; either .* its key"):
            inject(end, table(stranger), 1, quiet)
        assert not first.delivered and not other.delivered


def test_it_goes_on_insisting(tmp_path, monkeypatch):
    """The relay gives up after eight periods; who injects has said for how long."""
    with two(tmp_path) as (signer, first, other, end):
        end.stack.repair._period_ms = 20
        monkeypatch.setattr("gossip.store.Kept.ripe", lambda item, now: item.state == 2)
        deaf = [20]

        def lost(datagram):
            is_data = datagram[1] & 15 == DATA
            deaf[0] -= is_data
            return is_data and deaf[0] > 0

        first.lost = other.lost = lost
        [(_, who)] = inject(end, table(signer), 30, quiet)
        assert sorted(who) == [1000, 1001] and deaf[0] <= 0


def test_one_of_two_acknowledges(tmp_path):
    """The second one has other keys: it is waited for once, not for each message."""
    with two(tmp_path, public=b"") as (signer, first, other, end):
        waited, run = [], end.run
        end.run = lambda done, seconds: waited.append(run(done, seconds))
        messages = table(signer) + table(signer)
        found = inject(end, messages, 1, quiet)
        assert [who for _, who in found] == [[1000], [1000]]
        assert waited == [False, True] and not other.delivered


def test_what_no_node_takes_is_not_sent(tmp_path):
    signer, now = fleet_at(tmp_path / "keys", ()), int(time.time())
    keys = tmp_path / "keys"
    [good] = table(signer, b"some body")
    check([good], keys, now)
    for changed in (good._replace(seq=good.seq + 1), good._replace(lifetime_s=601), good._replace(reach=3),
                    good._replace(payload=good.payload[:-1] + b"\0"), good._replace(payload=good.payload[:-1]),
                    good._replace(payload=good.payload[:12] + b"S" + good.payload[13:])):
        with pytest.raises(Fault, match=r"tariff \d+: its signature is not that of the fleet"):
            check([good, changed], keys, now)
    with pytest.raises(Fault, match="too short"):
        check([good._replace(payload=good.payload[:20])], keys, now)
    check([good._replace(payload=good.payload[:1] + b"\x09" + good.payload[2:])], keys, now)  # a key not known here
    with pytest.raises(Fault, match=r"tariff \d+: ended \d{4}-.* UTC, no node takes it any more"):
        check([good], keys, now + 3600)
    with pytest.raises(Fault, match="nodes take what does within 32 days"):
        check(table(signer, since=33 * 86400, until=34 * 86400), keys, now)
    check([Message(*sealed_order(bytes(32), 7, 2, 1, 600, 99, now, now + 60, b"x")[1:])], keys, now)


# -- what it is told ---------------------------------------------------------------------------------------------


def test_watch(tmp_path):
    """A controller's sum of a day once, and again when it has changed; notices."""
    today = int(time.time()) // 86400
    with Controller() as there:
        there.stack.peers.role = SSC
        keys = fleet_at(tmp_path / "keys", ()).folder.parent
        with End(keys, SEGMENT, [there.at]) as end:
            end.join(10)
            watch = Watch(end, {1000: "ssc0"})
            assert not watch.news()
            for jobs, energies_wh in ((1, (0, 3000, 12345)), (2, (1, 2, 3))):
                there.own = {today: (jobs, *energies_wh)}
                there.needs.changed()
                news = []
                end.run(lambda: watch.step() or news.extend(watch.news()) or news, 20)  # noqa: B023
                [(line, told)] = news
                assert told == {"day": today, "jobs": jobs, "appliances": 1, "wh": list(energies_wh)}
                assert line.startswith(f"today: {'1 job' if jobs == 1 else '2 jobs'} of 1 appliance needs ")
                assert f"{energies_wh[2]:,} Wh 16-24 h" in line
            end.run(watch.step, 1)
            assert not watch.news()
            there.stack.relay.authorised = (1000,)
            end.stack.relay.authorised = (1000,)
            there.stack.relay.start(there._now(), bytes([NOTICE]) + "Tür offen".encode())
            end.run(lambda: watch.step() or news.extend(watch.news()) or len(news) > 1, 20)
    assert news[1:] == [("notice of ssc0: Tür offen", {"notice": "Tür offen", "origin": 1000})]


def answer(name, value, contributors=2):
    return Answer(question_of(name), value, contributors, 1, 3, 1.25)


@pytest.mark.parametrize("name, value, lines", [
    ("voltage", (1_700_000_000, 230_125, 77), ["230.125 V at meter-7, 2023-11-14 22:13:20 UTC"]),
    ("lowest", (207_000, 78), ["207.000 V at node 78"]),
    ("highest", (253_001, 77), ["253.001 V at meter-7"]),
    ("frequency", (99_990,), ["49.995 Hz"]),
    ("count", (1234,), ["1234"]),
    ("needs", (0, 1_234_567, 1), ["00-08 h: 0 Wh", "08-16 h: 1,234,567 Wh", "16-24 h: 1 Wh"]),
    ("versions", (3, ((b"1.2.0\0\0\0", 40), (b"1.1.9\0\0\0", 2))), ["1.2.0: 40", "1.1.9: 2", "others: 3"]),
    ("tariff 7", (0, ()), ["held by 2, lacking at 0"]),
    ("tariff 7", (2, ((77,), (78,))), ["held by 0, lacking at 2", "  lacks it: meter-7", "  lacks it: node 78"]),
    ("count", None, ["nobody could say"]),
    ("voltage", (0, 230_125, 77), ["230.125 V at meter-7, a time that cannot be"]),
    ("epochs", (1, 77), ["the oldest key believed has epoch 1, at meter-7"]),
    ("epochs", (256, 77), ["no key is believed"]),
    ("keys", (2, 77), ["all know a key of epoch 2 or later, meter-7 none later"]),
    ("keys", (0, 78), ["no key at node 78"]),
])
def test_said(name, value, lines):
    found = answer(name, value)
    assert said(found, {77: "meter-7"}) == lines
    assert fields(found, {77: "meter-7"})["said"] == lines


def test_more_that_lack_it_than_are_named():
    found = answer("tariff 65543", (9, ((77,),)), 10)
    assert found.question.arg == 65543
    assert said(found, NOBODY) == ["held by 1, lacking at 9", "  lacks it: node 77", "  and 8 more"]


def test_what_else_may_read_as_lacking():
    """A line for a person, only where somebody lacks it; JSON stays as it is."""
    [line] = remark(answer("tariff 7", (1, ((77,),))))
    assert "replaced" in line and "key has ended" in line
    assert line not in fields(answer("tariff 7", (1, ((77,),))), NOBODY)["said"]
    for name, value in (("tariff 7", (0, ())), ("tariff 7", None), ("epochs", (1, 77)), ("count", (1,))):
        assert not remark(answer(name, value))


def test_coverage():
    found = answer("count", (8,), 8)
    assert coverage(found, 0) == "8 answered, 1 could not say, up to 3 missing, 1.2 s"
    assert coverage(found, 13) == "8 answered of 13 (62 %), 1 could not say, 4 missing, 1.2 s"
    assert coverage(found._replace(missing=0), 10) == "8 answered of 10 (80 %), 1 could not say, 1 missing, 1.2 s"
    assert coverage(found, 9) == "8 answered of 9 (89 %), 1 could not say, 0 missing, 1.2 s"
    assert coverage(found, 9, 2) == "8 answered of 9 (89 %), 1 could not say, 2 missing, 1.2 s", "silent: beside it"
    assert coverage(found, 8).startswith("8 answered of only 8 that were provisioned: a node counts some")
    assert coverage(found._replace(contributors=9), 8).startswith("9 answered of only 8 ")


def test_questions():
    wanted = {"voltage": (LAST, VOLTAGE, METER), "highest": (MAX, VOLTAGE, METER), "span": (SPAN, ANGLE, METER),
              "frequency": (MEAN, FREQUENCY, METER), "count": (COUNT, 0, 7), "needs": (PERIODS, 0, IED),
              "tomorrow": (PERIODS, 1, IED), "versions": (VERSIONS, 0, 7), "tariff 9": (HELD, 9, 7),
              "tariff 1073741823": (HELD, (1 << 30) - 1, 7), "epochs": (MIN, EPOCH, 7), "keys": (MIN, 5, 7)}
    assert {name: question_of(name)[:3] for name in wanted} == wanted
    for text in ("", "volts", "tariff", "tariff 0", "tariff x", "tariff 1073741824", "tariff 1 2", "count 3"):
        with pytest.raises(Fault, match="unknown; there are voltage, .* and tariff N"):
            question_of(text)
