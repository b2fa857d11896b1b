"""An hour and a day of outage at 50 frames/s in simulated time, with 848 KiB of flash under littlefs."""

import json

import pytest

from host_tests.conftest import Port

RATE = 50
HALF_S = 848 * 1024 / 2 / 64 / RATE  # half of the flash in seconds at full rate, 64 bytes a frame of 52


def outage(name, kind, seconds):
    """What mpy/life_outage.py found; everything that holds of any outage is checked."""
    done = Port(name)("host_tests/mpy/life_outage.py", kind, seconds, heapsize="16M", timeout_s=580)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found = json.loads(done.stdout)
    print(name, kind, found)
    assert found["made"] == seconds * RATE == sum(found[key] for key in ("kept", "thinned", "dropped", "ram"))
    assert found["ram"] <= found["loss_most"]
    assert found["found"] == found["recovered"] == found["kept"] and found["in_order"]
    assert found["durable_found"] == found["durable"]
    assert not found["corrupt"] and not found["violations"]
    # no slowdown as the log grows: reads, programs and erases of a block, by tenths of the outage
    first, last = found["costs"][0], found["costs"][-1]
    for i in (1, 2):
        assert last[i] <= 1.1 * first[i]
    assert max(cost[0] for cost in found["costs"]) < 1500
    assert found["files"] < 40
    own = 256 * found["durable"]  # of the script, which remembers them
    assert found["recovery_heap"] < 512 * 52 + 24 * 1024 + own  # the ring, and not what the log holds
    return found


def check_events(found):
    """The events tell of every frame that was left out, stage after stage without a break."""
    stages = [event for event in found["told"] if event["event"] == "thinned"]
    ended = [event for event in stages if event["to"] is not None]
    assert [event["every"] for event in stages] == sorted(event["every"] for event in stages)
    assert all(a["to"] == b["from"] or a["to"] + 1 == b["from"] for a, b in zip(ended, ended[1:], strict=False))
    assert sum(event["thinned"] for event in ended) <= found["thinned"]
    return ended


@pytest.mark.parametrize(("name", "kind"), [("micropython", "rp2"), ("micropython32", "esp32")])
def test_an_hour(name, kind):
    found = outage(name, kind, 3600)
    check_events(found)
    assert found["dropped"] == 0 and found["percent"] < 100
    assert found["full_rate_s"] > 0.85 * HALF_S
    assert found["around"][0] >= 10 * RATE + 384  # 10 s behind a trigger; before it as far as the ring reaches


@pytest.mark.torture
@pytest.mark.parametrize("kind", ["rp2", "esp32"])
def test_a_day(mpy, kind):
    found = outage(mpy.name, kind, 24 * 3600)
    assert len(check_events(found)) >= 3
    assert found["dropped"] == 0 and found["full_rate_s"] > 0.85 * HALF_S
