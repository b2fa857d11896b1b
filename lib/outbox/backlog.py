"""Makes messages of what waits in the logs: durable records first, then the stream, oldest first."""

from outbox.configs import UNKNOWN, Configs, signature
from outbox.durable import RECORD_MOST
from outbox.reader import LEAD, Reader
from outbox.record import BLOCK_HEAD, CONFIG, EVENT, FRAME, METER, RECORD, UNTIMED, get_u32, shift

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

IN_FLIGHT = 4  # messages
_TOKEN_LAST = const(-(1 << 20))
_PREFIX = const(4)  # bytes of boot in front of an UNTIMED message
_ENTRY = const(10)  # bytes in front of each of its frames
_PASSED = const(0)
_TAKEN = const(1)
_AGAIN = const(2)
_STOP = const(3)
_MSG_TQ = const(10)  # byte of a frame whose low 4 bits are F while the time is not known (Table 6)


class _Flight:
    """A message on its way: token (0: acknowledged), where its reader stood before it, what it carries."""

    def __init__(self, token, reader, state, records, ram):
        self.token = token
        self.reader = reader
        self.state = state
        self.records = records
        self.number = reader.number if reader else 0  # in which segment, and where
        self.at = reader.at - 1 if reader else 0
        self.ram = ram  # the record, if it was one that is in RAM only


class Backlog:
    """durable, stream: the logs. boots: Boots. payload_most: bytes of a message of several frames.

    restamp(config) -> object with move(buf, off, offset) and move_config(buf, off, offset), both True on success,
    for frames of a boot that learned the time later; ValueError if it cannot be for this configuration.
    live_config: the CFG-2 frame that the receiver has already. One that does not fit into `most` bytes is passed
    over and counted as corrupt.

    `next()` gives the kind of a message, 0 for none now: METER or EVENT (one record), CONFIG (a CFG-2 frame), FRAME
    (data frames) or UNTIMED (boot u32; then for each frame number u48, ticks u32, the frame). It is in buf[:size],
    at most `most` bytes of `records` records, until the next call. Up to 4 are in flight: `ack(token)` in any
    order; `rewind()` when the connection is lost: what was not acknowledged comes again, under other tokens.

    A call reads flash a few times at most: 0 may mean that there was much to pass over. failed: a log could not be
    read; it is left alone until `retry()`, which is to come seconds later.
    """

    def __init__(self, durable, stream, boots, payload_most, restamp, live_config):
        self.most = max(payload_most, RECORD_MOST, len(live_config))
        self._payload_most = payload_most
        self.buf = bytearray(LEAD + max(self.most + BLOCK_HEAD + RECORD, payload_most + payload_most // 4))
        self._boots = boots
        self._log = stream
        self._durable_log = durable
        self._durable = Reader(durable, self.buf)
        self._stream = Reader(stream, self.buf)
        self._live = self._announced = signature(live_config, 0, len(live_config))
        self._configs = Configs(self._stream, boots.boot, restamp, self.most)
        self._flights = []
        self.token = -1
        self.size = self.records = 0
        self._kind = 0  # of the message that is being made, and its boot
        self._boot = 0

    def use(self, buf):
        """Before the first `next`: this buffer, no shorter than `buf`. Between calls others may write there."""
        self.buf = self._durable.buf = self._stream.buf = buf

    def __len__(self):
        """Records that wait, those in flight included."""
        return self._durable_log.waiting + len(self._durable_log.ram) + self._log.waiting

    @property
    def failed(self):
        return self._durable.reads < 0 or self._stream.reads < 0

    def retry(self):
        self._durable.reads = self._stream.reads = 0

    def ready(self):
        """Whether another message may be in flight."""
        return len(self._flights) < IN_FLIGHT

    def next(self, hold_untimed=False, durable_only=False):
        """hold_untimed: frames of the present boot wait while its time is not known."""
        if not self.ready():
            return 0
        return self._next_durable() or self._next_ram() or (0 if durable_only else self._next_stream(hold_untimed))

    def _send(self, kind, size, reader, state, records, ram=None):
        self.token = self.token - 1 if self.token > _TOKEN_LAST else -2
        self._flights.append(_Flight(self.token, reader, state, records, ram))
        self.size = size
        self.records = max(1, records)
        return kind

    # -- durable ------------------------------------------------------------------------------------------

    def _next_durable(self):
        reader = self._durable
        if not reader.ready():
            return 0
        state = reader.state()
        while reader.load():
            kind = reader.next()
            if kind in (METER, EVENT) and reader.size <= self.most:
                shift(self.buf, 0, reader.off, reader.size)
                return self._send(kind, reader.size, reader, state, 1)
        self._settle(reader)
        return 0

    def _next_ram(self):
        for record in self._durable_log.ram:
            if not self._flies(record):
                data = record[4]
                self.buf[: len(data)] = data
                return self._send(record[0], len(data), None, None, 1, record)
        return 0

    def _flies(self, record):
        for flight in self._flights:  # noqa: SIM110  a generator would allocate
            if flight.ram is record:
                return True
        return False

    # -- stream -------------------------------------------------------------------------------------------

    def _next_stream(self, hold):
        reader = self._stream
        if not reader.ready():
            return 0
        state = reader.state()
        self.size = self.records = 0
        step = _PASSED
        while not self.records and step != _STOP and reader.load():
            while True:
                kind = reader.next()
                if not kind:
                    break
                step = self._take(reader, kind, hold)
                if step >= _AGAIN:
                    reader.at = reader.mark
                    break
        if self.records:
            return self._send(self._kind, self.size, reader, state, self.records)
        if step == _STOP and reader.config != self._announced:
            return self._announce(reader, state)
        self._settle(reader)
        return 0

    def _take(self, reader, kind, hold):
        """Put the record that was just read into the message: _TAKEN. _PASSED: it is not wanted; _STOP: it must
        wait; _AGAIN: it must be loaded again."""
        if kind == CONFIG:
            self._configs.note()
            return _PASSED
        if kind != FRAME and kind != UNTIMED:
            return _PASSED
        buf, at = self.buf, reader.off - RECORD
        number = (buf[at + 2] & 15) << 16 | buf[at + 3] << 8 | buf[at + 4]
        seq = (get_u32(reader.context, 4) & 0x1FF) << 20 | number
        if reader.boot == self._boots.boot and self._log.forget(seq):
            self._log.reached(reader.number, reader.mark)
            return _PASSED
        if reader.config is None:
            if reader.boot == self._boots.boot:
                reader.config = self._live
            elif self.records:
                return _STOP
            else:
                self._configs.look()
                return _AGAIN
        if reader.config == UNKNOWN:
            reader.count()
            return _PASSED
        if reader.config != self._announced:
            return _STOP
        if kind == UNTIMED:
            offset = self._boots.offset(reader.boot)
            if not offset:
                if hold and reader.boot == self._boots.boot:
                    return _STOP
            elif not self._configs.is_loaded():
                if self.records:
                    return _STOP
                self._configs.load_stamper()
                return _AGAIN
            elif self._configs.stamper and self._configs.stamper.move(buf, reader.off, offset):
                kind = FRAME
        size = reader.size + (_ENTRY if kind == UNTIMED else 0)
        if not self.records:
            self._kind = kind
            self._boot = reader.boot
            if kind == UNTIMED:
                size += _PREFIX
        elif kind != self._kind or kind == UNTIMED and self._boot != reader.boot:
            return _STOP
        if self.records and self.size + size > self._payload_most:
            return _STOP
        self._place(reader, kind, at, number)
        self.records += 1
        return _TAKEN

    def _place(self, reader, kind, at, number):
        buf, to = self.buf, self.size
        if kind == UNTIMED:
            context = reader.context
            high, mid, low = buf[at + 5], buf[at + 6], buf[at + 7]
            if not to:
                for i in range(_PREFIX):
                    buf[i] = context[i]
                to = _PREFIX
            chunk = get_u32(context, 4)
            buf[to] = chunk >> 20 & 255
            buf[to + 1] = chunk >> 12 & 255
            buf[to + 2] = chunk >> 4 & 255
            buf[to + 3] = (chunk & 15) << 4 | number >> 16
            buf[to + 4] = number >> 8 & 255
            buf[to + 5] = number & 255
            buf[to + 6] = context[11]
            buf[to + 7] = high
            buf[to + 8] = mid
            buf[to + 9] = low
            to += _ENTRY
        shift(buf, to, reader.off, reader.size)
        self.size = to + reader.size

    def _announce(self, reader, state):
        """The message that says how the frames behind it are to be read."""
        configs = self._configs
        offset = self._boots.offset(reader.boot)
        if offset and not configs.is_loaded():
            configs.load_stamper()
        size = configs.load()
        if not size:
            return 0
        self._announced = reader.config
        if offset and configs.stamper and self.buf[_MSG_TQ] & 15 == 15:
            configs.stamper.move_config(self.buf, 0, offset)
        return self._send(CONFIG, size, reader, state, 0)

    # -- acknowledgements ---------------------------------------------------------------------------------

    def ack(self, token):
        """The broker has the message; a token that is not in flight is ignored."""
        for flight in self._flights:
            if flight.token == token:
                flight.token = 0
                if flight.ram:
                    if flight.ram in self._durable_log.ram:
                        self._durable_log.ram.remove(flight.ram)
                    self._flights.remove(flight)
                else:
                    self._settle(flight.reader)
                return

    def _settle(self, reader):
        """Let go of what was acknowledged and has nothing in flight in front of it."""
        log = reader.log
        position = reader
        for flight in list(self._flights):
            if flight.reader is reader:
                if flight.token:
                    log.free(flight.state[0], flight.state[1])
                    return
                log.acked(flight.number, flight.at, flight.records)
                self._flights.remove(flight)
        log.free(position.number, position.at)

    def again(self, now, most_ms):
        """The broker may forget what it acknowledged in the last most_ms: that goes again, as far as the logs still
        have it. So does what is in flight."""
        self._go_back()
        self._log.forget_all()
        for reader in (self._durable, self._stream):
            if reader.log.revive(now, most_ms):
                reader.number = reader.at = 0

    def rewind(self):
        """The connection is lost: what is in flight goes again, and the receiver is told the live CFG-2 anew."""
        self._go_back()
        self._announced = self._live

    def _go_back(self):
        for reader in (self._durable, self._stream):
            for flight in self._flights:
                if flight.reader is reader:
                    reader.restore(flight.state)
                    break
        self._flights = []
