"""A node without battery clock through power cuts in an outage: every frame gets to the archive, each once.

Its time comes with the network (`clock: network`); before, its stamps count from 2021-01-01, anew at every boot.
"""

import time

from gridmote.archive.store import Archive
from gridmote.frame.raw import identity
from host_tests.meter_rig import RATE, Meter, configuration, number_of
from host_tests.mqtt_rig import wait_for
from host_tests.pdc_rig import Adapter
from host_tests.relay import Relay

TOPIC = "test/secondary-station/1156/PMU/765"
MODIFIED = 1 << 9  # STAT: data modified by post-processing
KERNEL_TICK_S = 0.1  # how far our clock and the node's stamps may be apart


def stamp_us(frame):
    _, soc, _, fracsec = identity(frame)
    return soc * 1_000_000 + fracsec


def test_two_boots_without_a_clock(mpy, mosquitto, tmp_path):
    adapter = Adapter(mosquitto, "--archive", tmp_path / "archive.sqlite")
    adapter.wait_for("broker_found")
    try:
        with Relay(mosquitto.port) as relay:

            def life(**sections):
                outbox = {"folder": str(tmp_path / "flash"), "slots": 128, "high_water": 24, "again_s": 1}
                return Meter(mpy, configuration(tmp_path, "127.0.0.1", relay.port, outbox=outbox, **sections))

            with life() as node:
                wait_for(lambda: node.made(), "a frame")
                relay.refuse()  # the network is cut ...
                relay.cut()
                wait_for(lambda: len(node.made()) > 3 * RATE, "frames in the outage")
                node.kill()  # ... and the power
                first = node.made()
            with life(clock="network") as node:  # the second boot never learns the time
                wait_for(lambda: node.untimed() > 3 * RATE, "frames without time")
                node.kill()
                second = node.untimed()
            began_s = time.time()
            with life(clock="network") as node:  # the third one does, when the network is back
                wait_for(lambda: node.untimed() > 2 * RATE, "frames without time")
                relay.accept()
                node.wait_said("connected")
                learnt_s = time.time()
                wait_for(lambda: node.made(), "frames with time")
                node.stop()
                third, live = node.untimed(), node.made()
    finally:
        summary = adapter.stop()
    archive = Archive(tmp_path / "archive.sqlite", readonly=True)
    frames = [row.frame for row in archive.frames(TOPIC)]
    untimed = list(archive.untimed(TOPIC))
    counts = archive.counts(TOPIC)
    archive.close()
    again = [frame for frame in frames if frame[14] << 8 & MODIFIED]
    as_they_were = {number_of(frame) for frame in frames if frame not in again}
    most = 24 + 32 + 63  # high-water mark, window, a block
    assert as_they_were <= first | live and len(first - as_they_were) <= most and live <= as_they_were
    assert second - most <= len(untimed) <= second
    assert {boot for boot, _, _, _ in untimed} == {2} and counts["conflicts"] == 0
    assert len(again) == third, "each frame of the third boot, re-stamped"
    stamps = sorted(map(stamp_us, again))
    assert {b - a for a, b in zip(stamps, stamps[1:], strict=False)} == {1_000_000 // RATE}
    assert began_s < stamps[0] / 1e6 and stamps[-1] / 1e6 < learnt_s + 1.5 + KERNEL_TICK_S
    assert summary["conflicts"] == 0 and summary["bad"] == 0
