"""Two nodes, processes that UDP does not join: a seed over TCP does, both ways; noise on that port is put out."""

import json
import socket

from host_tests.conftest import free_port
from host_tests.lean_rig import configuration
from host_tests.mqtt_rig import Process, wait_for


class Talker(Process):
    def __init__(self, mpy, path):
        super().__init__(mpy.command("host_tests/mpy/gossip_talker.py", path, heapsize="512k"), mpy.environment())

    def status(self):
        said = [line for line in list(self.lines) if line.startswith("status ")]
        return json.loads(said[-1][7:]) if said else {}

    def heard(self, who):
        return {line for line in list(self.lines) if line.startswith(f"heard from {who} ")}

    def until(self, condition, what, most_s=30):
        wait_for(condition, what, most_s)


def put_out(port, noise):
    """Whether the node closes a connection that says this."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.settimeout(10)
        sock.sendall(noise)
        try:
            return sock.recv(1) == b""
        except ConnectionResetError:
            return True


def test_two_over_tcp(mpy, tmp_path):
    listens, away = free_port(), free_port()
    gossip = {"segment_key": "11" * 32, "group": "", "period_s": 1}
    first = configuration(tmp_path, "first", role="meter", gossip={**gossip, "port": listens, "tcp": True})
    seeds = [f"tcp://127.0.0.1:{listens}"]
    path = configuration(tmp_path, "second", role="meter", gossip={**gossip, "port": away, "seeds": seeds})
    with Talker(mpy, first) as one:
        one.until(lambda: one.status(), "its start")
        with Talker(mpy, path) as two:
            two.until(lambda: len(two.heard("first")) >= 3, "what the first said")
            two.until(lambda: len(one.heard("second")) >= 3, "what the second said")
            assert (one.status()["tcp"], two.status()["tcp"]) == (1, 1)
            assert put_out(listens, b"GET / HTTP/1.1\r\n\r\n") and put_out(listens, bytes(100))
            two.until(lambda: one.status()["garbage"] == 2, "counted")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:  # recorded of a connection, said by UDP
                sock.sendto(bytes([1, 0x26, 0x27]) + bytes(40), ("127.0.0.1", listens))
            two.until(lambda: one.status()["received"].get("field") == 1, "counted")
            before = len(one.heard("second"))
            two.until(lambda: len(one.heard("second")) > before, "that they go on")
            two.kill()
        one.until(lambda: one.status()["tcp"] == 0, "the end of the connection")
        with Talker(mpy, path) as two:  # another boot, another port
            two.until(lambda: two.heard("first"), "the first again")
            heard = len(one.heard("second"))
            two.until(lambda: len(one.heard("second")) > heard, "the second again")
