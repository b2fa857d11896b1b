"""The adapter away from the broker (the published experiment): nothing lost, clients live again at once.

The path between adapter and broker is cut by a relay, refused or silently blackholed, while a PMU goes on in
real time. Short in `make test`, a minute at 25 and 50 frames/s in `make torture`, which prints the figures.
"""

import asyncio
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest

from gridmote.archive.store import Archive
from gridmote.pdc.client import PdcClient
from host_tests.pdc_rig import SOC, WAIT_S, Adapter, Pmu, Publisher, wait_until
from host_tests.relay import Relay

TOPIC = "area/secondary-station/1/PMU/7"


class Stream:
    """Publishes a PMU's frames in real time, straight to the broker, until stop(); `sent` is how many."""

    def __init__(self, broker, pmu):
        self._pmu = pmu
        self.sent = 0
        self._publisher = Publisher(broker)
        self._publisher.publish(TOPIC, pmu.cfg2, retain=True)
        self._publisher.flush()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def _run(self):
        began_s = time.monotonic()
        while not self._ended.wait(max(0, began_s + self.sent / self._pmu.rate - time.monotonic())):
            self._publisher.publish(TOPIC, self._pmu.frame(self.sent))
            self.sent += 1

    def stop(self):
        self._ended.set()
        self._thread.join(WAIT_S)
        self._publisher.flush()
        self._publisher.close()


def number_of(frame, rate):
    return (int.from_bytes(frame[6:10], "big") - SOC) * rate + int.from_bytes(frame[11:14], "big") * rate // 1000000


async def take(client, rate, got):
    """Every frame of a PDC client, with the time at which it came."""
    while True:
        raw = await client.raw_frame(3600)
        got.append((number_of(raw, rate), time.monotonic()))


def experiment(broker, tmp_path, rate, away_s, how, *options):
    """-> what the client got before and after the path came back, and how it went."""
    pmu, path = Pmu(rate=rate), tmp_path / "archive.sqlite"
    stream = Stream(broker, pmu)
    before, after = [], []

    async def run(adapter, relay):
        async with PdcClient("127.0.0.1", adapter.wait_for("pmu")["port"], 7, WAIT_S) as client:
            await client.data_on()
            await client.config()
            stream.start()
            task = asyncio.create_task(take(client, rate, before))
            await asyncio.sleep(1)
            if how == "refused":
                relay.refuse()
            else:
                relay.blackhole = True
            await asyncio.sleep(away_s)
            task.cancel()
            task = asyncio.create_task(take(client, rate, after))
            if how == "refused":
                relay.accept()
            else:
                relay.blackhole = False
            back = SimpleNamespace(s=time.monotonic(), number=stream.sent)
            await asyncio.to_thread(adapter.wait_for, "broker_found", 2)
            await asyncio.sleep(2)
            stream.stop()
            await asyncio.to_thread(all_archived, path, stream.sent)
            wanted = stream.sent if "clients" in options else 0
            await asyncio.to_thread(wait_until, lambda: len(before) + len(after) >= wanted and any(
                number == stream.sent - 1 for number, _ in after), "last frame")
            task.cancel()
        return back

    with Relay(broker.port) as relay:
        adapter = Adapter(SimpleNamespace(host="127.0.0.1", port=relay.port), "--topic", TOPIC,
                          "--archive", path, *options)
        try:
            back = asyncio.run(run(adapter, relay))
            summary = adapter.stop()
        finally:
            if adapter.process.poll() is None:
                adapter.kill()
    with closing(Archive(path, readonly=True)) as archive:
        assert [row.frame for row in archive.frames(TOPIC)] == [pmu.frame(i) for i in range(stream.sent)]
        assert archive.gaps(TOPIC) == []
    numbers = [number for number, _ in before + after]
    assert len(numbers) == len(set(numbers))
    return SimpleNamespace(
        sent=stream.sent, before=[number for number, _ in before], after=[number for number, _ in after],
        live_s=next(s for _, s in after) - back.s, live_frames=next(n for n, _ in after) - back.number,
        back=back.number, late=adapter.find("caught_up"), summary=summary,
        busiest=max(sum(s <= t < s + 1 for _, t in after) for _, s in after))


def all_archived(path, count):
    with closing(Archive(path, readonly=True)) as archive:
        wait_until(lambda: archive.counts(TOPIC)["frames"] == count, "%d frames archived" % count)


def told(name, away_s, rate, result):
    print("\n%s, %d s at %d/s: 0 of %d missing; live again after %.0f ms; late %d; busiest second %d frames" % (
        name, away_s, rate, result.sent, 1000 * result.live_s, result.summary["late"], result.busiest))


def only_live(result, rate, away_s):
    """What clients get by default: the stream as it comes, and not what the broker kept."""
    assert result.after == list(range(result.after[0], result.sent))
    assert result.after[0] >= result.back - 3 * rate  # those of the last 2 s count as live
    assert result.summary["late"] >= (away_s - 4) * rate
    assert result.late[0]["late_frames"] == result.summary["late"]


@pytest.mark.parametrize("how", ["refused", "blackholed"])
def test_five_seconds_away(mosquitto, tmp_path, how):
    result = experiment(mosquitto, tmp_path, 50, 5, how)
    told(how, 5, 50, result)
    only_live(result, 50, 5)


@pytest.mark.torture
@pytest.mark.parametrize("rate", [25, 50])
@pytest.mark.parametrize("how", ["refused", "blackholed"])
def test_a_minute_away(mosquitto, tmp_path, how, rate):
    result = experiment(mosquitto, tmp_path, rate, 60, how)
    told(how, 60, rate, result)
    only_live(result, rate, 60)
    assert result.live_s < 1


@pytest.mark.torture
@pytest.mark.parametrize("rate", [25, 50])
def test_a_minute_away_with_the_backlog_for_clients_too(mosquitto, tmp_path, rate):
    result = experiment(mosquitto, tmp_path, rate, 60, "refused", "--backfill", "clients")
    told("to clients", 60, rate, result)
    assert sorted(result.before + result.after) == list(range(result.sent))
    assert result.live_s < 1
    assert result.busiest <= 14 * rate  # ten times the rate, the live ones, those of 2 s that count as live
