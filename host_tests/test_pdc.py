"""`gridmote pdc` end to end: a real mosquitto, the adapter as a process, real TCP clients."""

import asyncio
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from c37118.frame import CFG1
from gridmote.archive.store import Archive
from gridmote.pdc.client import PdcClient, SyncPdcClient
from host_tests.pdc_rig import WAIT_S, Pmu, wait_until

TOPIC_A, TOPIC_B = "area/secondary-station/1/PMU/7", "area/secondary-station/2/PMU/8"


def connected(port, idcode=7):
    return PdcClient("127.0.0.1", port, idcode, WAIT_S)


def wait_for_frames(path, topic, count):
    """Reads the archive beside the running adapter until it has `count` frames -> its counts."""
    def enough():
        return archive.counts(topic)["frames"] >= count

    wait_until(path.exists, "archive")
    with closing(Archive(path, readonly=True)) as archive:
        wait_until(enough, "%d frames archived" % count)
        return archive.counts(topic)


def test_two_pmus_by_wildcard_each_with_its_port_and_both_configurations(run_adapter, publisher):
    one, two = Pmu(7, "Station A"), Pmu(8, "Station B", rate=10)
    publisher.publish(TOPIC_A, one.cfg2, retain=True)
    publisher.publish(TOPIC_B, two.cfg2, retain=True)
    publisher.flush()
    adapter = run_adapter("--topic", "area/+/+/PMU/#")
    ports = {pmu.idcode: adapter.wait_for("pmu", idcode=pmu.idcode)["port"] for pmu in (one, two)}

    async def look(pmu):
        async with connected(ports[pmu.idcode], pmu.idcode) as client:
            config = await client.config()
            assert config.encode() == pmu.cfg2
            config.kind = CFG1
            assert (await client.config(1)).encode() == config.encode()
            text = await client.header()
            assert config.pmus[0].stn in text and "Gridmote" in text and "IDCODE %d" % pmu.idcode in text

    asyncio.run(look(one))
    asyncio.run(look(two))
    assert ports[7] != ports[8]
    assert {pmu["idcode"] for pmu in adapter.stop()["pmus"]} == {7, 8}


def test_data_goes_unchanged_to_each_client_that_asked(run_adapter, publisher):
    pmu = Pmu()
    adapter = run_adapter("--topic", TOPIC_A)
    publisher.publish(TOPIC_A, pmu.cfg2, retain=True)
    port = adapter.wait_for("pmu")["port"]
    frames = [pmu.frame(i) for i in range(500)]

    async def run():
        async with connected(port) as one, connected(port) as two, connected(port) as quiet:
            for client in (one, two):
                await client.data_on()
                await client.config()  # answered after data on: it is in force
            await quiet.config()
            for i in range(0, 500, 5):
                publisher.publish(TOPIC_A, b"".join(frames[i:i + 5]) if i % 2 else frames[i])
                if not i % 2:
                    for frame in frames[i + 1:i + 5]:
                        publisher.publish(TOPIC_A, frame)
            for client in (one, two):
                assert [await client.raw_frame() for _ in frames] == frames
            await one.data_off()
            await one.config()
            publisher.publish(TOPIC_A, pmu.frame(500))
            assert await two.raw_frame() == pmu.frame(500)
            for client in (one, quiet):
                with pytest.raises(TimeoutError):
                    await client.raw_frame(0.2)

    asyncio.run(run())
    summary = adapter.stop()
    assert summary["received"] == 501
    assert sorted(client["frames"] for client in summary["served"]) == [0, 500, 501]


def test_sync_client(run_adapter, publisher):
    pmu = Pmu()
    publisher.publish(TOPIC_A, pmu.cfg2, retain=True)
    publisher.flush()
    adapter = run_adapter("--topic", "#")
    client = SyncPdcClient("127.0.0.1", adapter.wait_for("pmu")["port"], 7, WAIT_S)
    client.data_on()
    assert client.config().encode() == pmu.cfg2
    publisher.publish(TOPIC_A, pmu.frame(0))
    assert client.raw_frame() == pmu.frame(0)
    client.data_off()
    client.close()
    adapter.wait_for("client_left", frames=1)


def test_bad_payloads_are_told_counted_and_harm_nobody(run_adapter, publisher, tmp_path):
    pmu = Pmu()
    path = tmp_path / "archive.sqlite"
    adapter = run_adapter("--topic", "area/#", "--archive", path)
    adapter.wait_for("broker_found")
    publisher.publish(TOPIC_A, pmu.cfg2, retain=True)
    good = pmu.frame(0)
    bad = [b"{}", good[:-1], good + b"\xaa", good[:-1] + bytes([good[-1] ^ 1]), good + good[:20],
           b"\xaa" * 70000]
    for payload in bad:
        publisher.publish(TOPIC_A, payload)
    publisher.publish("area/x/STATUS/y", b'{"state":"online"}')
    publisher.publish(TOPIC_A, b"")
    publisher.publish(TOPIC_A, good)
    wait_for_frames(path, TOPIC_A, 1)
    summary = adapter.stop()
    assert summary["bad"] == len(bad) + 1
    assert (summary["received"], summary["archived"]) == (1, 1)
    assert adapter.find("bad_payload", topic=TOPIC_A)
    assert [pmu["topic"] for pmu in summary["pmus"]] == [TOPIC_A]


def test_duplicates_and_conflicts(run_adapter, publisher, tmp_path):
    pmu = Pmu()
    path = tmp_path / "archive.sqlite"
    adapter = run_adapter("--topic", TOPIC_A, "--archive", path)
    adapter.wait_for("broker_found")
    publisher.publish(TOPIC_A, pmu.cfg2, retain=True)
    for frame in (pmu.frame(0), pmu.frame(0), pmu.frame(0, freq=5), pmu.frame(0, tq=0x20),
                  pmu.frame(1)):
        publisher.publish(TOPIC_A, frame)
    wait_for_frames(path, TOPIC_A, 3)
    summary = adapter.stop()
    expected = {"received": 5, "archived": 3, "duplicates": 1, "conflicts": 1, "repeated": 2}
    assert {name: summary[name] for name in expected} == expected


def test_the_broker_restarts_under_it(run_adapter, mosquitto, publisher, tmp_path):
    pmu = Pmu()
    path = tmp_path / "archive.sqlite"
    adapter = run_adapter("--topic", TOPIC_A, "--archive", path)
    adapter.wait_for("broker_found")
    publisher.publish(TOPIC_A, pmu.cfg2, retain=True)
    port = adapter.wait_for("pmu")["port"]

    async def run():
        async with connected(port) as client:
            await client.data_on()
            await client.config()
            for i in range(100):
                publisher.publish(TOPIC_A, pmu.frame(i))
            assert [await client.raw_frame() for _ in range(100)] == [pmu.frame(i) for i in range(100)]
            await asyncio.to_thread(wait_for_frames, path, TOPIC_A, 100)
            await asyncio.to_thread(mosquitto.stop)
            await asyncio.to_thread(adapter.wait_for, "broker_lost")
            await client.config()  # the client stays, and is answered
            await asyncio.to_thread(mosquitto.start)
            await asyncio.to_thread(adapter.wait_for, "broker_found", 2)
            for i in range(100, 200):
                publisher.publish(TOPIC_A, pmu.frame(i))
            assert [await client.raw_frame() for _ in range(100)] == [
                pmu.frame(i) for i in range(100, 200)]

    asyncio.run(run())
    assert wait_for_frames(path, TOPIC_A, 200)["frames"] == 200
    assert adapter.stop()["archived"] == 200


def test_killed_while_publishing_goes_on(run_adapter, publisher, tmp_path):
    """kill -9 and a restart with the same client id, five times: the archive is complete, each frame once."""
    pmu = Pmu()
    path = tmp_path / "archive.sqlite"
    total = 4000
    options = ("--topic", TOPIC_A, "--archive", path, "--client-id", "the-one")
    adapter = run_adapter(*options)
    adapter.wait_for("broker_found")
    publisher.publish(TOPIC_A, pmu.cfg2, retain=True)

    def publish():
        for i in range(total):
            publisher.publish(TOPIC_A, pmu.frame(i))
            time.sleep(0.0005)

    thread = threading.Thread(target=publish)
    thread.start()
    for kill in range(5):
        wait_for_frames(path, TOPIC_A, kill * total // 6 + 50)
        adapter.kill()
        adapter = run_adapter(*options)
        adapter.wait_for("broker_found", session_present=True)
    thread.join()
    publisher.flush()
    assert wait_for_frames(path, TOPIC_A, total)["frames"] == total
    adapter.stop()
    archive = Archive(path, readonly=True)
    assert [row.frame for row in archive.frames(TOPIC_A)] == [pmu.frame(i) for i in range(total)]
    assert archive.counts(TOPIC_A)["conflicts"] == 0
    assert archive.gaps(TOPIC_A) == []
    archive.close()


def test_a_locked_archive_stops_neither_serving_nor_loses_a_frame(run_adapter, publisher, tmp_path):
    pmu = Pmu()
    path = tmp_path / "archive.sqlite"
    total = 1500
    frames = [pmu.frame(i) for i in range(total)]  # more than a broker sends unacknowledged unless asked
    adapter = run_adapter("--topic", TOPIC_A, "--archive", path)
    adapter.wait_for("broker_found")
    publisher.publish(TOPIC_A, pmu.cfg2, retain=True)
    port = adapter.wait_for("pmu")["port"]
    publisher.publish(TOPIC_A, pmu.frame(0))
    wait_for_frames(path, TOPIC_A, 1)
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")

    async def run():
        async with connected(port) as client:
            await client.data_on()
            await client.config()
            for frame in frames[1:]:
                publisher.publish(TOPIC_A, frame)
            assert [await client.raw_frame() for _ in frames[1:]] == frames[1:]

    asyncio.run(run())
    adapter.wait_for("archive_trouble")
    adapter.kill()  # what is not stored was not acknowledged: the next run gets it
    adapter = run_adapter("--topic", TOPIC_A, "--archive", path)
    adapter.wait_for("archive_trouble")
    lock.execute("ROLLBACK")
    lock.close()
    adapter.wait_for("archive_recovered")
    assert wait_for_frames(path, TOPIC_A, total)["frames"] == total
    adapter.stop()


def test_what_a_broker_or_a_user_does_wrong_is_one_line(run_adapter, tmp_path):
    for options in (["--port", "70000"], ["--port", "a/+=4712"], ["--broker", "http://x"],
                    ["--broker", "mqtt://u:secret@x"], ["--archive", str(tmp_path)],
                    ["--topic", "a/#/b"], ["--topic", ""], ["--broker", "127.0.0.1:0"]):
        adapter = run_adapter(*options)
        assert adapter.process.wait(WAIT_S) == 1, options


def test_a_port_of_its_own_for_a_topic(run_adapter, publisher):
    pmu = Pmu()
    publisher.publish(TOPIC_A, pmu.cfg2, retain=True)
    adapter = run_adapter("--port", TOPIC_A + "=0")
    assert adapter.wait_for("pmu", topic=TOPIC_A)["idcode"] == 7
    taken = adapter.wait_for("pmu")["port"]
    clash = run_adapter("--port", "%s=%d" % (TOPIC_A, taken), "--client-id", "another")
    assert clash.process.wait(WAIT_S) == 1
