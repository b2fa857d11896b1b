"""The demonstration's witness: another subscriber of the broker, which keeps all that the node publishes."""

import asyncio
import json
import time

import paho.mqtt.client as mqtt

from c37118.frame import DATA, kind_of
from gridmote.demo.evidence import Published
from gridmote.fault import Fault
from gridmote.frame.raw import whole_frames

_PATIENCE_S = 15.0


class Watcher:
    """As an `async with` block, while the broker runs; its session outlives the broker's death.

    seen: Evidence, whose `published`, `status` and `statuses` it fills.
    """

    def __init__(self, broker, place, node_id, seen):
        self._seen = seen
        self._ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        kinds = {kind: f"{place}/{kind}/{node_id}" for kind in ("PMU", "PMU-BACKFILL", "STATUS")}
        self._live, self._status = kinds["PMU"], kinds["STATUS"]
        self._client = client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id="gridmote-demo-witness", clean_session=False)
        client.reconnect_delay_set(0.2, 0.5)
        client.on_connect = lambda c, *_: c.subscribe([(topic, 1) for topic in kinds.values()])
        client.on_subscribe = lambda *_: self._loop.call_soon_threadsafe(self._ready.set)
        client.on_message = self._message
        client.connect_async(broker.host, broker.port)

    async def __aenter__(self):
        self._client.loop_start()
        try:
            await asyncio.wait_for(self._ready.wait(), _PATIENCE_S)
        except TimeoutError:
            await self.__aexit__()
            raise Fault("the broker does not answer") from None
        return self

    async def __aexit__(self, *_):
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def _message(self, client, userdata, message):
        if message.topic == self._status:
            self._seen.status = status = json.loads(message.payload)
            if "boot" in status:
                self._seen.statuses[status["boot"]] = status
            return
        live, now_us = message.topic == self._live, time.time_ns() // 1000
        for frame in whole_frames(message.payload):
            if kind_of(frame) == DATA:
                self._seen.published.append(Published(frame, live, now_us))
