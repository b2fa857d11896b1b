"""Two nodes, processes on hosts of their own that know no seed: they find each other by multicast, before or after
the network is there."""

import pytest

from host_tests.lean_rig import configuration
from host_tests.lossy_path import LossyPath, missing
from host_tests.test_gossip_tcp import Talker

WHY = missing()


@pytest.mark.skipif(bool(WHY), reason=WHY or "-")
def test_two_without_seeds(mpy, tmp_path):
    gossip = {"segment_key": "11" * 32, "period_s": 1}
    paths = [configuration(tmp_path, name, role="meter", gossip=gossip) for name in ("first", "second")]
    with LossyPath(loss=0.25, seed=1) as path:
        path.blackhole = True
        with path.near.inside():
            one = Talker(mpy, paths[0])
        with path.far.inside():
            two = Talker(mpy, paths[1])
        with one, two:
            one.until(lambda: one.status().get("sent"), "that it looks for others")
            assert not one.status()["peers"]
            path.blackhole = False
            one.until(lambda: len(one.heard("second")) >= 3, "what the second said")
            two.until(lambda: len(two.heard("first")) >= 3, "what the first said")
            assert one.status()["peers"] == two.status()["peers"] == 1
