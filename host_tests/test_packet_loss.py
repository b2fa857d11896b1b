"""Packets lost between node and broker, both ways: no frame is lost, and none is out of its order."""

import time

import pytest

from host_tests.meter_rig import RATE, Meter, configuration, listening
from host_tests.road import road

ONE_WAY_S = 0.01


def run(mpy, folder, loss, seconds):
    with road(folder, ONE_WAY_S, seed=1) as way, listening(way.broker, way.far) as heard:
        with Meter(mpy, configuration(folder, way.host, way.port), way.near) as node:
            heard.wait_live(1)
            way.path.loss = loss
            time.sleep(seconds)
            way.path.loss = 0
            node.stop()
        made = heard.wait_status(state="stopped")["frames"]
        numbers = heard.wait_all(made)
    print(mpy.name, loss, made, "frames,", way.path.lost, "packets lost,", len(heard.frames) - made, "duplicates")
    assert len(numbers) == made >= RATE * seconds - RATE and not heard.missing()
    for kind in ("PMU", "PMU-BACKFILL"):
        numbers = heard.numbers(kind)
        assert numbers == sorted(numbers), kind
    assert (way.path.lost > 0) is (loss > 0)


def test_a_tenth_of_the_packets_lost(mpy, tmp_path):
    run(mpy, tmp_path, 0.1, 4)


@pytest.mark.torture
@pytest.mark.timeout(300)
@pytest.mark.parametrize("loss", [0, 0.1, 0.25, 0.3])
def test_packets_lost_for_a_minute(mpy, tmp_path, loss):
    run(mpy, tmp_path, loss, 60)
