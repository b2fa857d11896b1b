"""The lossy path and the relay that stands in for it, measured from outside: plain UDP and TCP."""

import contextlib
import errno
import math
import os
import random
import socket
import threading
import time

import pytest

from host_tests.lossy_path import FAR, LossyPath, missing
from host_tests.relay import Relay

WHY = missing()
needs_namespaces = pytest.mark.skipif(bool(WHY), reason=WHY)
DATA = random.Random(3).randbytes(15_000)


@contextlib.contextmanager
def echo(host="127.0.0.1"):
    """(host, port) of a TCP server that sends back what comes."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = server.accept()
                threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer):
        with peer, contextlib.suppress(OSError):
            while chunk := peer.recv(65536):
                peer.sendall(chunk)

    with socket.create_server((host, 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()
        server.shutdown(socket.SHUT_RDWR)


def sent_back(sock, data):
    """What comes back of `data`, written in pieces of the size of a frame."""
    for at in range(0, len(data), 60):
        sock.sendall(data[at : at + 60])
    back = b""
    while len(back) < len(data) and (chunk := sock.recv(65536)):
        back += chunk
    return back


@needs_namespaces
@pytest.mark.parametrize("loss", [0, 0.1, 0.3])
def test_as_many_datagrams_vanish_as_asked(loss):
    """Counted by who receives them; five standard deviations of a binomial."""
    count = 4000
    with LossyPath(loss=loss, seed=7) as path:
        with path.far.inside():
            taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with path.near.inside():
            giver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with taker, giver:
            taker.bind((FAR, 0))
            taker.settimeout(0.5)
            heard = []
            for number in range(count):
                giver.sendto(number.to_bytes(4, "big"), taker.getsockname())
                if number % 50 == 49:  # the last of these may be lost: ask for what is certainly there
                    while path.passed + path.lost <= number:
                        time.sleep(0.001)
                    while len(heard) < path.passed:
                        heard.append(int.from_bytes(taker.recv(4), "big"))
    assert abs(len(heard) - count * (1 - loss)) <= 5 * math.sqrt(count * loss * (1 - loss))
    assert heard == sorted(heard) and path.passed + path.lost == count


@needs_namespaces
def test_the_delay_is_what_was_asked():
    with LossyPath(delay_s=0.04) as path, path.far.inside(), echo(FAR) as server, path.near.inside():
        trips = []
        for _ in range(5):
            began = time.monotonic()
            with socket.create_connection(server, 5) as sock:
                trips.append(time.monotonic() - began)
                assert sent_back(sock, b"word") == b"word"
    assert min(trips) >= 0.08, "SYN and its answer: twice the delay"
    assert min(trips) < 0.16, "and no other wait as long"


@needs_namespaces
@pytest.mark.parametrize("loss", [0, 0.25])
def test_tcp_comes_through_whole(loss):
    with LossyPath(0.002, loss, seed=3) as path, path.far.inside(), echo(FAR) as server, path.near.inside():
        with socket.create_connection(server, 30) as sock:
            sock.settimeout(60)
            assert sent_back(sock, DATA) == DATA
    assert bool(path.lost) is bool(loss)


@needs_namespaces
def test_blackhole_and_refusal():
    with LossyPath() as path, path.far.inside(), echo(FAR) as server, path.near.inside():
        with socket.create_connection(server, 5) as sock:
            path.blackhole = True
            with pytest.raises(TimeoutError):
                socket.create_connection(server, 0.3)
            path.blackhole = False
            path.refuse()
            with pytest.raises(OSError) as refused:
                socket.create_connection(server, 5)
            assert refused.value.errno == errno.ECONNREFUSED
            with pytest.raises(ConnectionResetError):
                sock.sendall(b"word")
                sock.settimeout(5)
                sock.recv(1)
            path.accept()
        with socket.create_connection(server, 5) as sock:
            assert sent_back(sock, b"word") == b"word"


@needs_namespaces
def test_nothing_is_left_behind():
    def held():
        return sorted(os.listdir("/proc/self/fd")), os.stat("/proc/thread-self/ns/net").st_ino

    before, threads = held(), threading.active_count()
    with pytest.raises(ZeroDivisionError), LossyPath() as path, path.near.inside():
        _ = 1 / 0
    assert held() == before and threading.active_count() == threads


def test_the_relay_delays_as_tcp_would():
    """Lost chunks come late, not never: by 0.2 s the first time (RFC 6298's timer as Linux has it)."""
    with echo() as (_, port), Relay(port, loss=0.3, seed=5) as relay:
        with socket.create_connection(("127.0.0.1", relay.port), 5) as sock:
            sock.settimeout(60)
            began = time.monotonic()
            for number in range(5):
                assert sent_back(sock, b"word %d" % number) == b"word %d" % number
    assert relay.lost > 0 and time.monotonic() - began >= 0.2 * relay.lost
