"""NTP: the arithmetic against RFC 5905, and a node's clock against servers on loopback with ways of their own."""

import calendar
import json
import socket
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tests.conftest import free_port
from timebase.ntp import SIZE, answer, request

COOKIE = bytes(range(1, 9))
UNIX = 2208988800  # 1970 in seconds since 1900 (RFC 5905, figure 4)
ERA = 1 << 32


def stamp(seconds):
    """A time of the Unix scale as NTP writes it, rounded down."""
    return struct.pack(">Q", int((seconds + UNIX) % ERA) << 32 | int(seconds % 1 * ERA))


def packet(receive, transmit, origin=COOKIE, stratum=2, first=0x24, precision=-20, root=(0.0, 0.0), refid=b"GPS\0"):
    fixed = [int(seconds * 65536) for seconds in root]
    head = struct.pack(">BBbbII4s", first, stratum, 6, precision, *fixed, refid)
    return head + stamp(receive) + origin + stamp(receive) + stamp(transmit)


def test_the_question():
    buf = bytearray(b"x" * 60)
    request(buf, COOKIE)
    assert buf == bytes([0x23]) + bytes(39) + COOKIE + b"x" * 12 and len(buf[:SIZE]) == 48


@pytest.mark.parametrize(
    "date, era, seconds",  # RFC 5905, figure 4, as far as a node may live
    [
        ((1970, 1, 1), 0, 2208988800),
        ((1972, 1, 1), 0, 2272060800),
        ((1999, 12, 31), 0, 3155587200),
        ((2036, 2, 8), 1, 63104),
    ],
)
def test_the_eras_of_the_standard(date, era, seconds):
    unix = calendar.timegm((*date, 0, 0, 0))
    assert unix + UNIX == era * ERA + seconds
    sec, us, _ = answer(packet(unix, unix), COOKIE, 0)
    assert (sec + (1 << 31), us) == (unix, 0)


def test_half_of_the_way_and_half_of_the_error():
    """Clause 8: offset ((T2 - T1) + (T3 - T4)) / 2, delay (T4 - T1) - (T3 - T2)."""
    t1, t2, t3, t4 = 100.0, 1_770_000_000.25, 1_770_000_000.375, 100.625
    sec, us, error_us = answer(packet(t2, t3, root=(0.5, 0.25)), COOKIE, round((t4 - t1) * 1e6))
    offset, delay = ((t2 - t1) + (t3 - t4)) / 2, (t4 - t1) - (t3 - t2)
    assert sec + (1 << 31) + us / 1e6 == pytest.approx(t4 + offset, abs=1e-6)
    distance = (delay + 0.5) / 2 + 0.25  # the root distance of clause 11.2.3, without what this clock adds
    assert distance * 1e6 <= error_us <= distance * 1e6 + 100


@pytest.mark.parametrize(
    "changed, found",
    [
        ({"origin": bytes(8)}, None),
        ({"first": 0x23}, None),  # a question
        ({"first": 0x25}, None),  # broadcast
        ({"first": 0xE4}, "the server has no time itself"),  # leap 3
        ({"stratum": 16}, "the server has no time itself"),
        ({"root": (0, 16)}, "the server has no time itself"),
        ({"root": (20, 10)}, "the server has no time itself"),
        ({"precision": 1}, "the server has no time itself"),
        ({"transmit": 1_769_999_999.9}, "the server's times contradict each other"),
        ({"transmit": 1_770_000_000.5}, "the server's times contradict each other"),  # longer than the whole trip
        ({"stratum": 0, "refid": b"RATE"}, "kiss-o'-death RATE"),
        ({"stratum": 0, "refid": b"\0\xffX\n"}, "kiss-o'-death ??X?"),
        ({"stratum": 0, "refid": b"DENY", "origin": bytes(8)}, None),  # anybody can say that
    ],
)
def test_answers_of_no_use(changed, found):
    fields = {"receive": 1_770_000_000.0, "transmit": 1_770_000_000.0, **changed}
    assert answer(packet(**fields), COOKIE, 20_000) == found


@given(st.binary(max_size=70), st.integers(0, 10**7))
def test_garbage_is_no_answer(garbage, trip_us):
    assert answer(garbage, COOKIE, trip_us) is None
    whole = bytes([0x24]) + garbage[:23].ljust(23, b"\1") + COOKIE + garbage[23:].ljust(16, b"\1")
    found = answer(whole, COOKIE, trip_us)
    assert isinstance(found, str) or 0 <= found[1] < 1_000_000 and found[2] >= 0


SECONDS = st.integers(calendar.timegm((2020, 1, 1, 0, 0, 0)), calendar.timegm((2103, 1, 1, 0, 0, 0)))
US = st.integers(0, 2_000_000)


@given(SECONDS, US, US, st.integers(0, 100_000), st.integers(-30_000, 30_000), st.integers(-100, 100))
def test_the_error_holds(began, there_us, back_us, served_us, off_us, ppm):
    """Whatever way took how long, whatever the server is off within its claim: also across 2036 and 2038."""
    off, claim = off_us / 1e6, abs(off_us) / 1e6 + 1 / 65536
    receive_us, transmit_us = there_us, there_us + served_us
    trip_us = transmit_us + back_us
    raw = bytearray(packet(0, 0, root=(0, claim)))
    for at, us in ((32, receive_us), (40, transmit_us)):
        whole, fraction = divmod(us + off_us, 1_000_000)
        raw[at : at + 8] = struct.pack(">II", (began + whole + UNIX) % ERA, (fraction << 32) // 1_000_000)
    assert off <= claim
    found = answer(bytes(raw), COOKIE, trip_us + trip_us * ppm // 1_000_000)
    sec, us, error_us = found
    away_us = (sec + (1 << 31) - began) * 1_000_000 + us - trip_us
    assert abs(away_us) <= error_us, (away_us, error_us)
    assert error_us <= (there_us + back_us) // 2 + abs(off_us) + 100 + trip_us // 5000  # both clocks' 100 ppm


# -- a node's clock -----------------------------------------------------------------------------------


class Server:
    """On loopback: sends what `answers(question, now, n)` gives for its nth datagram, as (delay_s, packet)."""

    def __init__(self, answers, port, host="127.0.0.1"):
        self._answers = answers
        self.heard = []
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((host, port))
        self._place = (host, port)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._sock.sendto(b"", self._place)
        self._thread.join(10)
        self._sock.close()

    def _serve(self):
        while True:
            question, sender = self._sock.recvfrom(512)
            if not question:
                return
            self.heard.append(question)
            for delay_s, raw in self._answers(question, time.time(), len(self.heard)):
                time.sleep(delay_s)
                self._sock.sendto(raw, sender)


def honest(question, now, n, **fields):
    return [(0, packet(now, time.time(), question[40:48], **fields))]


def node(mpy, port, seconds=2, servers=("127.0.0.1",), **options):
    options = {"servers": servers, "port": port, "seconds": seconds, **options}
    done = mpy("host_tests/mpy/node_ntp.py", json.dumps(options), timeout_s=60)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    print(mpy.name, report)
    assert report["gap_ms"] < 1000, "another task had to wait"
    return report


def within(report, off_us=0):
    return abs(report["away_us"] - off_us) <= report["bound_us"]


def test_the_time_is_known_at_once(mpy):
    port = free_port()
    with Server(honest, port) as server:
        report = node(mpy, port)
    assert report["known_ms"] < 1500 and within(report) and report["bound_us"] <= 10_000
    assert len(server.heard) == 4 and len({question[40:] for question in server.heard}) == 4
    assert all(question[:40] == bytes([0x23]) + bytes(39) for question in server.heard)
    assert report["stepped"] == 1 and abs(report["offset_s"]) <= 3, "the RTC was told"


def test_the_answer_with_the_least_delay_counts(mpy):
    def answers(question, now, n):
        return [(0.001 if n == 3 else 0.15, packet(now, now, question[40:48]))]

    port = free_port()
    with Server(answers, port):
        report = node(mpy, port, 3)
    assert within(report) and report["bound_us"] <= 10_000, "150 ms would be 75 ms"
    assert report["known_ms"] > 300 and report["stepped"] == 1, "not by the first two"


def test_an_answer_that_no_step_can_follow_is_taken_over_at_once(mpy):
    def answers(question, now, n):
        return honest(question, now, n) if n == 1 else []

    port = free_port()
    with Server(answers, port):
        report = node(mpy, port, 3)
    assert within(report) and report["stepped"] == 1, "four failures would take six seconds"


def test_a_bad_answer_is_taken_over_when_no_better_one_comes(mpy):
    def answers(question, now, n):
        return [(0.15, packet(now, now, question[40:48]))] if n == 1 else honest(question, now, n, first=0xE4)

    port = free_port()
    with Server(answers, port):
        report = node(mpy, port, 5)
    assert report["known_ms"] > 1000 and within(report) and report["stepped"] == 1


RATE = """
import asyncio, sys
from firmware.log import Log
from firmware.ntp import Asker
async def ask(server):
    return "kiss-o'-death RATE"
asker = Asker(None, None, ["a"], int(sys.argv[1]), Log(print, "error"))
asker._ask = ask
for _ in range(int(sys.argv[2])):
    wait_ms = asyncio.run(asker._work(None))
print(wait_ms)
"""


@pytest.mark.parametrize(
    "every_s, times, wait_s", [(16, 1, 4), (16, 30, 3600), (1800, 30, 3600), (3600, 30, 3600), (86400, 30, 8192)]
)
def test_after_a_kiss_it_never_asks_more_often(mpy, every_s, times, wait_s):
    done = mpy("-c", RATE, every_s, times)
    assert done.stdout.split() == [str(wait_s * 1000)], done.stdout + done.stderr


def test_what_is_not_meant_for_us_is_not_believed(mpy):
    def answers(question, now, n):
        late = now + 3600
        return [
            (0, packet(late, late, bytes(8))),
            (0, packet(late, late, question[40:48], first=0x23)),
            (0, b"\x24" * 20),
            (0.02, packet(time.time(), time.time(), question[40:48])),
        ]

    port = free_port()
    with Server(answers, port):
        report = node(mpy, port)
    assert report["known_ms"] and within(report)


@pytest.mark.parametrize("code, asked", [(b"DENY", 1), (b"RSTR", 1), (b"RATE", None)])
def test_a_kiss_of_death_is_honoured(mpy, code, asked):
    """The next one is asked, this one no more; after RATE less often."""

    def kiss(question, now, n):
        return honest(question, now, n, stratum=0, refid=code)

    port = free_port()
    with Server(kiss, port) as first, Server(honest, port, "127.0.0.2") as second:
        report = node(mpy, port, servers=("127.0.0.1", "127.0.0.2"))
    assert report["known_ms"] and within(report) and report["server"] == "127.0.0.2"
    assert f"NTP 127.0.0.1: kiss-o'-death {code.decode()}" in report["log"]
    assert len(first.heard) == 1 and len(second.heard) == 4
    with Server(kiss, port) as only:
        report = node(mpy, port)
    assert report["known_ms"] is None and (len(only.heard) == asked if asked else len(only.heard) <= 8)


def test_a_silent_server_and_one_without_time_are_passed_over(mpy):
    def unsynchronised(question, now, n):
        return honest(question, now, n, first=0xE4)

    port = free_port()
    servers = ("127.0.0.1", "127.0.0.2", "no.such.host.invalid.", "127.0.0.3")
    with Server(unsynchronised, port, "127.0.0.2"), Server(honest, port, "127.0.0.3"):
        report = node(mpy, port, 5, servers)
    assert report["known_ms"] and within(report) and report["server"] == "127.0.0.3"
    assert "NTP 127.0.0.1: no answer" in report["log"]
    assert "NTP 127.0.0.2: the server has no time itself" in report["log"]
    assert report["log"][-1] == "NTP 127.0.0.3: answers"


@pytest.mark.parametrize("off_s", [3600, -3600])
def test_a_server_that_is_stepped(mpy, off_s):
    """Its word is taken when it stands by it; in between nothing is claimed."""

    def answers(question, now, n):
        off = off_s if n > 5 else 0
        return [(0, packet(now + off, time.time() + off, question[40:48]))]

    port = free_port()
    with Server(answers, port):
        report = node(mpy, port, 5, every_s=1)
    assert within(report, off_s * 1_000_000) and report["stepped"] == 2
    assert "NTP 127.0.0.1: contradicts what was known" in report["log"]


def test_across_the_end_of_the_era(mpy):
    """From the last seconds before 2036-02-07 06:28:16 into the next era."""
    off = ERA - UNIX - int(time.time()) - 2

    def answers(question, now, n):
        return [(0, packet(now + off, time.time() + off, question[40:48]))]

    port = free_port()
    with Server(answers, port):
        report = node(mpy, port, 5, every_s=1)
    assert within(report, off * 1_000_000) and report["stepped"] == 1 and not report["last_error"]
