"""Questions to a whole segment: passed on by the relay, answered along the way back (docs/gossip-queries.md)."""

from struct import pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

from gossip.aggregate import merge, own, put, take
from gossip.datagram import diff

_HEAD = const(25)  # wire.py
_HAN = const(1)
_HELD = const(10)  # aggregate.py
_ROLL = const(11)  # the last function
_IED = const(1)
_NUMBER_MOST = const(0x3FFFFFFF)
_DATA = const(1)  # kinds
_REPLY = const(8)
_ASK = const(9)
_QUERY = const(11)  # type of DATA
_OK = const(0)  # wire.REASONS
_FIELD = const(6)
_DUPLICATE = const(13)
_ORIGIN = const(15)
_BUSY = const(18)
_UNASKED = const(23)
_ACK_WANTED = const(0x40)
_TAKEN = const(0)  # what an ACK says, and what became of one that was asked: it took the question,
_HAD = const(1)  # had it from elsewhere,
_REFUSED = const(2)  # refused it,
_ASKED = const(3)  # did not say yet,
_SILENT = const(4)  # never said,
_ANSWERED = const(5)  # answered
_OPEN = const(0)  # states of a query: it collects,
_PASSED = const(1)  # it has answered, what comes late goes after,
_DONE = const(2)  # nothing more comes of it
_WHAT = const(0)  # places in a child
_AT = const(1)
_TIMES = const(2)
_PART = const(3)
_MISSING = const(4)
_COUNTED = const(5)
_MOST_AT_ONCE = const(4)  # one is kept for this node, one for authorised origins that one of the view passes on
_OF_ONE = const(2)  # neighbour, whatever origins it names: the others are for others
_TRIES = const(7)  # of a question to one, and of an answer
_FIRST_MS = const(300)  # before the next one, so much more each time, and up to so much at random
_MORE_MS = const(80)
_SPREAD_MS = const(100)
_JITTER_MS = const(500)  # of the first answer
_LEAST_MS = const(200)  # that it takes to ask somebody else
_LONGEST_MS = const(120000)
_LIFE_S = const(10)  # beyond the time for the answer: for what is still on its way
_PARTS = const(255)
_COUNT_MOST = const(0xFFFF)


class Query:
    """A question that goes on, or is over: function, arg; value (a tuple, aggregate.py; None: of nobody),
    contributors, faults: of those that are counted; `missing()`."""

    state = _OPEN
    kind = _DATA
    parent = 0  # the number of the one that asked, 0: started here; back: how it is reached
    way = 7, 0, 0  # flags, r, f for those that are asked again
    value = on_answer = None
    contributors = faults = 0
    part = -1  # last of the answers that went up
    reply = b""  # the one that has to be acknowledged yet
    tries = at = 0  # times it went, ticks when it goes again

    def __init__(self, origin, seq, asked):
        self.origin, self.seq = origin, seq
        self.function, self.arg, targets, self.least = unpack_from(">BHBH", asked, 2)
        if self.function == _HELD:  # a number of 30 bits; there is no minimum
            self.arg |= (self.least & 0x3FFF) << 16
            self.least = 0
        self.targets = targets or 15
        self.asked = asked  # the payload of the question; the last two bytes are the time left
        self.children = {}  # by number: [what it said, ticks when it is asked again, times asked, part, missing,
        # contributors]

    def missing(self):
        """How many were asked and have not answered. 0: all have, and all behind them. Who was asked by several in
        vain is counted by each."""
        return min(sum([child[_MISSING] for child in self.children.values()]), _COUNT_MOST)

    def met(self):
        """Whether as many have contributed as are wanted."""
        return 0 < self.least <= self.contributors

    def enough(self):
        """Whether there is no cause to wait. Who started it waits for what comes late, too."""
        for child in self.children.values():
            if child[_WHAT] in (_TAKEN, _ASKED):
                return self.met()
        return self.met() or self.parent or self.kind == _ASK or not self.missing()

    def add(self, value, contributors, faults):
        self.value = merge(self.function, self.value, value)
        self.contributors = min(self.contributors + contributors, _COUNT_MOST)
        self.faults = min(self.faults + faults, _COUNT_MOST)

    def sum(self):
        """The payload of the next part of the answer. What comes later begins from nothing."""
        reply = bytearray(72)
        self.part += 1
        counts = self.contributors, self.faults, self.missing()
        pack_into(">BBHHH", reply, 0, self.part, self.function, *counts)
        if self.met():
            self.least = -1  # whoever answers now is not needed
        at = put(self.function, self.value, reply, 8)
        self.value, self.contributors, self.faults = None, 0, 0
        return reply[:at]


class Queries:
    """relay: Relay. value(function, arg): what this node has to say; None, a fault: it cannot say. randrange(n).

    timeout_ms: of queries that do not say. bounds(function, arg) -> (low, high) or (low, high, newest stamp): what
    one node's value can be, to which others' are clipped as well; (): any. most: contributors that are believed
    of one that was asked, and all behind it. Four go on at once. What on_answer raises counts in `relay.faults`.
    """

    timeout_ms = 15000
    most = _COUNT_MOST

    def __init__(self, relay, value, randrange):
        self._relay, self._end, self._peers = relay, relay.end, relay.peers
        self._value, self._random = value, randrange
        self._now = 0
        self._all = {}  # by (origin, seq)
        relay.on_query, relay.on_sent, relay.on_ack = self._came, self._sent, self._acked
        self._end.on[_REPLY] = self._replied
        self._end.on[_ASK] = self._plain

    def bounds(self, function, arg):
        return ()

    # -- what starts here -----------------------------------------------------------------------------------

    def start(self, now, function, arg, on_answer, targets=0, least=0, timeout_ms=0, exchange=2, to=0, **how):
        """Ask all, or with `to` only that neighbour, which asks nobody else. on_answer(query) comes once.

        targets: roles, 0: all. least: contributors that are enough, 0: all; not for HELD, whose arg has 30 bits.
        how: f, r, reach of Relay.start.
        The Query, which can be watched; None: no place.
        """
        relay, origin = self._relay, self._end.number
        self._now = now
        if not self._place(0, _MOST_AT_ONCE):
            return None
        timeout_ms = min(timeout_ms or self.timeout_ms, _LONGEST_MS)
        asked = bytearray(10)
        if function == _HELD:
            least = arg >> 16
        counts = arg & 0xFFFF, targets, least, self._less(timeout_ms)
        pack_into(">BBBHBHH", asked, 0, _QUERY, exchange, function, *counts)
        query = Query(origin, relay.seq, asked)
        query.on_answer = on_answer
        query.kind = _ASK if to else _DATA
        life_s = timeout_ms // 1000 + _LIFE_S
        self._open(query, timeout_ms, life_s)
        if to:
            relay.seq = min(query.seq + 1, _NUMBER_MOST)
            query.children[to] = [_ASKED, now, 0, -1, 1, 0]
        elif not query.met() and not relay.start(now, asked, lifetime_s=life_s, **how):
            del self._all[origin, query.seq]
            return None
        return query

    def _place(self, parent, most):
        """Whether there is room for one more query, of `most`, of that parent; one that is done makes room."""
        goes, same, busy = None, 0, 0
        for key, query in self._all.items():
            first = query.state == _PASSED and query.part < 0  # its answer waits for its jitter
            if query.state == _OPEN or query.reply or first:
                busy += 1
                same += query.parent == parent
            elif not goes:
                goes = key
        if same >= _OF_ONE or busy >= most:
            return False
        if len(self._all) == _MOST_AT_ONCE:
            if not goes:
                return False
            del self._all[goes]
        return True

    def _open(self, query, left_ms, life_s):
        """It begins here, with what this node contributes."""
        now = self._now
        query.end = now + left_ms & 0x3FFFFFFF  # ticks when it is answered at the latest, and when it is forgotten
        query.die = now + life_s * 1000 & 0x3FFFFFFF
        self._all[query.origin, query.seq] = query
        if query.kind == _DATA and (self._peers.role & query.targets or not 1 <= query.function <= _ROLL):
            self._give(query)

    def _give(self, query):
        function, arg = query.function, query.arg
        try:
            value = own(function, self._value(function, arg), self._end.number, *self.bounds(function, arg)[:2])
        except Exception:  # anybody may ask for anything: what cannot be answered must not stop the node
            value = None
        query.add(value, 1 if value else 0, 0 if value else 1)

    def _less(self, left_ms):
        """What the next one has of the time that is left here, in 10 ms."""
        return max(0, left_ms - left_ms // 8 - _LEAST_MS) // 10

    # -- what comes -----------------------------------------------------------------------------------------

    def _find(self, message):
        """The query, and the child that sent this."""
        query = self._all.get((message.origin, message.seq))
        return query, query and query.children.get(message.sender)

    def _say(self, message, i, what, part=0):
        self._relay.acknowledge(i, message.origin, message.seq, what, part)

    def _came(self, message, i, now, fresh):
        """A question. Who sent it first is the one that is answered."""
        query, child = self._find(message)
        if query or not fresh:
            if child:
                self._told(child, _HAD)
            self._say(message, i, _TAKEN if query and query.parent == message.sender else _HAD)
            return _DUPLICATE
        self._now, buf = now, message.buf
        most = _MOST_AT_ONCE - (1 if message.origin in self._relay.authorised and self._peers.in_view(i) else 2)
        if not self._place(message.sender, most):
            self._say(message, i, _REFUSED)
            return _BUSY
        query = self._asked(message)
        left_ms = min(unpack_from(">H", buf, _HEAD + 8)[0] * 10, _LONGEST_MS)
        self._open(query, left_ms, message.lifetime_s)
        self._say(message, i, _TAKEN)
        pack_into(">H", buf, _HEAD + 8, self._less(left_ms))
        if not query.targets & _IED and self._peers.role != _IED:
            buf[2] &= 255 - _HAN  # nobody there is meant, nor leads to anybody
        if query.met() or not 1 <= query.function <= _ROLL:
            buf[2] &= 0xF8
        return _OK

    def _sent(self, item, numbers):
        """The relay has passed a question on to these."""
        query = self._all.get((item.origin, item.seq))
        if query:
            query.way = item.flags | _ACK_WANTED, item.r, item.f
            for number in numbers:
                query.children[number] = [_ASKED, self._later(0), 1, -1, 1, 0]

    def _later(self, tries):
        return self._now + _FIRST_MS + tries * _MORE_MS + self._random(_SPREAD_MS) & 0x3FFFFFFF

    def _acked(self, message, i, now):
        part, what = message.buf[_HEAD + 8], message.buf[_HEAD + 9]
        query, child = self._find(message)
        if child and what <= _REFUSED:
            self._told(child, what)
        elif query and query.parent == message.sender:
            if query.reply and part == query.part:
                query.reply = b""
        else:
            return _UNASKED
        return _OK

    def _told(self, child, what):
        if child[_WHAT] != _ANSWERED:
            child[_WHAT] = what
            child[_MISSING] = what != _HAD

    def _replied(self, message, i, now):
        """An answer of one that was asked: each of its parts counts once."""
        buf, size = message.buf, message.size - 8
        query, child = self._find(message)
        if not child or child[_WHAT] == _HAD:
            return _UNASKED
        part, function, contributors, faults, missing = unpack_from(">BBHHH", buf, _HEAD)
        again = part <= child[_PART]
        if not again:
            if function != query.function:
                return _FIELD
            value = None
            counted = min(contributors, self.most - child[_COUNTED])
            if contributors:
                bounds = self.bounds(function, query.arg)
                value = take(function, buf, _HEAD + 8, size, contributors, *bounds, most=counted)
            if size if not contributors else not value:
                return _FIELD
            child[_COUNTED] += counted
            child[_WHAT], child[_PART], child[_MISSING] = _ANSWERED, part, missing
            if query.state != _DONE and query.least >= 0:
                self._now = now
                if not query.reply and not query.contributors and not query.faults:
                    query.at = self._later(0)
                query.add(value if counted else None, counted, faults)
        if query.kind == _DATA:
            self._say(message, i, _HAD if again else _TAKEN, part)
        return _DUPLICATE if again else _OK

    def _plain(self, message, i, now):
        """A plain request: what this node has to say, and nothing else."""
        reason = _ORIGIN if message.origin != message.sender else self._relay.asks(message)
        if reason:
            return reason
        query = self._asked(message)
        self._give(query)
        self._answer(query)
        return _OK

    def _asked(self, message):
        query = Query(message.origin, message.seq, message.buf[_HEAD : _HEAD + 10])
        query.parent = message.sender
        query.back = self._end.address, message.boot, _REPLY, 0x27 if message.tcp else 7
        return query

    # -- what time brings -----------------------------------------------------------------------------------

    def tick(self, now):
        """Often, best every 20 to 100 ms."""
        self._now = now
        for key, query in list(self._all.items()):
            for number, child in query.children.items():
                if child[_WHAT] == _ASKED and diff(now, child[_AT]) >= 0:
                    self._ask(query, number, child)
            if query.state == _OPEN and (diff(now, query.end) >= 0 or query.enough()):
                query.state = _PASSED if query.parent else _DONE
                query.at = now + self._random(_JITTER_MS) & 0x3FFFFFFF
                self._relay.tell(query.on_answer, query)
            if query.state == _PASSED and diff(now, query.at) >= 0:
                self._answer(query)
            if diff(now, query.die) >= 0:
                self._all.pop(key, None)

    def _ask(self, query, number, child):
        """Ask once more."""
        i = self._peers.index(number)
        left = self._less(diff(query.end, self._now))
        if i < 0 or child[_TIMES] == _TRIES or not left or query.state == _DONE:
            child[_WHAT] = _SILENT
            return
        child[_AT] = self._later(child[_TIMES])
        child[_TIMES] += 1
        pack_into(">H", query.asked, 8, left)
        self._end.out[_HEAD : _HEAD + 10] = query.asked
        life_s = max(1, diff(query.die, self._now) // 1000)
        self._end.post(i, query.kind, *query.way, query.origin, query.seq, life_s, 10)

    def _answer(self, query):
        """The answer, or what came since then, to the one that asked; again until it says that it has it."""
        if not query.reply:
            if query.part == _PARTS or not (query.contributors or query.faults or query.part < 0):
                return
            query.tries = 0
            query.reply = query.sum()
        if query.tries == _TRIES:
            query.state, query.reply = _DONE, b""
            return
        query.tries += 1
        query.at = self._later(query.tries)
        size = len(query.reply)
        self._end.out[_HEAD : _HEAD + size] = query.reply
        self._end.post_to(*query.back, 0, 0, query.origin, query.seq, 0, size, query.parent)
