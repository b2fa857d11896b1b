"""On MicroPython: publishes 52-byte records and prints one JSON object.

    node_link.py ours HOST PORT WINDOW SECONDS      acknowledged messages a second, through Link and Session
    node_link.py simple HOST PORT 1 SECONDS         the same with umqtt.simple, as it comes
    node_link.py latency HOST PORT WINDOW SECONDS   50 records a second, each with the time at its begin
    node_link.py tcp HOST PORT 1 SECONDS            the same over plain TCP
"""

import asyncio
import json
import random
import socket
import struct
import sys
import time

TOPIC = b"bench/secondary-station/1/PMU/1"


class Status:
    def __init__(self):
        from mqtt.publish import Publish

        self.packet = Publish(b"bench/secondary-station/1/STATUS/1", 16)

    def payload(self, state):
        return b"{}"


class Network:
    """As the unix board's, without looking for TLS."""

    def look_up(self, host, now):
        return host

    def connect(self, host, port):
        sock = socket.socket()
        sock.setsockopt(6, 1, 1)
        sock.setblocking(False)
        try:
            sock.connect(socket.getaddrinfo(host, port)[0][-1])
        except OSError as e:
            if e.errno != 115:
                raise
        return sock


def make_link(host, port, window):
    from plain_outbox import follow_up, plain_outbox

    from firmware.brokers import Brokers
    from firmware.link import Link
    from firmware.log import Log
    from firmware.session import Session
    from mqtt.publish import Publish
    from mqtt.timing import Retry

    outbox = plain_outbox(1024, 52, window)
    net = Network()
    session = Session(b"bench", net, window=window)
    retry = Retry(lambda n: random.getrandbits(16) % n)
    follow, brokers = follow_up(outbox, b"bench/"), Brokers(net, [(host, port)], 60000)
    live, log = Publish(TOPIC, 52), Log(print_error, "warning")
    link = Link(session, outbox, follow, retry, brokers, False, live, b"C", Status(), None, 5000, log)
    session.on_acked = link.acked
    return link, outbox


def print_error(text):
    print(text, file=sys.stderr)


def put(outbox, record):
    off = outbox.pend()
    outbox.buf[off : off + len(record)] = record
    outbox.commit(len(record), 1, time.ticks_ms() & 0x3FFFFFFF)


async def ours(link, outbox, seconds, window):
    record = bytes(52)
    task = asyncio.create_task(link.run())
    while not link.connections or link.session.window.open_count:
        await asyncio.sleep_ms(1)
    before = link.session.acknowledged
    begin = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), begin) < seconds * 1000:
        while len(outbox) < 2 * window:
            put(outbox, record)
        await asyncio.sleep_ms(0)
    done = link.session.acknowledged - before
    passed = time.ticks_diff(time.ticks_ms(), begin)
    task.cancel()
    return {"acked_per_s": done * 1000 / passed, "again": link.session.again, "dropped": outbox.dropped}


def simple(host, port, seconds):
    from umqtt.simple import MQTTClient

    client = MQTTClient(b"bench", host, port)
    client.connect()
    record = bytes(52)
    done = 0
    begin = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), begin) < seconds * 1000:
        client.publish(TOPIC, record, qos=1)
        done += 1
    return {"acked_per_s": done * 1000 / time.ticks_diff(time.ticks_ms(), begin)}


def record_now():
    return struct.pack("<q", time.time_ns()) + bytes(44)


async def latency(link, outbox, seconds):
    task = asyncio.create_task(link.run())
    while not link.connections:
        await asyncio.sleep_ms(1)
    for _ in range(50 * seconds):
        await asyncio.sleep_ms(20)
        put(outbox, record_now())
        link.pump()
    while len(outbox):
        await asyncio.sleep_ms(5)
    task.cancel()
    return {}


def tcp(host, port, seconds):
    sock = socket.socket()
    sock.setsockopt(6, 1, 1)
    sock.connect(socket.getaddrinfo(host, port)[0][-1])
    for _ in range(50 * seconds):
        time.sleep_ms(20)
        sock.write(record_now())
    sock.close()
    return {}


mode, host, port, window, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
if mode == "simple":
    result = simple(host, port, seconds)
elif mode == "tcp":
    result = tcp(host, port, seconds)
else:
    link, outbox = make_link(host, port, window)
    run = ours(link, outbox, seconds, window) if mode == "ours" else latency(link, outbox, seconds)
    result = asyncio.run(run)
print(json.dumps(result))
