"""Defects that other microcontroller clients have, each as a test of this one; on a fake network, time simulated.

The first of them, the packet id past 65,535, runs against a real broker in test_mqtt_broker.py.
"""

import gc
import random

from fake_network import Node, Peer, puback, published

from firmware.session import CLOSED, OPEN


def payloads(peer):
    return [payload for _, _, payload in peer.heard]


def every(n):
    return [k.to_bytes(4, "big") for k in range(n)]


def in_order_without_repeats(heard):
    seen = []
    for payload in heard:
        if payload not in seen:
            seen.append(payload)
    return seen


def test_2_a_short_broker_restart_never_hangs():
    """Cut anywhere, in the middle of packets too: what was not acknowledged is sent again, nothing is lost."""
    random.seed(2)
    for trial in range(60):
        peer = Peer()
        node = Node(peer, window=6)
        node.until_open()
        node.commit(random.randrange(1, 20))
        node.sock.takes = random.randrange(0, 200)
        peer.answers = trial & 1
        node.run(random.randrange(10, 100))
        if trial % 3:
            node.sock.fails = OSError(104)
        else:
            node.sock.finished = True
        node.net.up = None
        peer.answers = True
        node.run(random.randrange(10, 3000))
        node.net.up = True
        node.commit(5)
        node.until_empty()
        assert node.link.connections == 2 and node.ring.dropped == 0
        assert in_order_without_repeats(payloads(peer)) == every(node.count)
        assert len(peer.heard) <= node.count + 6, "duplicates: at most a window"


def test_3_session_present_is_no_error():
    peer = Peer()
    peer.present = 1
    node = Node(peer)
    node.commit(3)
    node.until_empty()
    assert node.session.present and node.link.connections == 1 and not node.link.last_error
    assert peer.others[0][1][7] & 2 == 0, "clean session is off"
    node.sock.finished = True
    peer.present = 0
    node.until(lambda: node.link.connections == 2)
    assert not node.session.present


def test_4_a_clean_fin_is_noticed_at_once():
    node = Node(Peer())
    node.until_open()
    node.run(200)
    node.sock.finished = True
    node.run(20)
    assert node.session.state == CLOSED and node.link.last_error == "closed by the broker"
    node.run(900)
    assert node.link.connections == 2


def test_5_a_puback_that_takes_longer_than_ten_seconds_is_waited_for():
    peer = Peer()
    node = Node(peer)
    node.until_open()
    node.run(100)
    peer.answers = False
    node.commit(5)
    node.run(40_000)
    assert len(peer.heard) == 5 and node.session.again == 0 and node.link.connections == 1
    assert len(peer.open) == 5 and len(node.ring) == 5
    peer.answers = True
    node.until_empty()
    assert len(peer.heard) == 5 and node.link.connections == 1 and node.session.late == 0
    # The same acknowledged twice is counted, no more.
    node.sock.inbox += puback(peer.heard[0][0])
    node.run(50)
    assert node.session.late == 1 and node.session.faults == 0 and node.link.connections == 1
    # A broker that only answers pings is given up after a minute: it may have lost the message.
    peer.answers = False
    node.commit()
    node.run(59_000)
    assert node.link.connections == 1 and len(peer.heard) == 6
    node.until(lambda: node.link.connections == 2, 5000)
    node.run(100)
    assert peer.heard[-1] == (peer.heard[-2][0], 1, peer.heard[-2][2])


def test_6_ids_never_collide_and_nothing_is_silently_lost():
    """Ids wrap while the oldest message stays unacknowledged; the fake broker checks each new id."""
    peer = Peer(lambda pids: pids if node.session.window.full() else pids[1:])
    node = Node(peer, window=8)
    node.until_open()
    node.run(100)
    node.session.window._last = 65_500
    for _ in range(400):
        node.commit()
        node.step()
    peer.choose = lambda pids: pids
    node.until_empty()
    pids = [pid for pid, _, _ in peer.heard]
    assert 65_535 in pids and 1 in pids and 0 not in pids
    assert payloads(peer) == every(400), "each once"
    # A node that makes more than it can send says so: what was given up is counted.
    peer.answers = False
    node.commit(200)
    assert node.ring.dropped == 200 - node.ring.slots


def test_7_timers_are_our_own():
    """FakeSocket fails a read of what is not there; silence is noticed by our clock."""
    node = Node(Peer(), keepalive_s=10)
    node.net.up = False  # the network swallows the SYN
    node.run(2900)
    assert node.session.state != CLOSED
    node.run(200)
    assert node.session.state == CLOSED and "no answer" in node.link.last_error and node.sock.closed
    node.net.up = True
    node.peer.greets = False  # TCP, but no CONNACK
    node.run(10_000)
    connections = len(node.net.attempts_ms)
    node.run(2_000)
    assert "no CONNACK" in node.link.last_error and len(node.net.attempts_ms) == connections + 1
    node.peer.greets = True
    node.until_open()
    node.run(60_000)
    assert node.link.connections == 1, "pings keep an idle connection"
    pings = [first for first, _ in node.peer.others].count(0xC0)
    assert 10 <= pings <= 13
    node.peer.pongs = node.peer.answers = False  # half open: writes go through, nothing comes back
    began = node.now
    node.until_closed()
    assert 9_000 <= node.now - began <= 16_000
    node.run(20)
    assert "silent" in node.link.last_error


BROKEN = (
    b"\x30\xff\xff\xff\x7f",  # 268 MB
    b"\x30\xff\xff\xff\xff\x7f",
    b"\x32\x06\x00\x0aa/CMD",  # topic longer than its packet
    b"\x30\x01\x00",
    b"\x32\x05\x00\x03abc",  # no room for its packet id
    b"\x30\x81\x08" + bytes(1025),  # more than max_packet
    b"\x34\x07\x00\x01a\x00\x01xx",  # QoS 2
    b"\x20\x02\x00\x00",  # a second CONNACK
    b"\x40\x02\x77\x77",  # an id that was never sent
    b"\x40\x03\x00\x01\x00",
    b"\x90\x02\x00\x01",
    b"\x00\x00",
    b"\x10\x00",
    b"\xf0\x00",
)


def test_8_bad_lengths_end_the_connection_and_not_the_program():
    peer = Peer()
    node = Node(peer, random=lambda n: 0)
    free = None
    for turn in range(3):
        for raw in BROKEN:
            node.until_open(200_000)
            node.run(11_000)  # trusted again
            faults = node.session.faults
            node.commit()
            node.sock.inbox += raw
            node.run(50)
            assert node.session.state == CLOSED and node.session.faults == faults + 1, raw
            assert node.link.last_error, raw
            del node.lines[:], peer.others[:], peer.heard[:]
        gc.collect()
        if turn:
            assert free is None or gc.mem_free() > free - 1024, "memory is flat"
            free = gc.mem_free()
    node.until_empty(200_000)
    assert node.ring.dropped == 0


def test_8_random_bytes_end_at_most_the_connection():
    random.seed(8)
    node = Node(Peer(), random=lambda n: 0)
    for _ in range(150):
        node.until_open(200_000)
        node.run(11_000)
        node.commit()
        node.sock.inbox += bytes([random.getrandbits(8) for _ in range(random.randrange(1, 40))])
        node.run(500)
        del node.lines[:], node.peer.others[:], node.peer.heard[:]
    node.until_empty(200_000)
    assert node.session.faults > 100 and node.ring.dropped == 0


def test_8_a_packet_that_is_cut_off_is_waited_for_and_then_given_up():
    for raw in (b"\x32", b"\x32\x85", b"\x32\x0a\x00\x05a/C", b"\x40", b"\x40\x02\x00"):
        peer = Peer()
        node = Node(peer)
        node.until_open()
        node.run(100)
        node.sock.inbox += raw
        peer.pongs = False
        node.run(8_000)
        assert node.session.state == OPEN
        node.until_closed(8_000)
        assert node.session.faults == 0
        peer.pongs = True
        node.until_open()  # the rest of the old packet is forgotten
        node.run(2_000)
        assert node.link.connections == 2 and node.session.faults == 0


def test_9_sent_again_with_the_same_id_and_dup_in_order_before_new_ones():
    peer = Peer()
    node = Node(peer, window=6)
    node.until_open()
    node.run(100)
    peer.answers = False
    node.commit(10)  # six on their way, four wait
    node.run(100)
    first = peer.heard[:]
    assert len(first) == 6 and all(not dup for _, dup, _ in first)
    node.sock.inbox += puback(first[1][0], first[4][0])
    node.run(30)
    node.sock.finished = True
    peer.answers = True
    node.until_empty()
    again = peer.heard[6:]
    assert again[:4] == [(pid, 1, payload) for pid, _, payload in first if payload[3] not in (1, 4)]
    assert [payload[3] for _, _, payload in again[4:]] == [6, 7, 8, 9] and not any(dup for _, dup, _ in again[4:])
    assert node.session.again == 4
    greeting = published(node.sock.wire)
    assert greeting == again
    start = bytes(node.sock.wire).find(b"CFG-2")
    assert 0 < start < bytes(node.sock.wire).find(first[0][2]), "the configuration comes before data"


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        gc.collect()
        test()
