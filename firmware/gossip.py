"""The gossip of a node at work: its socket, its turns, and what becomes of the messages that are for it."""

import asyncio
import random
from binascii import unhexlify
from struct import pack, unpack_from
from time import ticks_diff, ticks_ms

from micropython import const

from firmware.modules import forget
from gossip.needs import Needs
from gossip.seal import Seal
from gossip.stack import Stack

_TURN_MS = const(10)  # lwIP keeps one datagram: it is fetched before the next comes
_TICK_MS = const(50)
_DATAGRAMS = const(4)  # a turn; no more when so many bytes went out in it
_GIVEN = const(1000)
_HASHES = const(48)  # a turn: 12 ms on an RP2040
_DATAGRAM = const(1233)  # bytes: one more than may be, so that what is too long shows
_LOOK_MS = const(10000)  # between looks whether the tariff has run out
_DAY_S = const(86400)
_TICKS = const(0x3FFFFFFF)
_TARIFF = const(1)  # types of DATA, gossip.wire
_KEY = const(2)
_COMMAND = const(3)
_REVOKE = const(4)
_ORDER = const(8)
_FIELD = const(6)
_TCP = const(0x20)  # the binding, in the flags
_IDLE = const(48)  # periods until a silent connection is closed: until then peers are believed to be there
_ROLES = {"ied": 1, "meter": 2, "ssc": 4}


class Gossip:
    """config: the checked configuration. network: the board's. shelf: Shelf. boot: number of this boot. clock: the
    board's. log: Log. tell(name, **fields): makes an EVENT of it.

    answers: Answers, to be set. on_tariff(): a table was taken. on_command(origin, body, to_all): of a COMMAND
    (to_all) or an ORDER, bytes. hooks: functions (type, origin, body) that get every message for this node, a
    display or a forward to another device; what they raise is counted in `faults`.
    """

    def __init__(self, config, network, shelf, boot, clock, log, tell):
        settings = config["gossip"]
        self._network, self._clock, self._log, self._tell = network, clock, log, tell
        self._seeds = list(settings["seeds"])
        if settings["forward"]:
            self._seeds.append("forward://" + settings["forward"])
        from firmware.recall import adopt, recall

        self.signed = signed = recall(config, shelf, self._soc, log, self._reused)
        self.book, self.trust = signed.book, signed.trust
        if self.trust.lost:
            tell("trust-lost")
        port, group = settings["port"], settings["group"]
        self._datagrams = network.datagrams(port, group)
        self._group = (_address(group, port), False) if group else None
        self._streams = None
        if settings["tcp"] or any(seed.startswith("tcp") for seed in self._seeds):
            from firmware.streams import Streams

            idle_ms = _IDLE * 1000 * settings["period_s"]
            self._streams = Streams(network, port if settings["tcp"] else 0, self._received, idle_ms)
        self.stack = stack = Stack(
            settings["number"],
            _ROLES[config["role"]],
            (boot - 1) % 0xFFFF + 1,
            Seal(unhexlify(settings["segment_key"])),
            self.trust,
            self._send,
            random.randrange,
            ticks_ms() & _TICKS,
            seeds=[],
            period_ms=settings["period_s"] * 1000,
            probe_ms=settings["period_s"] * 1000,
            remote=settings["remote"],
            value=self._value,
        )
        relay, people = stack.relay, settings["population"]
        relay.f = settings["fanout"] or (3 if people <= 10 else 4)
        relay.r = settings["rounds"] or (8, 12, 16, 24)[(people > 10) + (people > 100) + (people > 1000)]
        relay.variant = ("eager", "lazy", "pull", "push-pull").index(settings["variant"])
        relay.authorised = tuple(range(1, 16)) + tuple(settings["notifiers"])
        relay.on_deliver = self._delivered
        self._needed = {}  # by day since 1970: (jobs, Wh, Wh, Wh) of this node itself
        self.needs = Needs(relay, self._needed.get, random.randrange, most_wh=8 * settings["rated_w"])
        self.answers = self.on_tariff = self.on_command = None
        self.hooks = []
        self.repeats = []  # gossip.repeat.Repeat
        self.faults = self.unsent = 0
        self.turns = 0
        self._looked_ms = ticks_ms()
        self.join()
        adopt(signed, shelf, relay, ticks_ms() & _TICKS)
        forget("firmware.recall")

    # -- what time brings -----------------------------------------------------------------------------------

    async def run(self):
        """For ever."""
        asyncio.create_task(self._resolve())
        stack, datagrams = self.stack, self._datagrams
        buf = bytearray(_DATAGRAM)
        ticked = ticks_ms()
        while True:
            sent = stack.end.sent_bytes
            for _ in range(_DATAGRAMS):
                if stack.end.sent_bytes - sent > _GIVEN:  # what was given took its time
                    break
                n = datagrams.receive(buf)
                if n < 0:
                    break
                if n > 2 and buf[2] & _TCP:  # of a connection; that it is not
                    stack.end.counters[_FIELD] += 1
                else:
                    self._received(buf, n, datagrams.address, ticks_ms())
            now = ticks_ms()
            if self._streams:
                self._streams.step(now)
            if ticks_diff(now, ticked) >= _TICK_MS:
                ticked = now
                stack.tick(now & _TICKS)
                self.needs.tick(now & _TICKS, self._soc() // _DAY_S)
                for repeat in self.repeats:
                    repeat.tick(now & _TICKS)
            stack.verify(_HASHES, now & _TICKS)
            self.turns = self.turns + 1 & 0xFFFF
            await asyncio.sleep_ms(_TURN_MS)

    async def _resolve(self):
        """Look up the seeds' names, one after the other, and see now and then whether a tariff is missing."""
        while True:
            for seed in tuple(self._seeds):
                self._seek(seed)
            await asyncio.sleep_ms(200 if self._seeds else 1000)
            if ticks_diff(ticks_ms(), self._looked_ms) >= _LOOK_MS:
                self._looked_ms = ticks_ms()
                self._look()

    def _seek(self, seed):
        scheme, _, place = seed.rpartition("://")
        host, _, port = place.rpartition(":")
        try:
            found = self._network.look_up(host, ticks_ms())
        except OSError as e:
            self._log.debug("gossip: %s: %s", seed, e)
            return
        if found:
            self._seeds.remove(seed)
            address = _address(found, int(port))
            if scheme == "forward":
                self.hooks.append(self._forward_to(address))
                return
            self.stack.discovery.seeds.append((address, scheme == "tcp"))
            if scheme:
                self._streams.seeds.append(address)

    def _forward_to(self, address):
        def forward(kind, origin, body):
            data = pack(">BI", kind, origin) + body
            self._datagrams.send(address, data, len(data))

        return forward

    def _look(self):
        """Where time has gone beyond the tables that are held, a newer one is missing."""
        if not self._datagrams.joined:
            self.join()
        if self.signed.due:  # there was no memory for it at once
            self.stack.relay.tell(self.signed.void, self.stack.relay)
        if self._clock.known and self.book.current()[0] and not self.book.current(self._clock.soc())[0]:
            self.stack.repair.late()

    def inquire(self, command):
        """Ask the segment, as firmware.inquiry has it; False, told by an EVENT: that cannot be asked."""
        from firmware.inquiry import inquire

        try:
            inquire(self, command, ticks_ms() & _TICKS)
            return True
        except Exception as e:  # what is no JSON may be anything to MicroPython
            self._tell("query", error=str(e))
            return False
        finally:
            forget("firmware.inquiry")

    def answered(self, query):
        """A question that began here has its answer."""
        counts = {"contributors": query.contributors, "faults": query.faults, "missing": query.missing()}
        self._tell("query", function=query.function, arg=query.arg, value=_plain(query.value), **counts)

    def announce(self, jobs, day, energies_wh):
        """What the appliances of this node need on a day since 1970: in all jobs, and Wh in its three periods."""
        for old in list(self._needed):
            if old < day - 1:
                del self._needed[old]
        self._needed[day] = (jobs,) + tuple(energies_wh)
        self.needs.changed()

    def needed(self, ahead):
        """[Wh, Wh, Wh] of this node itself, so many days from today; None: the day is not known."""
        today = self._soc() // _DAY_S
        return self._needed.get(today + ahead, (0, 0, 0, 0))[1:] if today else None

    def _value(self, function, arg):
        return self.answers.value(function, arg) if self.answers else None

    def _soc(self):
        return self._clock.soc() if self._clock.known else 0

    def join(self):
        """The network came up: listen to the group, which is a seed from then on."""
        group, seeds = self._group, self.stack.discovery.seeds
        if group and self._datagrams.join() and group not in seeds:
            seeds.append(group)

    def _received(self, buf, n, address, now):
        return self.stack.received(buf, n, address, now & _TICKS)

    def _send(self, address, buf, n, tcp):
        if not tcp:
            went = self._datagrams.send(address, buf, n)
        else:
            went = self._streams and self._streams.send(address, buf, n, ticks_ms())
        if not went:
            self.unsent += 1

    def _reused(self, origin, epoch, leaf):
        self._tell("key-reuse", origin=origin, epoch=epoch, leaf=leaf)

    # -- what is for this node ------------------------------------------------------------------------------

    def _delivered(self, item):
        kind, buf = item.buf[0], item.buf
        if kind < _ORDER:
            body = bytes(buf[12 : 12 + unpack_from(">H", buf, 10)[0]])
        elif kind == _ORDER:
            body = bytes(buf[13 : item.size - 16])
        else:
            body = bytes(buf[1 : item.size])
        if kind in (_KEY, _REVOKE):
            self.signed.void(self.stack.relay)
            if kind == _KEY:
                self._tell("tariff-key", epoch=body[8])
            else:
                self._tell("revoked", epoch=max(body[0], 1) - 1)
        elif kind == _TARIFF:
            fields = {"origin": item.origin, "message": item.seq}
            fields["number"] = unpack_from(">I", body, 3)[0] if len(body) > 6 else 0
            if self.signed.refused:
                self._tell("tariff-refused", why=self.signed.refused, **fields)
            else:
                self._tell("tariff", **fields)
        if kind <= _REVOKE and kind != _COMMAND and self.on_tariff:
            self.on_tariff()
        if kind in (_COMMAND, _ORDER):
            self._tell("command", origin=item.origin, message=item.seq)
            if self.on_command:
                self.on_command(item.origin, body, kind == _COMMAND)
        for hook in self.hooks:
            try:
                hook(kind, item.origin, body)
            except Exception as e:  # a display must not stop the relay
                self.faults += 1
                self._log.debug("gossip: hook: %s", e)

    def status(self):
        """What STATUS says of it: datagrams by what became of them, where that is not nothing."""
        from gossip.datagram import REASONS

        stack = self.stack
        names = REASONS.split()
        counters = stack.end.counters
        fields = {names[i]: counters[i] for i in range(len(names)) if counters[i]}
        table = self.book.current(self._soc() or None)[0]
        said = {
            "peers": len(stack.peers.some()),
            "sent": stack.end.sent,
            "received": fields,
            "faults": self.faults + stack.relay.faults,
            "tariff": table.number if table else 0,
        }
        if self._streams:
            said.update(self._streams.status())
        return said


def _plain(value):
    """As JSON can have it."""
    if isinstance(value, bytes):
        if len(value) > 8:  # a roll
            return value.hex()
        return "".join([chr(c) if 32 <= c < 127 else "?" for c in value.rstrip(b"\0")])
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _address(host, port):
    """Six bytes of a dotted address and a port."""
    return bytes([int(part) for part in host.split(".")]) + pack(">H", port)
