"""Asks NTP servers what time it is, one at a time, without holding anybody up."""

import asyncio
import os
import select
from time import ticks_diff, ticks_ms, ticks_us

from micropython import const

from timebase.ntp import SIZE, answer, request

_FIRST = const(4)  # answers soon after each other, or failures: the one with the least delay counts
_SHARP_US = const(200000)  # so long an answer is looked for every 2 ms; what it lies about is counted as error
_MOST_US = const(1500000)
_BANNED_MS = const(86400000)  # a server that said it does not want to be asked
_SLOWEST_MS = const(3600000)


class Asker:
    """clock: the board's, with `sampled`. network: the board's. servers: names or addresses. every_s: between
    questions once the time is known. log: a Log.

    `run(learn)`: for ever; learn() is called after each answer that may have made the time known.
    `server`: who is asked; `last_error`: what came of it, if no time.
    """

    PAUSE_MS = 2000  # between questions that follow each other: no faster (RFC 5905, clause 7.5.1: BTIME)

    def __init__(self, clock, network, servers, every_s, log, port=123):
        self._clock = clock
        self._net = network
        self._addresses = servers
        self._port = port
        self._wait_ms = every_s * 1000
        self._log = log
        self._turn = 0
        self._failed = 0  # times in a row
        self._first = _FIRST
        self._refusals = {}  # by server: since when
        self._packet = bytearray(SIZE)
        self.server = servers[0] if servers else ""
        self.last_error = ""

    async def run(self, learn):
        while self._addresses:
            wait_ms = await self._work(learn)
            await asyncio.sleep_ms(wait_ms)

    async def _work(self, learn):
        """Ask the one whose turn it is; how long to wait for the next."""
        self.server = server = self._addresses[self._turn]
        since = self._refusals.get(server)
        if since is not None and ticks_diff(ticks_ms(), since) < _BANNED_MS:
            found = "does not want to be asked"
        else:
            self._refusals.pop(server, None)
            try:
                found = await self._ask(server)
            except (OSError, ValueError) as e:  # ValueError: it can be no name
                found = str(e)
        if not isinstance(found, str):
            return self._take(learn, found)
        if found != self.last_error:
            self._log.warning("NTP %s: %s", server, found)
            self.last_error = found
        if found.startswith("kiss"):
            if found.endswith("RATE"):
                self._wait_ms = max(self._wait_ms, min(2 * self._wait_ms, _SLOWEST_MS))
            elif found[-4:] in ("DENY", "RSTR"):
                self._refusals[server] = ticks_ms()
        self._next()
        self._failed += 1
        if self._failed == _FIRST and self._first < _FIRST:
            self._tell(learn)  # nothing better comes
        if self._failed % len(self._addresses):
            return self.PAUSE_MS
        return min(self.PAUSE_MS << min(self._failed // len(self._addresses), 12), self._wait_ms)

    def _take(self, learn, used):
        """used: by Clock.sampled. The next question is soon until enough have answered, or when one contradicts."""
        self._failed = 0
        if self.last_error:
            self.last_error = ""
            self._log.info("NTP %s: answers", self.server)
        if used is None:
            self._log.warning("NTP %s: contradicts what was known", self.server)
            self._next()
            return self.PAUSE_MS
        if self._first:
            self._first -= 1
        if not self._first or self._clock.close():
            self._tell(learn)
        return self.PAUSE_MS if self._first else self._wait_ms

    def _tell(self, learn):
        self._clock.content = True
        learn()

    def _next(self):
        self._turn = (self._turn + 1) % len(self._addresses)

    async def _ask(self, server):
        """What Clock.sampled made of the answer, or a str why there is none. OSError."""
        network = self._net
        while True:
            address = network.look_up(server, ticks_ms())
            if address:
                break
            await asyncio.sleep_ms(50)
        token = os.urandom(8)
        request(self._packet, token)
        sock = network.udp()
        try:
            poller = select.poll()
            poller.register(sock, select.POLLIN)
            sent = ticks_us()
            sock.sendto(self._packet, network.place(address, self._port))
            while True:
                for _ in poller.ipoll(0):
                    packet, _ = sock.recvfrom(128)
                    tick = ticks_us()
                    found = answer(packet, token, ticks_diff(tick, sent))
                    if isinstance(found, str):
                        return found
                    if found:
                        return self._clock.sampled(found[0], found[1], tick, found[2])
                passed = ticks_diff(ticks_us(), sent)
                if passed > _MOST_US:
                    return "no answer"
                await asyncio.sleep_ms(2 if passed < _SHARP_US else 20)
        finally:
            sock.close()
