"""Power cut at every flash operation of a scripted life of the outbox, on littlefs with both boards' geometries."""

import json

import pytest

from host_tests.conftest import Port


def life(name, script, kind, stride, first=0):
    """Every `stride`-th program and erase cut in three ways; what mpy/cut_outbox.py found."""
    done = Port(name)(
        "host_tests/mpy/cut_outbox.py", script, kind, stride, first, heapsize="24M", timeout_s=580
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found = json.loads(done.stdout)
    broken = found.pop("broken")
    print(name, script, kind, found)
    assert not broken, broken
    assert found["failed_mounts"] == 0 and 0 < found["loss"] <= found["loss_most"]
    return found


def check_script(found):
    """The script does what it is written for; else its cuts prove little."""
    lived = found["life"]
    assert lived["thinned"] > 100 and lived["dropped"] > 100 and lived["spilled"] > 2000
    assert found["durable"] > 15 and found["second_cuts"] and found["spoilt"]


@pytest.mark.parametrize(("kind", "stride"), [("rp2", 41), ("esp32", 307)])
def test_some_cuts(mpy, kind, stride):
    found = life(mpy.name, "many", kind, stride, first=stride // 2)
    check_script(found)
    assert found["cuts"] > 60


@pytest.mark.torture
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", ["rp2", "esp32"])
def test_all_cuts(mpy, kind, part):
    """4 parts, together every program and every erase."""
    found = life(mpy.name, "many", kind, 4, part)
    check_script(found)
    assert found["cuts"] >= 3 * ((found["programs"] + found["erases"]) // 4)


@pytest.mark.torture
@pytest.mark.parametrize(("kind", "stride"), [("rp2", 13), ("esp32", 101)])
def test_cuts_in_a_full_file_system(mpy, kind, stride):
    found = life(mpy.name, "wide", kind, stride)
    assert found["life"]["dropped"] > 100 and found["cuts"] > 500
