"""The QoS 1 messages in flight: which packet id carries which record, in the order they were sent."""

import array

try:
    import micropython
    from micropython import const
except ImportError:  # CPython: the same source as plain Python
    from plainviper import const, micropython, ptr16

FREE = -1  # in place of a sequence number: no record. No negative one is sent again after a reconnection

_SPARE = const(8)  # places beyond the window, for what is said besides records
_GREETING = const(4)  # of them, for the begin of a connection


@micropython.viper
def _find(pids: ptr16, pid: int, head: int, sizes: int) -> int:
    """How far behind place `head` is `pid`, or -1; sizes = length of pids << 12 | how many to look at."""
    size = sizes >> 12
    for i in range(sizes & 0xFFF):
        at = head + i
        if at >= size:
            at -= size
        if int(pids[at]) == pid:
            return i
    return -1


class Window:
    """Up to `size` messages in flight. Allocates nothing after the constructor.

    `open(seq)` gives a packet id: 1..65535, wrapping, never one in flight. `close(pid)` gives the sequence
    number of an acknowledged one, in any order. After a reconnection `rewind()`; then `resend()` gives each
    open entry again, oldest first, under the packet id it had (MQTT-4.4.0-1).
    """

    def __init__(self, size):
        if not 1 <= size <= 1024:
            raise ValueError("window %d: from 1 to 1024 messages" % size)
        self.size = size
        self._places = size + _SPARE
        self._pids = array.array("H", bytes(2 * self._places))  # 0: closed
        self._seqs = array.array("i", bytes(4 * self._places))
        self._head = 0  # place of the oldest entry
        self._span = 0  # entries from the oldest to the newest, closed ones between them included
        self._again = 0  # entries of the span that are on their way on this connection
        self._last = 0  # the packet id given last
        self._carried = 0  # how many ids up to it this connection may have used
        self.open_count = 0
        self.seq = FREE  # of the entry that `resend` gave

    def full(self):
        """No room for a record. What is said besides has places of its own."""
        return self._span >= self.size

    def nearly_full(self):
        """Room for one more."""
        return self._span == self.size - 1

    def silent(self):
        """No room for a STATUS either."""
        return self._span >= self._places - _GREETING

    def open(self, seq):
        """The packet id under which `seq` is sent now."""
        if self._span == self._places:
            raise ValueError("window: no place for another message")
        pid = self.next_id()
        at = self._place(self._span)
        self._pids[at] = pid
        self._seqs[at] = seq
        self._span += 1
        self.open_count += 1
        if self._again == self._span - 1:
            self._again = self._span
        return pid

    def next_id(self):
        """The next packet id that is not in flight."""
        while True:
            self._last = self._last + 1 if self._last < 65535 else 1
            if self._carried < 65535:
                self._carried += 1
            if self._behind(self._last) < 0:
                return self._last

    def carried(self, pid):
        """Whether this connection may have used `pid`: an acknowledgement that comes twice is no error."""
        return pid > 0 and (self._last - pid) % 65535 < self._carried

    def close(self, pid):
        """The sequence number that travelled as `pid`, now acknowledged, or None if none is in flight as that."""
        i = self._behind(pid) if pid else -1
        if i < 0:
            return None
        at = self._place(i)
        seq = self._seqs[at]
        self._pids[at] = 0
        self.open_count -= 1
        while self._span and not self._pids[self._head]:
            self._head = self._place(1)
            self._span -= 1
            if self._again:
                self._again -= 1
        return seq

    def rewind(self):
        """A new connection: open records are to be sent again; what has a negative number is forgotten."""
        kept = 0
        for i in range(self._span):
            at = self._place(i)
            pid, seq = self._pids[at], self._seqs[at]
            if pid and seq >= 0:
                to = self._place(kept)
                self._pids[to] = pid
                self._seqs[to] = seq
                kept += 1
        self._span = self.open_count = kept
        self._again = 0
        self._carried = (self._last - self._pids[self._head]) % 65535 + 1 if kept else 0

    def resend(self):
        """The next packet id to send again, its record in `seq`; 0 when all are on their way."""
        while self._again < self._span:
            at = self._place(self._again)
            if self._pids[at] and self._seqs[at] >= 0:
                self._again += 1
                self.seq = self._seqs[at]
                return self._pids[at]
            self._again += 1
        return 0

    def _place(self, i):
        i += self._head
        return i - self._places if i >= self._places else i

    def _behind(self, pid):
        return _find(self._pids, pid, self._head, self._places << 12 | self._span)
