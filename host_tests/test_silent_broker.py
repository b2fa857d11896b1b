"""A broker without power says nothing: what it had acknowledged but not saved still gets to whom it is due."""

import contextlib
import signal
import time

import pytest

from gridmote.broker.mosquitto import Broker
from host_tests.meter_rig import Meter, configuration, durable, listening
from host_tests.mqtt_rig import wait_for
from host_tests.test_broker_experiment import saved

SILENT_S = 19  # longer than the keep-alive allows


@pytest.mark.torture
def test_a_broker_that_dies_without_a_word(mpy, tmp_path):
    outbox = {"folder": str(tmp_path / "flash")}
    with Broker(tmp_path, persistent=True) as broker:
        with listening(broker, session="away"):
            wait_for(lambda: saved(tmp_path, b"away"), "the session on the broker's disk")
        path = configuration(tmp_path, broker.host, broker.port, outbox=outbox, energy_s=1)
        with listening(broker) as ear, Meter(mpy, path) as node:
            ear.wait_live(300, 60)
            broker._process.send_signal(signal.SIGSTOP)
            time.sleep(SILENT_S)
            broker.kill()
            broker.start()
            ear.wait_live(100, 60)
            ear.wait_status(60, flash_waiting=0, durable_waiting=0)
            node.stop(30)
            made, kept = node.made(), durable(node.kept())
        with listening(broker, session="away") as heard:
            with contextlib.suppress(AssertionError):
                wait_for(lambda: made <= set(heard.numbers()) and kept <= heard.durable(), "all of it")
    assert not made - set(heard.numbers()) and not kept - heard.durable()
