"""The broker is out of reach: refused, or silently swallowed. Nothing is lost, and live frames come first."""

import time
from collections import namedtuple

import pytest

from host_tests.conftest import Port
from host_tests.meter_rig import RATE, Meter, all_heard, configuration, latencies_ms, listening, p99
from host_tests.mqtt_rig import wait_for
from host_tests.road import road

ONE_WAY_S = 0.002
LIVE_AGAIN_S = 1.0
BACKLOG_GONE_S = 10.0
TIMES = 10  # outbox.backlog_times, the default

Outage = namedtuple("Outage", "quiet_ms back_s live_s gone_s after")
Outage.__doc__ = """quiet_ms: latencies of live frames before it. back_s: when the path was good again; after that,
live_s and gone_s: s until a frame measured since was there, and until none was missing. after: the frames that
came, each once."""


def outage(mpy, folder, how, quiet_s, outage_s, **broker):
    """A node whose broker is out of reach for outage_s -> Outage; no frame is lost."""
    with road(folder, ONE_WAY_S) as way, listening(way.broker, way.far) as heard:
        outbox = {"folder": str(folder / "flash"), "backlog_times": TIMES}
        path = configuration(folder, way.host, way.port, outbox=outbox, broker=broker)
        with Meter(mpy, path, way.near) as node:
            heard.wait_live(RATE)
            first = len(heard.live())
            heard.wait_live(quiet_s * RATE)
            quiet_ms = latencies_ms(heard.live()[first:])
            if how == "refused":
                way.path.refuse()
            else:
                way.path.blackhole = True
            time.sleep(outage_s)
            before = len(heard.first())
            if how == "refused":
                way.path.accept()
            else:
                way.path.blackhole = False
            back_s = time.time()
            wait_for(lambda: fresh(heard.frames, back_s), "a frame measured since the path's return")
            all_heard(node, heard)
    after = heard.first()[before:]
    live_s = fresh(after, back_s)[0].arrived_s
    gone_s = [frame for frame in after if frame.number < back_s * RATE][-1].arrived_s
    return Outage(quiet_ms, back_s, live_s - back_s, gone_s - back_s, after)


def fresh(frames, back_s):
    """The live frames of instants after back_s (UTC)."""
    return [frame for frame in frames if frame.kind == "PMU" and frame.number > back_s * RATE]


@pytest.mark.parametrize("how, outage_s", [("refused", 3), ("blackholed", 4)])
def test_a_short_outage(tmp_path, how, outage_s):
    """Told by the order in which the frames came: when they came is the machine's."""
    seen = outage(Port("micropython32"), tmp_path, how, 0.2, outage_s, keepalive_s=2)
    backlog = [k for k, frame in enumerate(seen.after) if frame.kind == "PMU-BACKFILL"]
    live = [k for k, frame in enumerate(seen.after) if frame.kind == "PMU"]
    assert len(backlog) >= RATE
    assert live[0] < backlog[len(backlog) // 4], "live first"
    numbers = [seen.after[k].number for k in backlog]
    assert numbers == sorted(numbers), "oldest first"
    between = [k for k in live if backlog[0] < k < backlog[-1]]
    assert len(between) >= len(backlog) / TIMES / 2, "live frames keep their place in the backlog"


@pytest.mark.torture
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["refused", "blackholed"])
def test_an_outage_of_a_minute(mpy, tmp_path, how):
    """Nothing is lost in any of three trials; a machine that has other work may spoil the times of two."""
    for trial in range(3):
        folder = tmp_path / str(trial)
        folder.mkdir()
        seen = outage(mpy, folder, how, 20, 60)
        since_s, until_s = seen.back_s + seen.live_s, seen.back_s + seen.gone_s
        draining = [frame for frame in fresh(seen.after, since_s) if frame.arrived_s <= until_s]
        quiet_ms, draining_ms = p99(seen.quiet_ms), p99(latencies_ms(draining))
        print(f"{mpy.name} {how}: live again after {seen.live_s:.2f} s, backlog gone after {seen.gone_s:.1f} s,"
              f" p99 of live frames {draining_ms:.1f} ms, undisturbed {quiet_ms:.1f} ms")
        in_time = seen.live_s <= LIVE_AGAIN_S and seen.gone_s <= BACKLOG_GONE_S
        if in_time and draining_ms <= 2 * quiet_ms + 5:
            return
    raise AssertionError("live frames late, or the backlog slow, three times")
