"""Look-ups of names: the datagrams themselves, and boards/resolver.py against a name server that misbehaves."""

import json
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns import answer, literal, question

QUERY = question("Broker.example.com", 0x1234)
NAME = QUERY[12:-4]
POINTER = b"\xc0\x0c"  # to the name in the question
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_"
LABELS = st.lists(st.text(LETTERS, min_size=1, max_size=63), min_size=1, max_size=3)


def record(owner, kind, data, kind_class=1):
    return owner + struct.pack(">HHIH", kind, kind_class, 300, len(data)) + data


def reply(*records, query=QUERY, rcode=0, flags=0x8180):
    return query[:2] + struct.pack(">5H", flags | rcode, 1, len(records), 0, 0) + query[12:] + b"".join(records)


def a(owner=POINTER, address=(192, 0, 2, 7)):
    return record(owner, 1, bytes(address))


def test_the_question_is_as_rfc_1035_has_it():
    assert question("example.com", 0xABCD) == bytes.fromhex(
        "abcd 0100 0001 0000 0000 0000 07 6578616d706c65 03 636f6d 00 0001 0001"
    )
    assert question("example.com.", 0xABCD) == question("example.com", 0xABCD)


@pytest.mark.parametrize("host", ["", ".", "a..b", "." * 5, "x" * 64, ".".join(["x" * 60] * 5)])
def test_what_can_be_no_name(host):
    with pytest.raises(ValueError):
        question(host, 1)


@pytest.mark.parametrize(
    "packet, found",
    [
        (reply(a()), "192.0.2.7"),
        (reply(a(NAME)), "192.0.2.7"),
        (reply(record(POINTER, 28, bytes(16)), a()), "192.0.2.7"),
        (reply(record(POINTER, 5, b"\x03www\xc0\x13"), a(b"\x03www\xc0\x13", (10, 0, 0, 1))), "10.0.0.1"),
        (reply(record(POINTER, 1, bytes(4), 3), a()), "192.0.2.7"),  # class CHAOS
        (reply(record(POINTER, 5, b"\x03www\xc0\x13")), 0),
        (reply(), 0),
        (reply(rcode=3), 3),
        (reply(rcode=2), 2),
        (reply(a(), flags=0x8380), "192.0.2.7"),  # truncated after it
        (reply(a(), query=QUERY.replace(b"Broker", b"bROKER")), "192.0.2.7"),
        (reply(a(), query=b"\x12\x35" + QUERY[2:]), None),
        (reply(a(), query=QUERY.replace(b"Broker", b"Br0ker")), None),
        (reply(a(), query=QUERY[:-3] + b"\x1c" + QUERY[-2:]), None),
        (reply(a(), flags=0x0180), None),  # a question
        (reply(a(), flags=0x9180), None),  # another opcode
        (reply(a())[:-1], None),
        (reply(a(b"\x80\x01")), None),
        (reply(record(POINTER, 1, b"\x01\x02"), a()), "192.0.2.7"),
    ],
)
def test_answers(packet, found):
    assert answer(packet, QUERY) == found


@given(st.binary(max_size=80), st.integers(0, 60))
def test_garbage_is_no_answer(garbage, at):
    """Nothing is raised, and nothing without the right number and name is an address."""
    assert answer(garbage, QUERY) is None or garbage[:2] == QUERY[:2]
    whole = reply(record(POINTER, 5, b"\x03www\xc0\x13"), a())
    for packet in (whole[:at] + garbage, whole[:at] + garbage + whole[at:], whole[:at]):
        found = answer(packet, QUERY)
        assert found is None or isinstance(found, int) or literal(found)
        assert found is None or packet[:2] == QUERY[:2]


@given(LABELS, st.integers(0, 65535), st.tuples(*[st.integers(0, 255)] * 4))
def test_any_name(labels, ident, address):
    query = question(".".join(labels), ident)
    text = "%d.%d.%d.%d" % address
    assert answer(reply(a(address=address), query=query), query) == text and literal(text)


@given(st.text("0123456789.ax-²", max_size=16))
def test_what_is_an_address_itself(host):
    try:
        is_one = socket.inet_ntoa(socket.inet_pton(socket.AF_INET, host)) == host
    except (OSError, UnicodeEncodeError):
        is_one = False
    # zeros in front are an address for us, but for inet_pton they are none
    assert literal(host) == is_one or any(len(part) > 1 and part[0] == "0" for part in host.split("."))


class NameServer:
    """On a loopback port: for its nth datagram, kept in `heard`, `answers(query, n)` gives what is sent back."""

    def __init__(self, answers):
        self.heard = []
        self._answers = answers
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._sock.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._sock.close()

    def _serve(self):
        while True:
            query, sender = self._sock.recvfrom(512)
            if not query:
                return
            self.heard.append(query)
            for packet in self._answers(query, len(self.heard)):
                self._sock.sendto(packet, sender)


def look_up(mpy, port, *hosts):
    """[what each host gave, longest call in us]"""
    done = mpy("host_tests/mpy/node_look_up.py", port, *hosts)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    print(mpy.name, report)
    return report


def test_found_kept_and_asked_for_again(mpy):
    with NameServer(lambda query, n: [reply(a(address=(10, 0, 0, n)), query=query)]) as server:
        report = look_up(mpy, server.port, *["broker.local"] * 11, "192.0.2.1")
    assert report["found"] == ["10.0.0.1"] * 5 + ["10.0.0.2"] * 5 + ["10.0.0.3", "192.0.2.1"]
    assert len(server.heard) == 3 and report["longest_us"] < 100_000


def test_the_first_answers_are_lost_or_none(mpy):
    def answers(query, n):
        other = bytes([query[0] ^ 1]) + query[1:]
        none = [reply(a(), query=other), b"x", reply(rcode=2, query=query)]
        return {1: [], 2: none, 3: [reply(a(), query=query)]}[n]

    with NameServer(answers) as server:
        report = look_up(mpy, server.port, "broker.local")
    assert report["found"] == ["192.0.2.7"] and len(server.heard) == 3
    assert len(set(server.heard)) == 1 and report["longest_us"] < 100_000


@pytest.mark.parametrize(
    "rcode, words", [(None, "no answer from the name server"), (3, "no address for broker.local"), (0, "no addr")]
)
def test_no_address(mpy, rcode, words):
    with NameServer(lambda query, n: [] if rcode is None else [reply(rcode=rcode, query=query)]) as server:
        report = look_up(mpy, server.port, "broker.local", "a..b")
    assert words in report["found"][0] and "no name" in report["found"][1]
    assert report["longest_us"] < 100_000


def test_an_address_that_was_known_outlives_its_name_server(mpy):
    with NameServer(lambda query, n: [reply(a(), query=query)] if n == 1 else []) as server:
        report = look_up(mpy, server.port, *["broker.local"] * 7)
    assert report["found"] == ["192.0.2.7"] * 7 and report["sockets"] == 0
