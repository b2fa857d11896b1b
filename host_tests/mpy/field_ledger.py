"""What the world outside knows: every frame and durable record that was made, what a broker has, what was promised.

Each frame carries its number in the magnitudes of its third and fourth phasor, put there as it is committed: so it
is known wherever it arrives, and with whatever stamp. The ledger reads nothing of the node's own accounts but, at
the end of a boot, what it admits to have given up (thinned, dropped) and the bound that it states for a power cut.
"""

import json
import sys
from array import array

from field_time import SOC, world

from c37118.crc import crc_kernel

_PLACES = 24, 28  # of the two magnitudes, in a frame
_SEQS = 0x1FFFFFFF  # as outbox.record has it
_RECENT = 4096  # frames of which it is known when they were made


class Boot:
    """first, end: its frames; cause: of its reset; why: how it ended; the last three: as it admits then."""

    def __init__(self, first, cause, ms):
        self.first = self.end = first
        self.cause = cause
        self.began_ms = ms
        self.on_s = 0
        self.number = None
        self.outbox = None
        self.loss_most = self.thinned = self.dropped = 0
        self.why = ""
        self.doubted = False


def _held(outbox):
    """Frames that an outbox has in RAM only."""
    return len(outbox) + outbox.stream._put + (outbox._again_end - outbox._again & _SEQS) + 1


class Ledger:
    def __init__(self, most):
        """most: frames there can be."""
        self.made = 0
        self.state = bytearray(most)  # a byte a frame: 1 a broker has it
        self.made_s = array("i", [0] * _RECENT)
        self.boots = []
        self.offered = {}  # number: (hash, boot's number)
        self.promised = set()
        self.got = {}  # durable: number: (boot, whether it is an EVENT, that or the energy)
        self.repeated = 0
        self.failures = []
        self.expected = []  # [name, number of frames at its begin, ms then]
        self.took = {}  # name: the longest, s
        self.status = {}
        self.states = {}  # of STATUS: how often
        self.checked_time = 0
        self.clock_lies = False
        self.live = self.backfill = self.untimed = 0
        self.last_live_s = 0

    def fail(self, text):
        text = "day %.3f: %s" % (world.total_ms / 86400000, text)
        print(text, file=sys.stderr)
        if len(self.failures) < 40:
            self.failures.append(text)

    # -- the node's side -----------------------------------------------------------------------------------

    def hook(self):
        """See what the outbox is given."""
        from outbox.outbox import Outbox
        from outbox.ring import Ring

        if hasattr(Outbox, "in_field"):
            return
        Outbox.in_field = True
        ledger = self
        init, keep, commit = Outbox.__init__, Outbox.keep, Ring.commit

        def new_init(self, *args, **keywords):
            init(self, *args, **keywords)
            ledger.boots[-1].outbox = self
            ledger.boots[-1].number = self.boots.boot

        def new_keep(self, kind, data, ticks):
            number = self.durable_number()
            boot = ledger.boots[-1].number
            digest = hash(bytes(data))
            if number in ledger.offered:
                ledger.fail("durable number %d a second time" % number)
            ledger.offered[number] = (digest, boot)
            kept = keep(self, kind, data, ticks)
            if kept:
                ledger.promised.add(number)
            return kept

        def new_commit(self, size, kind=1, ticks=0):
            off = (self.written & (self.slots - 1)) * self.slot_size
            n = ledger.made
            buf = self.buf
            buf[off + 24] = n >> 24
            buf[off + 25] = n >> 16 & 255
            buf[off + 28] = n >> 8 & 255
            buf[off + 29] = n & 255
            end = off + size - 2
            crc = crc_kernel(buf, off, end)
            buf[end] = crc >> 8
            buf[end + 1] = crc & 255
            ledger.made_s[n & (_RECENT - 1)] = int(world.true_s() - SOC)
            ledger.made = n + 1
            return commit(self, size, kind, ticks)

        Outbox.__init__, Outbox.keep, Ring.commit = new_init, new_keep, new_commit

    def begin(self, cause):
        self.boots.append(Boot(self.made, cause, world.total_ms))

    def end(self, why, failing=False):
        """The boot is over; what it admits is read. failing: its flash took nothing."""
        boot = self.boots[-1]
        boot.end = self.made
        boot.why = why
        boot.on_s = (world.total_ms - boot.began_ms) / 1000
        if boot.outbox is not None:  # it has a length
            boot.loss_most = _held(boot.outbox)
            if boot.loss_most > boot.outbox.loss_most:
                self.fail("%d frames only in RAM, %d are promised" % (boot.loss_most, boot.outbox.loss_most))
            if why == "the end" or why == "restart" and not failing:  # who restarts by itself saves them
                boot.loss_most = 0
            boot.thinned, boot.dropped = boot.outbox.thinned, boot.outbox.dropped
        boot.outbox = None

    # -- the broker's side ---------------------------------------------------------------------------------

    def archive(self, topic, payload):
        try:
            self._archive(topic, payload)
        except (ValueError, KeyError, IndexError) as e:  # not for the node to catch, in whose time this runs
            self.fail("a message that cannot be read: %r, %s" % (e, payload))

    def _archive(self, topic, payload):
        kind = topic.split(b"/")[3]
        if kind == b"PMU":
            if payload[1] == 1:
                self.live += 1
                self._frame(payload, 0, True)
        elif kind == b"PMU-BACKFILL":
            self._frames(payload, 0, 0)
        elif kind == b"PMU-UNTIMED":
            self.untimed += 1
            self._frames(payload, 4, 10)
        elif kind == b"STATUS":
            self.status = json.loads(payload)
            state = self.status["state"]
            boot = self.boots[-1]
            if self.status.get("boot") == boot.number and self.status["reset"] != boot.cause and not boot.doubted:
                boot.doubted = True
                self.fail("STATUS says that %s was the cause, not %s" % (self.status["reset"], boot.cause))
            self.states[state] = self.states.get(state, 0) + 1
        elif kind in (b"METER", b"EVENT"):
            self._durable(kind, payload)
        else:
            self.fail("a message on %s" % topic)

    def _frames(self, payload, at, lead):
        if payload[at + lead + 1] == 0x31:
            return
        while at < len(payload):
            at += lead
            self._frame(payload, at, False)
            at += payload[at + 2] << 8 | payload[at + 3]

    def _frame(self, buf, at, live):
        end = at + (buf[at + 2] << 8 | buf[at + 3]) - 2
        if buf[at] != 0xAA or crc_kernel(buf, at, end) != buf[end] << 8 | buf[end + 1]:
            self.fail("a frame that is none: %s" % buf[at : end + 2])
            return
        n = buf[at + 24] << 24 | buf[at + 25] << 16 | buf[at + 28] << 8 | buf[at + 29]
        if n >= self.made:
            self.fail("frame %d was never made" % n)
            return
        if self.state[n]:
            self.repeated += 1
        self.state[n] = 1
        if not live:
            self.backfill += 1
        if self.made - n < _RECENT and not self.clock_lies:
            self._time(buf, at, n)
        if live:
            self.last_live_s = world.seconds
        if self.expected:
            self._fulfil(n)

    def _time(self, buf, at, n):
        """The stamp is true within what the frame claims, and two seconds from window to commit."""
        tq = buf[at + 10] & 15
        if tq == 15 or tq > 11:
            return
        soc = buf[at + 6] << 24 | buf[at + 7] << 16 | buf[at + 8] << 8 | buf[at + 9]
        late_s = self.made_s[n & (_RECENT - 1)] - (soc - SOC)
        bound_s = 10 ** (tq - 10)
        self.checked_time += 1
        if not -1 - bound_s <= late_s <= 3 + bound_s:
            self.fail("frame %d is stamped %d s before it was made, quality %d" % (n, late_s, tq))

    def _durable(self, kind, payload):
        fields = json.loads(payload)
        number, boot = fields["seq"], fields["boot"]
        digest = hash(bytes(payload))
        if self.offered.get(number) != (digest, boot):
            self.fail("durable record %d is not what was made: %s" % (number, payload))
        if number not in self.got:
            what = payload if kind == b"EVENT" else (fields["wh_in"], fields["wh_out"], fields["reason"])
            self.got[number] = (boot, kind == b"EVENT", what)

    # -- expectations --------------------------------------------------------------------------------------

    def expect(self, name, within_s):
        """Within so long, a frame that is made from now on arrives, and STATUS says online."""
        entry = [name, self.made, world.total_ms]
        self.expected.append(entry)

        def late():
            if entry in self.expected:
                self.expected.remove(entry)
                self.fail("%s: not back after %d s; STATUS %s" % (name, within_s, self.status))

        world.after(within_s * 1000, late)
        return entry

    def void(self):
        """Another fault comes: nothing is expected for now."""
        self.expected = []

    def _fulfil(self, n):
        for entry in self.expected:
            if n >= entry[1] and self.status.get("state") == "online":
                took_s = (world.total_ms - entry[2]) / 1000
                self.took[entry[0]] = max(self.took.get(entry[0], 0), took_s)
                self.expected.remove(entry)
                return

    # -- the account ---------------------------------------------------------------------------------------

    def missing(self, boot):
        return self.state[boot.first : boot.end].count(b"\0")

    def settle(self):
        """The month is over and everything was given time to arrive."""
        lost = self.promised - set(self.got)
        for number in sorted(lost)[:5]:
            boot = self.offered[number][1]
            self.fail("durable record %d of boot %d was on flash and never arrived" % (number, boot))
        self._energy()
        self._starts()
        self._frames_lost()

    def _frames_lost(self):
        dropped = 0
        for i in range(len(self.boots) - 1, -1, -1):
            boot = self.boots[i]
            dropped += boot.dropped  # a log that is full drops what earlier boots left, too
            boot.lost = self.missing(boot)
            if boot.lost > boot.loss_most + boot.thinned + dropped:
                self.fail(
                    "boot %s (ended by %s): %d of %d frames lost, %d are allowed, %d were admitted"
                    % (
                        boot.number,
                        boot.why,
                        boot.lost,
                        boot.end - boot.first,
                        boot.loss_most,
                        boot.thinned + dropped,
                    )
                )
            if not boot.lost:
                dropped = 0

    def _energy(self):
        before = None
        for number in sorted(self.got):
            boot, is_event, fields = self.got[number]
            if is_event:
                continue
            for i in range(2):
                if before and any(b < a for a, b in zip(before[i], fields[i])):
                    self.fail("energy went back: %s after %s, record %d" % (fields, before, number))
            before = fields
        self.wh = before

    def _starts(self):
        """Each boot that came to tell of its start told the true cause, once."""
        starts = {}
        for number in self.got:
            boot, is_event, payload = self.got[number]
            if is_event and b'"start"' in payload:
                starts.setdefault(boot, []).append(json.loads(payload)["reset"])
        self.starts = len(starts)
        seen = set()
        for boot in self.boots:
            if boot.number is None:
                continue
            if boot.number in seen:
                self.fail("boot number %d a second time" % boot.number)
            seen.add(boot.number)
            told = starts.get(boot.number, [])
            if len(told) > 1 or told and told[0] != boot.cause:
                self.fail("boot %d began by %s and says %s" % (boot.number, boot.cause, told))

    def told(self, text):
        """How many EVENTs have `text` in them."""
        return len([1 for _, is_event, payload in self.got.values() if is_event and text.encode() in payload])
