"""The C37.118 TCP server of the adapter without MQTT: commands, state, bounds; and its answers in tshark."""

import asyncio
import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c37118.command import DATA_OFF, DATA_ON, SEND_CFG1, SEND_CFG2, SEND_CFG3, SEND_HDR, Command
from c37118.decode import decode
from c37118.frame import CFG1, CFG2, HEADER
from gridmote.pdc import pmu_server
from gridmote.pdc.client import PdcClient
from gridmote.pdc.pmu_server import PmuServer
from host_tests.pdc_rig import WAIT_S, Pmu
from host_tests.property import examples

TOPIC = "area/secondary-station/1/PMU/7"


class Served:
    """A server on a free port with its reports, configured unless pmu is None."""

    def __init__(self, pmu):
        self.events = []
        self.server = PmuServer(TOPIC, lambda event, **fields: self.events.append((event, fields)))
        self.server.bind("127.0.0.1", 0)
        if pmu:
            self.server.set_config(pmu.cfg2, pmu.config)

    async def client(self, idcode=7):
        return await PdcClient("127.0.0.1", self.server.port, idcode, WAIT_S).connect()

    async def until(self, condition):
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.005)

    def of(self, event):
        return [fields for name, fields in self.events if name == event]


@contextlib.asynccontextmanager
async def serving(pmu):
    served = Served(pmu)
    await served.server.serve()
    try:
        yield served
    finally:
        await served.server.close()


def raw(*commands, idcode=7):
    return b"".join(Command(idcode, command).encode() for command in commands)


def test_many_clients_each_with_its_own_state():
    pmu = Pmu()

    async def run():
        async with serving(pmu) as served:
            clients = [await served.client() for _ in range(20)]
            for i in range(20):
                for client in clients[i::4]:
                    await client.command(DATA_ON if i % 3 else DATA_OFF)
                    await client.config()  # answered in order: the command before it is in force
                on = [c.data_on for c in sorted(served.server.clients, key=lambda c: c.name)]
                served.server.send(pmu.frame(i))
                expected = {c.name for c in served.server.clients if c.data_on}
                assert len(expected) == sum(on)
                for client in clients:
                    name = "%s:%d" % client._writer.get_extra_info("sockname")
                    if name in expected:
                        assert await client.raw_frame() == pmu.frame(i)
                    else:
                        assert client._data.empty()
            for client in clients:
                await client.close()
            await served.until(lambda: not served.server.clients)
            assert len(served.of("client_left")) == 20

    asyncio.run(run())


@examples(25)
@given(st.lists(st.integers(1, 200), max_size=12), st.lists(st.binary(max_size=30), min_size=6, max_size=6))
def test_commands_split_and_coalesced_anywhere(cuts, garbage):
    """Six commands in segments of any sizes, with garbage between: each is answered once, in order."""
    pmu = Pmu()
    asked = [SEND_HDR, SEND_CFG1, DATA_ON, SEND_CFG2, SEND_HDR, SEND_CFG2]
    stream = b"".join(junk + raw(command) for junk, command in zip(garbage, asked, strict=True))

    async def run():
        async with serving(pmu) as served:
            client = await served.client()
            at = 0
            for cut in [*cuts, len(stream)]:
                await client.send(stream[at:at + cut])
                await asyncio.sleep(0)
                at += cut
            for kind in (HEADER, CFG1, CFG2, HEADER, CFG2):
                await client.raw_answer(kind)
            served.server.send(pmu.frame(0))
            assert await client.raw_frame() == pmu.frame(0)
            assert all(queue.empty() for queue in client._answers.values())
            await client.close()

    asyncio.run(run())


def test_foreign_unknown_and_broken_frames_are_discarded_in_silence():
    pmu = Pmu()
    broken = bytearray(raw(SEND_CFG2))
    broken[-1] ^= 1
    nothing = [raw(SEND_CFG2, idcode=8), raw(SEND_CFG2, idcode=65535), bytes(broken), raw(SEND_CFG3), raw(8),
               raw(0x0123), raw(0), raw(7), pmu.frame(0), pmu.cfg2]

    async def run():
        async with serving(pmu) as served:
            client = await served.client()
            await client.send(b"".join(nothing))
            assert decode(await answer_to(client, SEND_HDR, HEADER)).idcode == 7
            assert client._answers[CFG2].empty()
            assert served.server.discarded == len(nothing)
            await client.close()

    asyncio.run(run())


async def answer_to(client, command, kind):
    await client.command(command)
    return await client.raw_answer(kind)


def test_commands_wait_for_the_first_configuration():
    pmu = Pmu()

    async def run():
        async with serving(None) as served:
            client = await served.client()
            await client.send(raw(DATA_ON, SEND_CFG2) + raw(SEND_HDR, idcode=9) + raw(SEND_CFG1))
            await served.until(lambda: sum(len(c._early) for c in served.server.clients) == 4)
            assert not served.server.send(pmu.frame(0))  # nothing to describe it yet
            served.server.set_config(pmu.cfg2, pmu.config)
            assert await client.raw_answer(CFG2) == pmu.cfg2
            await client.raw_answer(CFG1)
            assert client._answers[HEADER].empty()
            served.server.send(pmu.frame(1))
            assert await client.raw_frame() == pmu.frame(1)
            assert served.server.discarded == 1
            await client.send(raw(SEND_CFG2) * 40)
            await client.close()

    asyncio.run(run())


def test_waiting_commands_are_bounded_in_number_and_time(monkeypatch):
    pmu = Pmu()

    async def run():
        async with serving(None) as served:
            client = await served.client()
            await client.send(raw(SEND_HDR) * 40)
            await served.until(lambda: served.server.discarded == 24)
            monkeypatch.setattr(pmu_server.time, "monotonic", lambda: 1e12)
            served.server.set_config(pmu.cfg2, pmu.config)
            assert served.server.discarded == 40
            await client.close()

    asyncio.run(run())


def test_frames_of_another_shape_or_idcode_and_repeated_ones_are_kept_back():
    pmu = Pmu()

    async def run():
        async with serving(pmu) as served:
            send = served.server.send
            assert send(pmu.frame(0))
            assert not send(pmu.frame(0))
            assert send(pmu.frame(0, tq=0x10))  # the inserted second before it
            assert not send(Pmu(8).frame(1))
            assert not send(Pmu(7, analogs=1).frame(1))
            assert (served.server.sent, served.server.repeated, served.server.unmatched) == (2, 1, 2)
            wider = Pmu(7, analogs=1)
            served.server.set_config(wider.cfg2, wider.config)
            assert send(wider.frame(1)) and not send(pmu.frame(2))
            assert all(send(wider.frame(i)) for i in range(2, 10_000))
            assert len(served.server._recent) == len(served.server._recent_order) == pmu_server._RECENT

    asyncio.run(run())


def test_a_slow_client_is_dropped_and_the_others_miss_nothing():
    pmu = Pmu(analogs=200)  # 436 bytes a frame: full buffers in few frames
    frames = [pmu.frame(i) for i in range(4000)]

    async def run():
        async with serving(pmu) as served:
            good = [await served.client() for _ in range(3)]
            for client in good:
                await client.data_on()
                await client.config()
            slow = socket.create_connection(("127.0.0.1", served.server.port))
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(raw(DATA_ON))
            await served.until(lambda: sum(c.data_on for c in served.server.clients) == 4)
            for i, frame in enumerate(frames):
                served.server.send(frame)
                if i % 20 == 0:
                    await asyncio.sleep(0)
            for client in good:
                assert [await client.raw_frame() for _ in frames] == frames
            dropped = served.of("client_dropped")
            assert len(dropped) == 1 and "slow" in dropped[0]["reason"]
            assert not served.of("client_left")
            slow.close()
            for client in good:
                await client.close()

    asyncio.run(run())


def test_a_client_that_asks_and_never_reads_is_dropped_too():
    pmu = Pmu(analogs=200)

    async def run():
        async with serving(pmu) as served:
            client = socket.create_connection(("127.0.0.1", served.server.port))
            client.setblocking(False)
            await served.until(lambda: served.server.clients)
            with contextlib.suppress(ConnectionError):
                while not served.of("client_dropped"):
                    with contextlib.suppress(BlockingIOError):
                        client.send(raw(SEND_CFG2) * 50)
                    await asyncio.sleep(0)
            await served.until(lambda: served.of("client_dropped"))
            client.close()

    asyncio.run(run())


def test_five_seconds_of_large_frames_may_wait():
    pmu = Pmu(analogs=1000, rate=50)
    served = Served(pmu)
    assert served.server.waiting_max == 5 * 50 * len(pmu.frame(0))
    small = Pmu()
    served.server.set_config(small.cfg2, small.config)
    assert served.server.waiting_max == 256 * 1024
    served.server._sock.close()


@pytest.mark.parametrize("station", ["Substation A", "Z\xfcrich", "NUL\0NUL"])
def test_tshark_reads_every_answer(check_frames, station):
    pmu = Pmu(station=station, analogs=2)
    frames = []

    async def run():
        async with serving(pmu) as served:
            client = await served.client()
            for command, kind in ((SEND_HDR, HEADER), (SEND_CFG1, CFG1), (SEND_CFG2, CFG2)):
                frames.extend([Command(7, command).encode(), await answer_to(client, command, kind)])
            await client.data_on()
            await client.config()
            served.server.send(pmu.frame(0))
            frames.append(await client.raw_frame())
            await client.close()

    asyncio.run(run())
    verdicts = check_frames(frames)
    kinds = [frame[1] >> 4 for frame in frames]
    assert kinds == [4, 1, 4, 2, 4, 3, 0]
    if station != "Substation A":  # the checker calls such names bad; they pass unchanged
        verdicts = [verdict for verdict, kind in zip(verdicts, kinds, strict=True) if kind not in (2, 3)]
    assert [verdict["ok"] for verdict in verdicts] == [True] * len(verdicts), verdicts
