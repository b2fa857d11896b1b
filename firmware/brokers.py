"""Which broker the node talks to: the nearest one that answers."""

from time import ticks_diff

from micropython import const

from firmware.dial import Dial, Unreachable

_ASK_MS = const(5000)  # between looks whether the first broker answers again
_BACK_MOST_MS = const(3600000)


class Brokers:
    """addresses: [(host, port)], nearest first. net: as for a Session. back_after_ms: how long the first must
    answer again before the node returns; twice as long after each return that failed, an hour at most.

    `host`, `port`: the one whose turn it is. `failed()`: the next one's turn; True when all had theirs.
    `connected(now)`, then `look(now)` while connected: True when it is time to go back to the first.
    """

    def __init__(self, net, addresses, back_after_ms):
        self._dial = Dial(net)
        self._addresses = addresses
        self._base_ms = self._back_ms = back_after_ms
        self._asking = False
        self._returned = False  # the first was left to be tried, and has not yet held
        self._turn = 0
        self._asked_ms = self._since_ms = self._connected_ms = 0
        self._answers = False
        self.host, self.port = addresses[0]

    def __str__(self):
        return "%s:%d" % (self.host, self.port)

    def failed(self):
        self._take((self._turn + 1) % len(self._addresses))
        if self._returned:
            self._returned = False
            self._back_ms = min(2 * self._back_ms, _BACK_MOST_MS)
        return self._turn == 0

    def connected(self, now):
        self._asked_ms = self._connected_ms = now
        self._answers = False

    def look(self, now):
        if self._turn == 0:
            if self._returned and ticks_diff(now, self._connected_ms) > self._base_ms:
                self._returned = False
                self._back_ms = self._base_ms
            return False
        if not self._asking:
            if ticks_diff(now, self._asked_ms) < _ASK_MS:
                return False
            self._asked_ms = now
        self._ask(now)
        return self._answers and ticks_diff(now, self._since_ms) >= self._back_ms

    def _ask(self, now):
        """Whether the first broker's port answers; goes on for as long as that is not known."""
        answers = False
        try:
            if not self._asking:
                self._asking = True
                self._dial.open(*self._addresses[0], now)
            sock = self._dial.step(now)
            if not sock:
                return
            sock.close()
            answers = True
        except Unreachable:
            self._dial.close()
        self._asking = False
        if answers and not self._answers:
            self._since_ms = now
        self._answers = answers

    def first(self):
        """Go back to the first."""
        self._take(0)
        self._returned = True

    def _take(self, turn):
        self._dial.close()
        self._asking = self._answers = False
        self._turn = turn
        self.host, self.port = self._addresses[turn]
