"""What the broker kept during an absence is told from what is new, however much it is and however it comes."""

import asyncio
import time

import pytest

from gridmote.broker.login import Login
from gridmote.pdc.kept import Kept
from gridmote.pdc.subscriber import Subscriber
from host_tests.pdc_rig import WAIT_S

TOPIC = "area/secondary-station/1/PMU/7"


class Connection:
    """Kept on a clock of its own, just connected after an absence."""

    def __init__(self):
        self.now_s = 1000.0
        self.kept = Kept()
        self.kept.begin(self.now_s, True)

    def turn(self, passed_s, messages, topics=1):
        """So many messages of each topic, then the end of a turn."""
        for i in range(messages * topics):
            self.kept.message(f"topic {i % topics}", False)
        self.now_s += passed_s
        self.kept.turn(self.now_s)

    def turns(self, for_s, *turn):
        """Turns for so long, or until the queue counts as over -> s that it took."""
        began_s = self.now_s
        while self.kept.late and self.now_s - began_s < for_s:
            self.turn(*turn)
        return self.now_s - began_s


@pytest.mark.parametrize("turn", [(0.006, 65), (0.05, 20), (0.004, 1), (0.01, 4, 100), (5.0, 65)])
def test_late_while_the_queue_comes_faster_than_pmus_make_frames(turn):
    """Bursts; a window of 20 at each round trip; one by one; of 100 PMUs; with a reader that is held."""
    connection = Connection()
    connection.turns(50, *turn)
    assert connection.kept.late
    assert 0.9 < connection.turns(50, 0.02, 1) < 3.1


@pytest.mark.parametrize("turn", [(0.1, 0), (0.02, 1), (1 / 200, 1), (0.02, 1, 100), (0.1, 6, 100)])
def test_what_comes_at_the_pace_of_pmus_is_late_for_two_seconds(turn):
    assert 1.9 < Connection().turns(50, *turn) < 2.3


@pytest.mark.parametrize("turn", [(0.5, 25), (1.0, 50)])
def test_live_frames_in_bursts_are_not_taken_for_the_queue(turn):
    """Of a link that holds them, or by a reader that has little time."""
    assert Connection().turns(50, *turn) <= 8 * turn[0]
    connection = Connection()
    for _ in range(20):
        connection.turn(0.05, 60)
        connection.turns(0.95, 0.05, 0)
    assert not connection.kept.late


def test_one_dense_topic_among_many():
    connection = Connection()
    for _ in range(50 * 30):
        connection.turn(0.02, 1, 10)
        for _ in range(20):
            connection.kept.message("topic 0", False)
    assert connection.kept.late


def test_at_most_a_minute():
    assert 59 < Connection().turns(100, 0.006, 65) < 61


def test_a_turn_that_took_long_counts_little():
    """Who was held for 3 s has not waited for the queue."""
    connection = Connection()
    connection.turn(3, 1)
    assert connection.kept.late


def test_over_with_the_first_message_that_is_retained_anew():
    connection = Connection()
    connection.turn(0.01, 100)
    connection.kept.message(TOPIC, True)
    assert not connection.kept.late
    connection.turn(0.001, 65)
    assert not connection.kept.late


@pytest.mark.parametrize("version, count, held_s", [(3, 5000, 0), (5, 8000, 2.5)])
@pytest.mark.parametrize("retains", [True, False])
def test_a_long_queue_is_late_to_its_end(mosquitto, publisher, retains, version, count, held_s):
    """With version 3 the broker waits for acknowledgements after every 20 messages, here for 10 ms each time; with
    version 5 it does not, but the subscriber's loop is held while more waits than it reads ahead."""
    events, messages, unacknowledged = [], [], []

    def take(some):
        if not messages:
            time.sleep(held_s)
        messages.extend(some)
        unacknowledged.extend(message.receipt for message in some)

    async def connected(until):
        subscriber = Subscriber(Login("127.0.0.1:%d" % mosquitto.port), [TOPIC], "the-one",
                                asyncio.get_running_loop(), take, lambda event, **_: events.append(event), version)
        subscriber.start()
        async with asyncio.timeout(WAIT_S):
            while not until():
                await asyncio.sleep(0.01)
                subscriber.ack(unacknowledged)
                unacknowledged.clear()
        await asyncio.to_thread(subscriber.stop)

    asyncio.run(connected(lambda: events))
    if retains:
        publisher.publish(TOPIC, b"retained", retain=True)
    for i in range(count):
        publisher.publish(TOPIC, b"%d" % i)
    publisher.flush()
    wanted = [(b"retained", False, True)] * retains  # to a session it is a message as any other, and then:
    wanted += [(b"%d" % i, False, True) for i in range(count)]
    wanted += [(b"retained", True, False)] * retains
    asyncio.run(connected(lambda: len(messages) >= len(wanted)))
    assert [(message.payload, bool(message.retained), message.late) for message in messages] == wanted
