"""lib/mqtt and lib/outbox against plain models of the same contracts, in any order of events."""

import os
import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tests.property import examples
from mqtt.inbound import CONNACK, PINGRESP, PUBACK, PUBLISH, SUBACK, Inbound, ProtocolError, publish_parts
from mqtt.publish import Publish
from mqtt.timing import Retry
from mqtt.window import FREE, Window
from outbox.ring import Ring

SEQS = 1 << 29

# -- ring ---------------------------------------------------------------------------------------------------


class PlainRing:
    """What Ring promises, with a deque of [number, payload, taken, acknowledged] and numbers that never wrap."""

    def __init__(self, slots, first):
        self.slots, self.written, self.dropped, self.high_water = slots, first, 0, 0
        self.waiting = deque()
        self.lost = set()  # given up; one of these acknowledged after all is no drop

    def free(self):
        while self.waiting and self.waiting[0][3]:
            self.waiting.popleft()

    def pend(self):
        if len(self.waiting) == self.slots:
            self.dropped += 1
            self.lost.add(self.waiting.popleft()[0])
            self.free()

    def commit(self, payload):
        self.waiting.append([self.written, payload, False, False])
        self.written += 1
        self.high_water = max(self.high_water, len(self.waiting))
        return self.written - 1

    def next(self):
        for record in self.waiting:
            if not record[2] and not record[3]:
                record[2] = True
                return record[0]
        return None

    def ack(self, number):
        for record in self.waiting:
            if record[0] == number:
                record[3] = True
        if number in self.lost:
            self.lost.remove(number)
            self.dropped -= 1
        self.free()


def agree(ring, model):
    assert len(ring) == len(model.waiting)
    assert (ring.written, ring.dropped, ring.high_water) == (
        model.written % SEQS,
        model.dropped,
        model.high_water,
    )
    for number, payload, _, acknowledged in model.waiting:
        seq = number % SEQS
        assert ring.holds(seq) is (not acknowledged)
        if not acknowledged:
            off = ring.off(seq)
            assert bytes(ring.buf[off : off + ring.size(seq)]) == payload
    assert not ring.holds(ring.written) and not ring.holds((ring.acked - 1) % SEQS)


@given(
    st.integers(1, 4),
    st.one_of(st.integers(SEQS - 40, SEQS - 1), st.integers(0, SEQS - 1)),
    st.lists(
        st.tuples(st.sampled_from(["commit", "commit", "pend", "next", "next", "ack"]), st.integers(0, 99))
    ),
)
@examples(400)
def test_ring_keeps_what_it_promises(log2_slots, first, events):
    ring = Ring(1 << log2_slots, 5)
    ring.written = ring.sent = ring.acked = first
    model = PlainRing(ring.slots, first)
    in_flight = []
    for event, value in events:
        if event in ("commit", "pend"):
            off = ring.pend()
            model.pend()
            if event == "commit":
                payload = bytes([value]) * (1 + value % 5)
                ring.buf[off : off + len(payload)] = payload
                assert ring.commit(len(payload)) == model.commit(payload) % SEQS
        elif event == "next":
            number = model.next()
            assert ring.next() == (-1 if number is None else number % SEQS)
            if number is not None:
                in_flight.append(number)
        elif in_flight:
            number = in_flight.pop(value % len(in_flight))
            ring.ack(number % SEQS)
            model.ack(number)
        agree(ring, model)


def test_ring_refuses_what_cannot_be():
    for slots in (0, 1, 3, 100):
        with pytest.raises(ValueError, match="power of two"):
            Ring(slots, 8)
    ring = Ring(2, 8)
    for size in (0, 9, -1):
        ring.pend()
        with pytest.raises(ValueError, match="record of"):
            ring.commit(size)
    assert len(ring) == 0 and ring.next() == -1


# -- window -------------------------------------------------------------------------------------------------


class PlainWindow:
    """[packet id, sequence number, on its way] in the order of sending; closed ones in between hold a place."""

    def __init__(self, size):
        self.size, self.entries = size, []

    def close(self, pid):
        for entry in self.entries:
            if entry[0] == pid:
                entry[0] = 0
                seq = entry[1]
                while self.entries and not self.entries[0][0]:
                    self.entries.pop(0)
                return seq
        return None

    def rewind(self):
        self.entries = [[pid, seq, False] for pid, seq, _ in self.entries if pid and seq != FREE]

    def resend(self):
        for entry in self.entries:
            if entry[0] and not entry[2]:
                entry[2] = True
                return entry[0], entry[1]
        return 0, None


@given(
    st.integers(1, 9),
    st.one_of(st.integers(65500, 65535), st.integers(0, 65535)),
    st.lists(
        st.tuples(
            st.sampled_from(["open", "open", "open", "say", "close", "rewind", "stray"]),
            st.integers(0, 70000),
        )
    ),
)
@examples(400)
def test_window_matches_acknowledgements_in_any_order(size, last, events):
    window, model = Window(size), PlainWindow(size)
    window._last = last
    used = []  # ids of this connection
    seq = 0
    for event, value in events:
        if event == "rewind":
            window.rewind()
            model.rewind()
            used = []
            while True:
                pid, expected = model.resend()
                assert window.resend() == pid
                if not pid:
                    break
                assert window.seq == expected
                used.append(pid)
                if value % 3 == 0:  # acknowledged before the next is sent again
                    assert window.close(pid) == model.close(pid)
        elif event == "open" or (event == "say" and len(model.entries) < size + 3):
            assert window.full() is (len(model.entries) >= size)
            if event == "open" and window.full():
                continue
            seq += 1
            number = seq if event == "open" else FREE
            pid = window.open(number)
            assert 1 <= pid <= 65535 and pid not in [entry[0] for entry in model.entries]
            model.entries.append([pid, number, True])
            used.append(pid)
        elif event == "close" and model.entries:
            pid = model.entries[value % len(model.entries)][0]
            if pid:
                assert window.close(pid) == model.close(pid)
                assert window.close(pid) is None and window.carried(pid)  # twice is no error
        elif event == "stray" and value < 65536 and value not in [entry[0] for entry in model.entries]:
            assert window.close(value) is None
            assert not (value in used and not window.carried(value))
        assert window.open_count == len([entry for entry in model.entries if entry[0]])


def test_packet_ids_wrap_and_skip_zero_and_those_in_flight():
    window = Window(3)
    first = window.open(0)
    given_ids = []
    for seq in range(65533 * 2 + 5):
        pid = window.open(seq)
        given_ids.append(pid)
        window.close(pid)
        if window.full():  # the oldest holds its place: make room as a reconnection does
            window.rewind()
            assert window.resend() == first
    assert 0 not in given_ids and first not in given_ids
    assert given_ids[:65534] == list(range(2, 65536)) and given_ids[65534] == 2
    assert max(given_ids) == 65535


def test_a_connection_knows_which_ids_it_carried():
    window = Window(4)
    assert not window.carried(1) and not window.carried(0) and not window.carried(65535)
    window.open(7)
    assert window.carried(1) and not window.carried(2) and not window.carried(0)
    window.close(1)
    window.rewind()
    assert not window.carried(1)


# -- inbound ------------------------------------------------------------------------------------------------


def remaining_length(n):
    out = bytearray()
    while True:
        n, low = n >> 7, n & 127
        out.append(low | (128 if n else 0))
        if not n:
            return bytes(out)


def packet(first, body):
    return bytes([first]) + remaining_length(len(body)) + body


def message(topic, payload, qos, pid, dup, retain):
    flags = dup << 3 | qos << 1 | retain
    body = len(topic).to_bytes(2, "big") + topic + (pid.to_bytes(2, "big") if qos else b"") + payload
    return packet(0x30 | flags, body)


acks = st.integers(1, 65535).map(lambda pid: ((PUBACK, pid), packet(PUBACK, pid.to_bytes(2, "big"))))
greetings = st.tuples(st.integers(0, 1), st.integers(0, 5)).map(
    lambda b: ((CONNACK, b), packet(CONNACK, bytes(b)))
)
grants = st.integers(1, 65535).map(
    lambda pid: ((SUBACK, pid), packet(SUBACK, pid.to_bytes(2, "big") + b"\x01"))
)
pings = st.just(((PINGRESP, None), packet(PINGRESP, b"")))
messages = st.tuples(
    st.binary(max_size=60),
    st.binary(max_size=130),
    st.integers(0, 1),
    st.integers(1, 65535),
    st.booleans(),
    st.booleans(),
).map(lambda m: ((PUBLISH, (m[0], m[1], m[3] if m[2] else 0)), message(*m)))


def listen(max_packet=200):
    heard = []

    def on_packet(kind, body, size):
        if kind == PUBLISH:
            heard.append((kind, publish_parts(body, size, inbound.flags)))
        elif kind in (PUBACK, SUBACK):
            heard.append((kind, body[0] << 8 | body[1]))
        else:
            heard.append((kind, (body[0], body[1]) if kind == CONNACK else None))

    inbound = Inbound(max_packet, on_packet)
    return inbound, heard


@given(
    st.lists(st.one_of(acks, greetings, grants, pings, messages), max_size=12), st.lists(st.integers(1, 40))
)
@examples(300)
def test_inbound_does_not_care_where_segments_end(packets, cuts):
    inbound, heard = listen()
    stream = b"".join(raw for _, raw in packets)
    chunk = bytearray(40)
    at = 0
    while at < len(stream):
        n = min(cuts.pop() if cuts else 40, len(stream) - at)
        chunk[:n] = stream[at : at + n]
        inbound.feed(chunk, n)
        at += n
    assert heard == [expected for expected, _ in packets]


@given(
    st.lists(
        st.one_of(st.binary(max_size=50), messages.map(lambda m: m[1]), acks.map(lambda a: a[1])), max_size=6
    )
)
@examples(600)
def test_inbound_takes_any_bytes(pieces):
    inbound, _ = listen(64)
    for piece in pieces:
        try:
            inbound.feed(piece, len(piece))
        except ProtocolError:
            inbound.reset()


@pytest.mark.parametrize(
    "raw, reason",
    [
        (b"\x30\xff\xff\xff\x7f", "268435455 bytes"),
        (b"\x30\xff\xff\xff\xff", "more than four bytes"),
        (b"\x30\xc9\x01", "201 bytes"),
        (b"\x30\x04\x00\x03ab", "topic is longer"),
        (b"\x32\x05\x00\x02ab\x00", "topic is longer"),
        (b"\x30\x01\x00", "topic is longer"),
        (b"\x32\x06\x00\x02ab\x00\x00", "packet id 0"),
        (b"\x34\x00", "QoS 2"),
        (b"\x36\x00", "QoS 3"),
        (b"\x40\x03", "40 with a remaining length of 3"),
        (b"\x20\x00", "20 with a remaining length of 0"),
        (b"\xd0\x01", "d0 with a remaining length of 1"),
        (b"\x90\x02", "90 with a remaining length of 2"),
        (b"\x41", "type 41"),
        (b"\x00", "type 00"),
        (b"\x10", "type 10"),
        (b"\xe0", "type e0"),
    ],
)
def test_inbound_names_what_is_wrong(raw, reason):
    inbound, heard = listen()
    with pytest.raises(ProtocolError, match=reason):
        for i in range(len(raw)):
            inbound.feed(raw[i : i + 1], 1)
    assert not heard


# -- publish ------------------------------------------------------------------------------------------------


@given(
    st.binary(min_size=1, max_size=300).filter(lambda t: not {0x2B, 0x23} & set(t)),
    st.binary(min_size=0, max_size=20000),
    st.integers(0, 50),
    st.integers(1, 65535),
    st.booleans(),
    st.booleans(),
)
@examples(300)
def test_publish_is_what_the_standard_says(topic, payload, off, pid, dup, retain):
    publish = Publish(topic, 20000)
    publish.encode(bytes(off) + payload + b"after", off, len(payload), pid, dup, retain)
    assert bytes(publish.buf[publish.start : publish.end]) == message(topic, payload, 1, pid, dup, retain)


def test_publish_refuses_what_cannot_be():
    for topic in (b"", b"a/+/b", b"a/#", bytes(1025)):
        with pytest.raises(ValueError, match="topic"):
            Publish(topic, 10)
    with pytest.raises(ValueError, match="at most 65535"):
        Publish(b"t", 65536)
    publish = Publish(b"t", 10)
    for size, off in ((11, 0), (-1, 0), (10, 3)):
        with pytest.raises(ValueError, match="payload"):
            publish.encode(bytes(12), off, size, 1)


def test_publish_reaches_the_end_of_a_large_outbox():
    outbox = bytearray(32768 * 64)
    outbox[-64:] = bytes(range(64))
    publish = Publish(b"t", 65535)
    publish.encode(outbox, len(outbox) - 64, 64, 1)
    assert publish.buf[publish.end - 64 : publish.end] == bytes(range(64))
    publish.encode(outbox, 0, 65535, 1)
    assert publish.end - publish.start == 1 + 3 + 3 + 2 + 65535


# -- retry --------------------------------------------------------------------------------------------------


def test_a_network_that_is_away_is_tried_every_0_7_s_and_after_ten_minutes_less_often():
    print(seed := int(os.environ.get("SEED", 1)))
    retry = Retry(random.Random(seed).randrange)
    since = wait = retry.network_failed(0)
    seen = []
    while since < 2 * 86400_000:
        assert 500 <= wait <= 900 or since > 600_000
        assert wait <= 120_200
        seen.append(wait)
        wait = retry.network_failed(wait)
        since += wait
    assert max(seen[:600]) - min(seen[:600]) > 300, "jitter"
    assert seen[-1] > 60_000
    retry.connected()
    assert 500 <= retry.network_failed(0) <= 900


def test_a_broker_that_refuses_or_drops_is_left_alone_for_longer_each_time():
    retry = Retry(random.Random(2).randrange)
    for expected in (700, 1400, 2800, 5600, 11200, 22400, 44800, 89600, 120000, 120000):
        assert 0.75 * expected <= retry.broker_failed(0) <= 1.25 * expected + 1
    retry.network_failed(700)  # a cut in between does not make the broker trusted
    assert retry.broker_failed(9_999) >= 90_000
    assert retry.broker_failed(10_000) <= 876
