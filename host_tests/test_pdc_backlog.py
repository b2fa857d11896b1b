"""Late frames in the adapter: which they are, their pace, their layout; what messages mean; dialling."""

import asyncio
import json
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmote.archive.store import BACKFILL, LIVE, RECORD, UNTIMED
from gridmote.pdc import dial as pdc_dial
from gridmote.pdc.backlog import Backlog
from gridmote.pdc.dial import Pause, dial
from gridmote.pdc.intake import DEFAULT_FILTERS, entry_of, filters_for
from gridmote.pdc.pmu_server import PmuServer
from gridmote.pdc.subscriber import Message
from host_tests.pdc_rig import WAIT_S, Pmu
from host_tests.property import examples

PLACE, ID = "area/secondary-station/1", "7"
TOPIC = f"{PLACE}/PMU/{ID}"


class Client:
    """Stands for a PDC in a PmuServer: what it got, and when by the loop's clock."""

    def __init__(self, data_on=True):
        self.data_on = data_on
        self.got = []

    def send_data(self, frame):
        self.got.append((asyncio.get_running_loop().time(), frame))

    def answer_early(self):
        pass


class Loop(asyncio.SelectorEventLoop):
    """Time passes at once when nothing is to be done."""

    now_s = 0.0

    def time(self):
        return self.now_s

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.now_s = max(self.now_s, self._scheduled[0].when())
        super()._run_once()


def simulated(coroutine):
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(coroutine)


def serving(pmu, *clients):
    server = PmuServer(TOPIC, lambda *_, **__: None)
    server.set_config(pmu.cfg2, pmu.config)
    server.clients.update(clients)
    return server


@pytest.mark.parametrize("rate", [1, 25, 50])
def test_no_more_than_ten_times_the_live_rate_goes_to_clients_and_live_ones_do_not_wait(rate):
    pmu, client = Pmu(rate=rate), Client()
    frames = [pmu.frame(i) for i in range(rate * 60)]

    async def run():
        server = serving(pmu, client)
        backlog = Backlog(server, True)
        for i, frame in enumerate(frames):
            backlog.add(frame, server.cfg2)
            if not i % 7:
                await asyncio.sleep(0)
        began_s = asyncio.get_running_loop().time()
        server.send(pmu.frame(100_000))
        assert client.got[-1] == (began_s, pmu.frame(100_000))
        await asyncio.sleep(7)
        backlog.close()

    simulated(run())
    late = [(t, frame) for t, frame in client.got if frame != pmu.frame(100_000)]
    assert [frame for _, frame in late] == frames
    for t, _ in late:
        assert sum(t <= other < t + 1 for other, _ in late) <= 10 * rate + 10
    assert late[-1][0] < 7


def test_late_frames_of_another_configuration_stay_away_from_clients():
    pmu, wide, client = Pmu(), Pmu(analogs=1), Client()
    scaled = Pmu()
    scaled.config.pmus[0].phasors = [("VA", 0, 2000), ("VB", 0, 2000)]
    later = Pmu()
    later.config.soc += 5

    async def run():
        server = serving(pmu, client)
        backlog = Backlog(server, True)
        for frame, config in ((wide.frame(0), wide.cfg2), (pmu.frame(1), scaled.config.encode()),
                              (pmu.frame(2), later.config.encode()), (pmu.frame(3), None)):
            backlog.add(frame, config)
        await asyncio.sleep(1)
        assert [frame for _, frame in client.got] == [pmu.frame(2)]
        assert (backlog.late, server.unmatched) == (4, 3)

    simulated(run())


def test_what_the_broker_kept_is_late_but_for_the_last_two_seconds():
    pmu = Pmu(rate=50)

    async def run(to_clients):
        client = Client()
        server = serving(pmu, client)
        backlog = Backlog(server, to_clients)
        for i in range(3000):
            backlog.hold(pmu.frame(i))
        assert not to_clients or client.got
        before = len(client.got)
        backlog.release()
        assert [frame for _, frame in client.got[before:]] == [pmu.frame(i) for i in range(2899, 3000)]
        assert backlog.late == 2899
        await asyncio.sleep(7)
        assert sorted(frame for _, frame in client.got) == sorted(
            pmu.frame(i) for i in range(0 if to_clients else 2899, 3000))

    simulated(run(False))
    simulated(run(True))


def test_a_short_interruption_costs_a_client_nothing_and_without_clients_nothing_waits():
    pmu = Pmu(rate=50)

    async def run():
        client, off = Client(), Client(data_on=False)
        server = serving(pmu, client, off)
        backlog = Backlog(server, False)
        for i in range(80):
            backlog.hold(pmu.frame(i))
        backlog.release()
        assert len(client.got) == 80 and not off.got and not backlog.late
        client.data_on = False
        nobody = Backlog(server, True)
        nobody.add(pmu.frame(99), server.cfg2)
        assert not nobody._waiting and (nobody.late, nobody.unasked) == (1, 1)

    simulated(run())


# Messages.

def message(kind, payload, retained=False):
    return Message(f"{PLACE}/{kind}/{ID}", payload, 5, None, retained, False)


def test_each_kind_of_message():
    pmu = Pmu()
    pair = pmu.frame(0) + pmu.frame(1)
    assert entry_of(message("PMU", pair, True)) == (TOPIC, 5, [pmu.frame(0), pmu.frame(1)], LIVE, True)
    assert entry_of(message("PMU-BACKFILL", pair)) == (TOPIC, 5, [pmu.frame(0), pmu.frame(1)], BACKFILL, False)
    payload = bytes.fromhex("00000005" "0000000000000102" "00000014")[:4]
    payload += bytes.fromhex("000000000102" "00000014") + pmu.frame(0)
    payload += bytes.fromhex("ffffffffffff" "00000028") + pmu.frame(1)
    assert entry_of(message("PMU-UNTIMED", payload)) == (
        TOPIC, 5, (5, [(0x102, 20, pmu.frame(0)), (0xFFFFFFFFFFFF, 40, pmu.frame(1))]), UNTIMED, False)
    text = b'{"seq": 4503599627370495, "boot": 4294967295, "event": "start"}'
    for kind in ("METER", "EVENT"):
        assert entry_of(message(kind, text)) == (
            f"{PLACE}/{kind}/{ID}", 5, (4294967295, 4503599627370495, text), RECORD, False)
    for kind, nothing in (("STATUS", b"{}"), ("CMD", b"x"), ("PMU", b"")):
        assert entry_of(message(kind, nothing)) is None
    other = Message("plant/x", pair, 5, None, False, False)
    assert entry_of(other).topic == "plant/x" and entry_of(other).kind == LIVE


@pytest.mark.parametrize("text", [
    b"", b"{", b"\xff", b"[]", b"7", b"{}", b'{"boot": 1}', b'{"seq": 1}', b'{"boot": "1", "seq": 1}',
    b'{"boot": true, "seq": 1}', b'{"boot": -1, "seq": 1}', b'{"boot": 4294967296, "seq": 1}',
    b'{"boot": 1, "seq": 1.0}', b'{"boot": 1, "seq": 1e400}', b"[" * 100_000, b'{"boot":' + b"9" * 5000 + b"}"])
def test_a_record_without_identity_is_bad(text):
    if not text:
        assert entry_of(message("EVENT", text)) is None
        return
    with pytest.raises(ValueError):
        entry_of(message("EVENT", text))


@examples(200)
@given(st.sampled_from(["PMU", "PMU-BACKFILL", "PMU-UNTIMED", "METER", "EVENT"]), st.one_of(
    st.binary(max_size=60),
    st.builds(lambda i, tail: Pmu().frame(i) + tail, st.integers(0, 9), st.binary(max_size=40)),
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(
        st.sampled_from(["boot", "seq", "x"]), inner), max_leaves=5).map(lambda what: json.dumps(what).encode())))
def test_any_bytes_are_taken_or_bad(kind, payload):
    try:
        entry = entry_of(message(kind, payload))
    except ValueError:
        return
    assert entry is None or entry.topic.split("/")[3] in ("PMU", kind)


def test_filters():
    assert DEFAULT_FILTERS == ["+/+/+/PMU/+", "+/+/+/PMU-BACKFILL/+", "+/+/+/PMU-UNTIMED/+", "+/+/+/METER/+",
                               "+/+/+/EVENT/+"]
    assert filters_for(["a/+/b/PMU/#", "plant/x"])[:2] == ["a/+/b/PMU/#", "a/+/b/PMU-BACKFILL/#"]
    assert filters_for(["plant/x", "#", "a/b/c/PDC/7"]) == ["plant/x", "#", "a/b/c/PDC/7"]
    assert filters_for([TOPIC, TOPIC]) == [f"{PLACE}/{kind}/7" for kind in (
        "PMU", "PMU-BACKFILL", "PMU-UNTIMED", "METER", "EVENT")]


# Dialling.

def test_dial():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        dial("127.0.0.1", port, 5, lambda: True).close()
        dial("localhost", port, 5, lambda: True).close()  # perhaps ::1 first, where nobody listens
    with pytest.raises(ConnectionRefusedError):
        dial("127.0.0.1", port, 5, lambda: True)
    with pytest.raises(OSError, match="ended"):
        dial("127.0.0.1", port, 5, lambda: False)


def test_a_hanging_syn_is_overtaken(monkeypatch):
    """A listener whose queue is full drops SYNs; the kernel's own next try would take a second, then two."""
    monkeypatch.setattr(pdc_dial, "_TRY_S", 0.05)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        filling = [socket.socket() for _ in range(4)]
        for sock in filling:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        ended = threading.Event()
        with pytest.raises(TimeoutError):
            dial("127.0.0.1", port, 0.3, lambda: True)
        tried, begin = [], pdc_dial._begin
        monkeypatch.setattr(pdc_dial, "_begin", lambda *args: tried.append(1) or begin(*args))
        result = []
        thread = threading.Thread(target=lambda: result.append(dial("127.0.0.1", port, WAIT_S, ended.is_set)))
        ended.set()
        thread.start()
        until = time.monotonic() + WAIT_S
        while len(tried) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        accepted = []
        server.settimeout(0.2)
        while not result and time.monotonic() < until:
            try:
                accepted.append(server.accept()[0])
            except TimeoutError:
                continue
        thread.join(WAIT_S)
        for sock in [*filling, *accepted, *result]:
            sock.close()
    assert len(result) == 1 and len(tried) >= 3


def test_pause(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(pdc_dial.time, "monotonic", lambda: now[0])
    pause = Pause()
    assert pause.patience_s() == 5  # nobody knows this broker yet
    pause.connected(0.01)
    assert pause.patience_s() == 0.5
    pause.connected(0.3)
    assert pause.patience_s() == pytest.approx(1.2)
    for outage_s, low, high in ((0, 0.2, 0.4), (599, 0.2, 0.4), (1200, 1.2, 1.4), (1e6, 30, 30.2)):
        now[0] = 2000 + outage_s
        assert low <= pause.network_failed() <= high
    assert pause.patience_s() == 5
    delays = [pause.broker_failed(0.1) for _ in range(9)]
    for delay, expected in zip(delays, (0.5, 1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert 0.75 * expected <= delay <= 1.25 * expected
    assert pause.broker_failed(60) == 0 and pause.broker_failed(0.1) < 1
