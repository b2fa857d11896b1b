"""Packets lost between node and broker, both ways: no frame is lost, and none is out of its order."""

import time

import pytest

from host_tests.conftest import Port
from host_tests.meter_rig import RATE, Meter, all_heard, configuration, listening
from host_tests.road import road

ONE_WAY_S = 0.01


def run(mpy, folder, loss, seconds):
    with road(folder, ONE_WAY_S, seed=1) as way, listening(way.broker, way.far) as heard:
        path = configuration(folder, way.host, way.port, outbox={"folder": str(folder / "flash")})
        with Meter(mpy, path, way.near) as node:
            heard.wait_live(1)
            way.path.loss = loss
            time.sleep(seconds)
            way.path.loss = 0
            all_heard(node, heard)
    made = len(node.made())
    print(f"{mpy.name}, {loss:.0%}: {made} frames, {way.path.lost} packets lost,"
          f" {len(heard.frames) - made} duplicates, {len(heard.frames) - len(heard.live())} of the backlog")
    assert made >= RATE * seconds and (way.path.lost > 0) is (loss > 0)
    for kind in ("PMU", "PMU-BACKFILL"):
        numbers = [frame.number for frame in heard.first() if frame.kind == kind]
        assert numbers == sorted(numbers), kind


def test_a_tenth_of_the_packets_lost(tmp_path):
    run(Port("micropython32"), tmp_path, 0.1, 3)


@pytest.mark.torture
@pytest.mark.timeout(300)
@pytest.mark.parametrize("loss", [0, 0.1, 0.25, 0.3])
def test_packets_lost_for_a_minute(mpy, tmp_path, loss):
    run(mpy, tmp_path, loss, 60)
