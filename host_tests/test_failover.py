"""Two brokers: the node goes on at the second, then back to the first; nothing is lost over both."""

import contextlib
import time

import pytest

from host_tests.conftest import Port
from host_tests.meter_rig import RATE, Meter, all_heard, configuration, listening
from host_tests.relay import Relay

BACK_AFTER_S = 2


def bridge_to(broker):
    """Configuration of a broker that passes on to `broker` all that it gets, and keeps it while that is away."""
    return [
        "connection to-the-first",
        f"address {broker.host}:{broker.port}",
        "topic # out 1",
        "cleansession false",
        "restart_timeout 1",
        "notifications false",
    ]


class Pair:
    """A node that streams to the first of two brokers; an ear at each."""

    def __init__(self, stack, mpy, mosquitto_factory, folder, bridged):
        self.first = mosquitto_factory()
        self.second = mosquitto_factory(lines=bridge_to(self.first) if bridged else [])
        self.relay = stack.enter_context(Relay(self.first.port))
        ears = [stack.enter_context(listening(broker)) for broker in (self.first, self.second)]
        self.ears = ears
        self._count = ears[:1] if bridged else ears
        broker = {
            "fallback": [{"host": self.second.host, "port": self.second.port}],
            "back_after_s": BACK_AFTER_S,
        }
        outbox = {"folder": str(folder / "flash")}
        path = configuration(folder, self.relay.host, self.relay.port, outbox=outbox, broker=broker)
        self.node = stack.enter_context(Meter(mpy, path))
        ears[0].wait_live(RATE)

    def all_heard(self):
        """By the ear at the first broker if there is a bridge to it, else by one of both."""
        all_heard(self.node, *self._count)


@pytest.mark.parametrize("bridged", [False, True])
def test_the_second_takes_over(mosquitto_factory, tmp_path, bridged):
    with contextlib.ExitStack() as stack:
        pair = Pair(stack, Port("micropython32"), mosquitto_factory, tmp_path, bridged)
        pair.relay.refuse()
        pair.ears[1].wait_live(RATE)
        pair.all_heard()
        assert pair.ears[1].wait_status(state="stopped")["broker"] == f"{pair.second.host}:{pair.second.port}"


@pytest.mark.torture
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["refused", "silent", "killed"])
@pytest.mark.parametrize("bridged", [False, True])
def test_there_and_back_again_and_again(mpy, mosquitto_factory, tmp_path, bridged, how):
    """Three times; the first broker is out of the node's reach, or killed and started anew without a memory."""
    if bridged and how == "killed":
        pytest.skip("what the first had for an ear goes with it")
    with contextlib.ExitStack() as stack:
        pair = Pair(stack, mpy, mosquitto_factory, tmp_path, bridged)
        relay, first = pair.relay, pair.first
        for _ in range(3):
            if how == "refused":
                relay.refuse()
            elif how == "silent":
                relay.blackhole = True
            else:
                first.stop()
            pair.ears[1].wait_live(3 * RATE, 60)
            if how == "refused":
                relay.accept()
            elif how == "silent":
                relay.cut()
                relay.blackhole = False
            else:
                first.start()
            pair.ears[0].wait_live(2 * RATE, 60)
            time.sleep(BACK_AFTER_S)
        pair.all_heard()
