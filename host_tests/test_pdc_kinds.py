"""What nodes send beside their live frames, through mosquitto and the adapter: backlog, METER, EVENT."""

import asyncio
import json
from contextlib import closing

from gridmote.archive.store import Archive
from gridmote.pdc.client import PdcClient
from host_tests.pdc_rig import WAIT_S, Adapter, Pmu, wait_until

PLACE = "area/secondary-station/1"
TOPIC, BACKFILL, UNTIMED, METER, EVENT, STATUS = (
    f"{PLACE}/{kind}/7" for kind in ("PMU", "PMU-BACKFILL", "PMU-UNTIMED", "METER", "EVENT", "STATUS"))


def untimed(boot, numbers, pmu):
    return boot.to_bytes(4, "big") + b"".join(
        n.to_bytes(6, "big") + (n * 20).to_bytes(4, "big") + pmu.frame(n) for n in numbers)


def run(mosquitto, tmp_path, publisher, *options):
    """A node's life as its messages -> (summary, frames that a PDC got)."""
    pmu, old, path = Pmu(), Pmu(analogs=1), tmp_path / "archive.sqlite"
    old.config.soc -= 100
    adapter = Adapter(mosquitto, "--archive", path, *options)  # no topic: all that nodes send
    got = []

    async def take(client):
        while True:
            got.append(await client.raw_frame(3600))

    async def life():
        async with PdcClient("127.0.0.1", adapter.wait_for("pmu")["port"], 7, WAIT_S) as client:
            await client.data_on()
            await client.config()
            task = asyncio.create_task(take(client))
            send = publisher.publish
            send(TOPIC, pmu.frame(1000))
            for kind, number in ((EVENT, 1), (METER, 2)):
                send(kind, json.dumps({"boot": 4, "seq": number, "soc": None, "ticks": 7}))
            send(EVENT, json.dumps({"boot": 4, "seq": 1, "soc": None, "ticks": 8}))  # other bytes, one identity
            send(EVENT, "{}")
            send(METER, "no JSON")
            send(STATUS, "{}", retain=True)
            send(BACKFILL, old.config.encode())
            send(BACKFILL, old.frame(-400) + old.frame(-399))
            send(UNTIMED, untimed(3, range(5), old))
            send(BACKFILL, pmu.cfg2)
            send(BACKFILL, b"".join(pmu.frame(i) for i in range(900, 920)))
            send(BACKFILL, b"".join(pmu.frame(i) for i in range(915, 925)) + pmu.frame(1000))
            send(UNTIMED, b"\0\0\0\x03junk")
            send(TOPIC, pmu.frame(1001))
            await asyncio.to_thread(publisher.flush)
            with closing(Archive(path, readonly=True)) as archive:
                await asyncio.to_thread(
                    wait_until, lambda: archive.counts(TOPIC)["frames"] == 29, "29 frames archived")
            await asyncio.to_thread(wait_until, lambda: got and pmu.frame(1001) in got, "the live frame")
            await asyncio.sleep(0.5)
            task.cancel()

    publisher.publish(TOPIC, pmu.cfg2, retain=True)
    publisher.flush()
    try:
        asyncio.run(life())
        summary = adapter.stop()
    finally:
        if adapter.process.poll() is None:
            adapter.kill()
    with closing(Archive(path, readonly=True)) as archive:
        expected = [old.frame(-400), old.frame(-399), *map(pmu.frame, [*range(900, 925), 1000, 1001])]
        assert [row.frame for row in archive.frames(TOPIC)] == expected
        assert [frame for _, frame in archive.configs(TOPIC)] == [old.config.encode(), pmu.cfg2]
        assert [row[:3] for row in archive.untimed(TOPIC)] == [(3, n, 20 * n) for n in range(5)]
        assert archive.untimed_config(TOPIC, 3) == old.config.encode()
        assert [(r.boot, r.number) for r in archive.records(EVENT)] == [(4, 1)]
        assert [(r.boot, r.number) for r in archive.records(METER)] == [(4, 2)]
        assert archive.counts(EVENT)["conflicts"] == 1
    counts = {"received": 35, "archived": 29, "untimed": 5, "records": 2, "duplicates": 6, "conflicts": 1,
              "bad": 3, "late": 33, "late_dropped": 0, "late_unasked": 0}
    assert {name: summary[name] for name in counts} == counts
    assert {event["topic"] for event in adapter.find("bad_payload")} == {EVENT, METER, UNTIMED}
    return summary, got


def test_backlog_goes_to_the_archive_only(mosquitto, tmp_path, publisher):
    pmu = Pmu()
    _, got = run(mosquitto, tmp_path, publisher)
    assert got == [pmu.frame(1000), pmu.frame(1001)]


def test_backlog_goes_to_clients_too_if_it_has_their_configuration(mosquitto, tmp_path, publisher):
    pmu = Pmu()
    summary, got = run(mosquitto, tmp_path, publisher, "--backfill", "clients")
    assert sorted(got) == [pmu.frame(i) for i in [*range(900, 925), 1000, 1001]]
    assert (summary["unmatched"], summary["repeated"]) == (2, 6)
