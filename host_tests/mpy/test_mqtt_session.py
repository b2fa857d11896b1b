"""Session and Link on a fake network in simulated time: writes, window, commands, when to try again."""

import gc
import random

from fake_network import Node, Peer, packets, puback

from firmware.session import CLOSED, OPEN


def opened(peer=None, **options):
    node = Node(peer or Peer(), **options)
    node.until_open()
    node.run(100)
    return node


def intervals(moments):
    return [b - a for a, b in zip(moments, moments[1:])]


def test_one_write_a_message():
    node = opened()
    node.sock.writes = []
    node.commit(40)
    node.until_empty()
    assert len(node.sock.writes) == 40
    for wrote in node.sock.writes:
        ((first, _),) = packets(wrote)
        assert first == 0x32


def test_the_window_is_respected_and_used():
    for size in (1, 5, 20):
        peer = Peer()
        node = opened(peer, window=size)
        peer.answers, peer.most = False, 0
        node.commit(60)
        node.run(1000)
        assert peer.most == size == len(peer.open)
        peer.answers = True
        node.until_empty()
        assert peer.most == size and len(peer.heard) == 60


def test_acknowledgements_in_any_order():
    random.seed(5)

    def choose(pids):
        left = list(pids)
        return [left.pop(random.randrange(len(left))) for _ in range(random.randrange(len(left) + 1))]

    peer = Peer(choose)
    node = opened(peer, window=20)
    for _ in range(300):
        node.commit()
        node.step()
    node.until_empty()
    assert node.session.again == 0 and node.session.acknowledged == 300 + 2
    assert [payload for _, _, payload in peer.heard] == [k.to_bytes(4, "big") for k in range(300)]


def test_partial_writes_never_interleave():
    """A socket that takes a few bytes at a time, with pings, PUBACKs and STATUS in between: packets stay whole."""
    random.seed(7)
    peer = Peer()
    node = opened(peer, keepalive_s=2)
    command = b"\x32\x0d\x00\x05a/CMD\x00\x09stat"  # QoS 1, answered with PUBACK
    for k in range(2000):
        node.sock.takes = random.randrange(0, 12)
        busy = k // 150 % 2
        if k % 5 == 0 and busy:
            node.commit()
        if k % 50 == 0 and busy:
            node.sock.inbox += command
        if k % 7 == 0 and busy:
            node.link.report("online")
        node.step()  # Peer fails a cut packet
    node.sock.takes = None
    node.until_empty()
    assert node.link.connections == 1
    assert [payload for _, _, payload in peer.heard] == [k.to_bytes(4, "big") for k in range(node.count)]
    answered = [body for first, body in peer.others if first == 0x40]
    assert answered == [b"\x00\x09"] * node.link.unknown_commands and len(answered) == 19
    assert 0xC0 in [first for first, _ in peer.others]


def test_a_command_is_answered_even_when_the_window_is_full():
    peer = Peer()
    node = opened(peer, window=4)
    assert (0x82, b"\x00\x01\x00\x05a/CMD\x01") in peer.others, "QoS 1"
    peer.answers = False
    node.commit(10)
    node.run(50)
    before = len(node.sock.wire)
    for k in range(7):  # more than there are places for STATUS
        node.sock.inbox += b"\x32\x0f\x00\x05a/CMD\x00" + bytes((k + 7,)) + b"status"
        node.run(50)
        assert (0x40, bytes((0, k + 7))) in peer.others
        assert bytes(node.sock.wire[before:]).count(b"online") == min(k + 1, 4)
    peer.answers = True
    node.run(200)
    assert bytes(node.sock.wire[before:]).count(b"online") == 5


def test_a_reconnection_with_a_full_window_still_says_online():
    peer = Peer()
    node = opened(peer, window=4)
    peer.answers = False
    node.commit(10)
    node.run(50)
    node.sock.finished = True
    node.until(lambda: node.link.connections == 2)
    node.run(100)
    wire = packets(node.sock.wire)
    assert [first for first, _ in wire[:5]] == [0x10, 0x82, 0x33, 0x33, 0x3A]
    assert wire[2][1].endswith(b"CFG-2") and wire[3][1].endswith(b"online")
    assert len(wire) == 8, "four again, and none beyond the window"


def test_a_long_command_topic_is_subscribed_rightly():
    for n in (122, 123, 130, 263):
        peer = Peer()
        node = Node(peer)
        node.link._command_topic = b"a" * n
        node.until_open()
        node.run(50)
        assert peer.others[1] == (0x82, b"\x00\x01" + n.to_bytes(2, "big") + b"a" * n + b"\x01")


def test_a_refused_subscription_is_the_brokers_refusal():
    peer = Peer()
    node = Node(peer)
    node.until_open()
    node.sock.inbox += b"\x90\x03\x00\x01\x80"
    node.run(30)
    assert "refused the subscription" in node.link.last_error and node.session.faults == 0


def test_nothing_but_connack_comes_first():
    for raw in (puback(1), b"\xd0\x00", b"\x90\x03\x00\x01\x01", b"\x30\x03\x00\x01a"):
        peer = Peer()
        peer.greets = False
        node = Node(peer)
        node.run(50)
        node.sock.inbox += raw
        node.run(20)
        assert (
            node.session.state == CLOSED and node.session.faults == 1 and "before CONNACK" in node.link.last_error
        )


def test_a_broker_that_floods_and_never_reads_is_left():
    node = Node(Peer())
    node.until_open()
    node.run(100)
    node.sock.takes = 0
    node.sock.inbox += b"\x32\x05\x00\x01a\x00\x01" * 2000
    node.until_closed()
    node.run(20)
    assert node.session.faults == 1 and "reads no PUBACK" in node.link.last_error, node.link.last_error


def test_a_network_that_refuses_or_is_silent_is_tried_every_0_7_s_then_less_often():
    for up, fails in ((None, None), (True, OSError(113)), (False, None)):
        random.seed(11)
        node = Node(None, random=random.randrange)
        node.net.up, node.net.fails = up, fails
        while node.now < 3_600_000:
            node.step()
        waits = intervals(node.net.attempts_ms)
        early = [ms for ms, at in zip(waits, node.net.attempts_ms) if at < 590_000]
        late = [ms for ms, at in zip(waits, node.net.attempts_ms) if at > 3_000_000]
        assert 500 <= min(early) <= 530 and 870 <= max(early) <= 940, (min(early), max(early))
        assert max(late) > 3000 and max(late) < 7000, (min(late), max(late))
        assert up is False or min(late) > 3000, "an attempt that nothing answers is several tries"
        assert len(node.lines) < 4, "said once, not at every attempt"


def test_outages_do_not_add_up():
    """Twenty cuts of a minute, noticed by keep-alive after a long good time: each is tried every 0.7 s."""
    peer = Peer()
    node = Node(peer)
    node.STEP_MS = 50
    for _ in range(20):
        node.net.up = True
        peer.pongs = True
        node.until_open()
        node.run(1000)
        node.now += 0x20000000 + 5_000_000  # many days: beyond half the period of ticks_ms
        node.session.heard_ms = node.session._spoke_ms = node.ticks_ms()
        peer.pongs = False
        node.net.up = None
        node.until_closed(20_000)
        assert "silent" in str(node.session.error)
        del node.net.attempts_ms[:]
        node.run(20_000)
        assert 20 <= len(node.net.attempts_ms) <= 40


def test_a_long_life_is_long_even_past_the_period_of_the_clock():
    node = opened()
    node.now += 0x20000000 + 1000
    node.session.heard_ms = node.session._spoke_ms = node.ticks_ms()
    node.sock.finished = True
    node.step()
    assert node.session.lived_ms > 10_000


def test_a_broker_that_refuses_is_left_alone_for_longer_each_time():
    random.seed(13)
    peer = Peer()
    peer.code = 5
    node = Node(peer, random=random.randrange)
    while node.now < 1_500_000:
        node.step()
    waits = intervals(node.net.attempts_ms)
    for k, ms in enumerate(waits):
        expected = min(700 << k, 120_000)
        assert 0.75 * expected - 20 <= ms <= 1.25 * expected + 60, (k, ms)
    assert len(set(waits[-4:])) > 1, "jitter"
    assert "return code 5" in node.link.last_error
    peer.code = 0
    node.until_open(160_000)


def test_a_broker_that_accepts_and_drops_too():
    peer = Peer()
    node = Node(peer)
    while node.now < 600_000:
        node.step()
        if node.session.state == OPEN:
            node.sock.finished = True
    waits = intervals(node.net.attempts_ms)
    assert waits == sorted(waits) and waits[0] < 800 and waits[7] > 80_000
    # One connection that holds makes it trusted again.
    node.until_open(160_000)
    node.run(11_000)
    node.sock.finished = True
    began = node.now
    node.until_open()
    assert node.now - began < 1000


def test_leaving_says_good_bye():
    node = opened()
    node.session.leave(node.now)
    assert bytes(node.sock.wire).endswith(b"\xe0\x00") and node.sock.closed and node.session.error is None


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        gc.collect()
        test()
