"""The node is killed while it streams: durable records all arrive, no more of the stream is lost than stated."""

import contextlib
import os
import random
import time

import pytest

from host_tests.conftest import Port
from host_tests.meter_rig import RATE, Meter, configuration, durable, listening
from host_tests.mqtt_rig import wait_for
from host_tests.relay import Relay

OUTBOX = {"slots": 128, "high_water": 24, "again_s": 1}  # so that what may be lost is little


class Lives:
    """Nodes one after the other on the same flash; what each told and what the ear at their broker heard."""

    def __init__(self, mpy, folder, relay, heard, **outbox):
        outbox = {"folder": str(folder / "flash"), **OUTBOX, **outbox}
        self._path = configuration(folder, relay.host, relay.port, outbox=outbox, energy_s=1)
        self._mpy, self._heard = mpy, heard
        self.made, self.kept = [], []

    def begin(self):
        return Meter(self._mpy, self._path)

    def ended(self, node):
        self.made.append(node.made())
        self.kept += node.kept()

    def kill(self, node):
        node.kill()
        self.ended(node)

    def last(self, most_s=60):
        """One more life, at whose end nothing waits; then the account of all of them."""
        heard = self._heard
        with self.begin() as node:
            wait_for(node.made, "a frame")
            boot = node.kept()[0]["boot"]
            heard.wait_status(most_s, boot=boot, flash_waiting=0, durable_waiting=0)
            node.stop()
        self.ended(node)
        most = heard.wait_status(boot=boot, state="stopped")["loss_most"]
        kept = durable(self.kept)
        with contextlib.suppress(AssertionError):
            wait_for(lambda: self.made[-1] <= set(heard.numbers()) and kept <= heard.durable(), "the last records")
        missing = [len(made - set(heard.numbers())) for made in self.made]
        print(f"{self._mpy.name}: {len(missing)} lives, {sum(map(len, self.made))} frames, missing of each"
              f" {missing} (at most {most}), {len(self.kept)} durable records")
        assert kept and kept - heard.durable() == set(), "every durable record arrives"
        assert len(kept) == len(self.kept), "no number is used twice"
        assert max(missing) <= most and missing[-1] == 0
        assert not heard.conflicts and set(heard.numbers()) <= set().union(*self.made)
        assert sum(map(len, self.made)) >= 2 * RATE


@pytest.mark.torture
@pytest.mark.timeout(600)
def test_killed_50_times_at_random(mpy, mosquitto, tmp_path):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print("seed", seed)
    rng = random.Random(seed)
    with Relay(mosquitto.port) as relay, listening(mosquitto) as heard:
        lives, up = Lives(mpy, tmp_path, relay, heard), True
        for _ in range(50):
            with lives.begin() as node:
                end = time.monotonic() + rng.uniform(0.2, 6)
                while time.monotonic() < end:
                    time.sleep(rng.uniform(0, 1.5))
                    if rng.random() < 0.5:
                        up = not up
                        (relay.accept if up else relay.refuse)()
                lives.kill(node)
        if not up:
            relay.accept()
        lives.last()


def killed_in_an_outage(mpy, mosquitto, folder, down_s, killed_s, back_s, up_s, end_s):
    """All in seconds since the first frame: broker down, node killed, node back, broker up, end."""
    with Relay(mosquitto.port) as relay, listening(mosquitto) as heard:
        lives = Lives(mpy, folder, relay, heard)
        with lives.begin() as node:
            wait_for(node.made, "a frame")
            began = time.monotonic()

            def at(seconds):
                time.sleep(max(0, began + seconds - time.monotonic()))

            at(down_s)
            relay.refuse()
            at(killed_s)
            lives.kill(node)
        at(back_s)
        with lives.begin() as node:
            wait_for(node.made, "a frame, with no broker in sight")
            at(up_s)
            relay.accept()
            at(end_s)
            lives.kill(node)
        lives.last()


def test_killed_while_the_broker_is_away(mosquitto, tmp_path):
    killed_in_an_outage(Port("micropython32"), mosquitto, tmp_path, 0.5, 2, 2, 3.8, 4.2)


@pytest.mark.torture
def test_the_published_case(mpy, mosquitto, tmp_path):
    """Microcontroller clients lose 250 to 780 of 1,950 records in it."""
    killed_in_an_outage(mpy, mosquitto, tmp_path, 10, 15, 16, 20, 39)
