"""Acknowledged messages a second at several round trips, against umqtt.simple, and the latency that MQTT adds."""

import socket
import statistics
import struct
import threading
import time

import paho.mqtt.client as mqtt

from host_tests.bench.codec import node
from host_tests.conftest import Broker
from host_tests.relay import Relay

_SECONDS = 4
_LATENCY_S = 8


def rate(mode, port, rtt_ms, window=1, name="micropython"):
    """Acknowledged messages a second through a relay that delays by rtt_ms / 2 each way (0: no relay)."""
    if not rtt_ms:
        return node(name, "node_link.py", mode, "127.0.0.1", port, window, _SECONDS)["acked_per_s"]
    with Relay(port, rtt_ms / 2000) as relay:
        return node(name, "node_link.py", mode, "127.0.0.1", relay.port, window, _SECONDS)["acked_per_s"]


def latencies_mqtt(port):
    """Milliseconds from a record's making on the node to a subscriber's hands, over the broker."""
    found, ready = [], threading.Event()

    def take(_client, _data, message):
        now = time.time_ns()
        if len(message.payload) == 52:
            found.append((now - struct.unpack_from("<q", message.payload)[0]) / 1e6)

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = take
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe("bench/#", 1)
    client.loop_start()
    if not ready.wait(10):
        raise RuntimeError("the broker does not answer the subscription")
    node("micropython", "node_link.py", "latency", "127.0.0.1", port, 32, _LATENCY_S)
    client.disconnect()
    client.loop_stop()
    return found


def latencies_tcp():
    """The same records over plain TCP."""
    found = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take():
            peer, _ = server.accept()
            with peer:
                while len(record := peer.recv(52, socket.MSG_WAITALL)) == 52:
                    found.append((time.time_ns() - struct.unpack_from("<q", record)[0]) / 1e6)

        taking = threading.Thread(target=take, daemon=True)
        taking.start()
        node("micropython", "node_link.py", "tcp", "127.0.0.1", server.getsockname()[1], 1, _LATENCY_S)
        taking.join(10)
    return found


def run(folder):
    figures = {}
    broker = Broker(folder)
    try:
        for rtt_ms in (0, 20, 100):
            for window in (20, 100):
                figures[f"acked_per_s_rtt{rtt_ms}_w{window}"] = rate("ours", broker.port, rtt_ms, window)
            figures[f"acked_per_s_rtt{rtt_ms}_umqtt_simple"] = rate("simple", broker.port, rtt_ms)
            figures[f"acked_ratio_rtt{rtt_ms}_w20_umqtt_simple"] = (
                figures[f"acked_per_s_rtt{rtt_ms}_w20"] / figures[f"acked_per_s_rtt{rtt_ms}_umqtt_simple"]
            )
        figures["acked_per_s_rtt0_w32_32"] = rate("ours", broker.port, 0, 32, "micropython32")
        figures["acked_per_s_rtt100_w20_32"] = rate("ours", broker.port, 100, 20, "micropython32")
        over_mqtt = sorted(latencies_mqtt(broker.port))
    finally:
        broker.stop()
    over_tcp = sorted(latencies_tcp())
    for name, at in (("p50", 50), ("p99", 99)):
        cut = [statistics.quantiles(found, n=100)[at - 1] for found in (over_mqtt, over_tcp)]
        figures[f"latency_mqtt_{name}_ms"], figures[f"latency_tcp_{name}_ms"] = cut
        figures[f"latency_added_{name}_ms"] = cut[0] - cut[1]
    return figures, [
        "broker: mosquitto with set_tcp_nodelay true; the delaying relay ends TCP on both its sides, so Nagle's"
        " algorithm, which slows umqtt.simple on a real path of that length, does not show there",
        "latency: from a record's making on the node to the subscriber, 50 a second; tcp: straight to it",
    ]
