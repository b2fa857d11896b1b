"""A real node is cut off, starts again without the time of day, and gets all that ever went over its network once
more: it acts on nothing and passes nothing on; what is new it takes."""

import json
import time

from gossip.wire import DATA, HEAD, TARIFF
from gridmote.utility.inject import inject
from gridmote.utility.orders import order
from host_tests.mqtt_rig import wait_for
from host_tests.test_segment import SEGMENT, Segment

CHAIN = {"ssc0": "ssc", "meter0": "meter", "ied0": "ied"}
VICTIM = list(CHAIN).index("meter0")


def kind(datagram):
    return datagram[1] & 15


def test_all_of_it_again_after_a_reboot_with_the_clock_at_0(tmp_path):
    sent = []
    with Segment(tmp_path, 5, CHAIN) as segment:
        mesh = segment.mesh
        mesh.tap = lambda a, b, datagram: sent.append((a, b, datagram))
        segment.end.join(20)
        assert segment.wait_counted(3, 20).contributors == 3
        for _ in range(3):
            segment.wait_held(segment.tariff(), CHAIN, 30)
        asked = order(segment.end, segment.fleet, SEGMENT, "meter0", b'{"query": [1, 0]}', 1)
        inject(segment.end, [asked], 20, lambda text: None)
        victim = segment.running["meter0"]
        wait_for(lambda: any(one["event"] == "command" for one in victim.events()), "the command")

        victim.kill()
        mesh.allowed = lambda a, b: VICTIM not in (a, b)
        config = json.loads(segment.paths["meter0"].read_text())
        segment.paths["meter0"].write_text(json.dumps({**config, "clock": "network"}))
        old = [(a, datagram) for a, _, datagram in sent if a != VICTIM]
        assert {datagram[HEAD] for _, datagram in old if kind(datagram) == DATA} >= {TARIFF, 8}
        segment.start("meter0")
        victim = segment.running["meter0"]
        wait_for(lambda: any(a == VICTIM for a, _, _ in sent[-5:]), "it looks for its seeds")
        before = len(sent)
        for a, datagram in old + old[::-1]:
            mesh.send(a, VICTIM, datagram)
            time.sleep(0.002)  # no more than it can fetch
        segment.end.run(lambda: False, 3)
        said = [datagram for a, _, datagram in sent[before:] if a == VICTIM]
        answered = {kind(datagram) for datagram in said}
        events = {one["event"] for one in victim.events()}

        mesh.allowed = lambda a, b: True
        segment.began = time.monotonic()
        taken_s = segment.wait_held(segment.tariff(), CHAIN, 60)
    print(f"{len(old)} datagrams twice, {len(said)} answers of kinds {sorted(answered)}; then in {taken_s:.1f} s")
    assert said and DATA not in answered, "it answers who it takes for a neighbour, and passes nothing on"
    assert not events & {"tariff", "command", "tariff-key", "key-reuse"}, events
