"""What a publish takes from the heap, from pend() to its PUBACK, on both word sizes."""

import json


def test_a_publish_allocates_nothing_outside_the_event_loop(mpy, mosquitto):
    done = mpy("host_tests/mpy/node_publish_heap.py", mosquitto.port, 1000, 200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(mpy.name, found)
    assert found["sent_again"] == 0
    assert found["total"] <= 48 and found["outside"] <= 16  # bytes, a mean of 1,000
    assert not any(found["pieces"].values()), "nothing at all, call by call"
