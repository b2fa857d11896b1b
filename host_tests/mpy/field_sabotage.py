"""Nodes that are wrong in one place each, and the life in which the ledger must notice.

SABOTAGE[name]: (function, called at each boot with the Life; incidents; what one of the failures must say).
"""

import os


def _nothing(*args):
    return None


def _once(wrong):
    """For what lies in lib, which is loaded once."""
    done = []

    def new_wrong(life):
        if not done:
            done.append(wrong(life))

    return new_wrong


@_once
def keep(life):
    from outbox.durable import DurableLog

    def write(self, buf, n):
        super(DurableLog, self)._write(bytes(n), n)

    DurableLog._write = write


def number(life):
    from outbox.boots import Boots

    init = Boots.__init__

    def new_init(self, *args):
        init(self, *args)
        self.durable_chunk = 77

    Boots.__init__ = new_init


def energy(life):
    from firmware.energy import Energy

    Energy._restore = _nothing


@_once
def measured(life):
    from energy.registers import Registers

    Registers.add = _nothing


def stamps(life):
    from boards.wallclock import Clock

    sampled = Clock.sampled
    Clock.sampled = lambda self, sec, us, tick, error: sampled(self, sec + 30, us, tick, error)


@_once
def save(life):
    from outbox.outbox import Outbox

    Outbox.save = _nothing


@_once
def spill(life):
    from outbox.stream import StreamLog

    def write(self, buf, n):
        super(StreamLog, self)._write(bytes(n), n)

    StreamLog._write = write


def silent(life):
    """What was recorded is gone by the next start."""
    restart = life.machine.board.restart

    def new_restart():
        try:
            os.remove(life.machine.board.node_folder + "/crashes")
        except OSError:
            pass
        restart()

    life.machine.board.restart = new_restart


def twice(life):
    import firmware.crashes as crashes

    put = crashes.Crashes._put

    def new_put(self, number, data):
        if len(data) > 1:
            put(self, number, data)

    crashes.Crashes._put = new_put


def blind(life):
    from firmware.guard import Guard

    Guard.look = lambda self: self._feed()
    Guard.collected = _nothing


def starved(life):
    from firmware.guard import Guard

    Guard.look = _nothing


def cause(life):
    life.machine.board.reset_cause = "watchdog"


def counted(life):
    from firmware import boot

    init = boot.Found.__init__

    def new_init(self, facts):
        facts["crashes"] += 1
        init(self, facts)

    boot.Found.__init__ = new_init


def hush(life):
    """Stops for good when the connection is lost."""
    from firmware.link import Link

    reconnect = Link._reconnect
    Link._reconnect = lambda self, now: False if self.connections else reconnect(self, now)


@_once
def trusting(life):
    from outbox.outbox import Outbox

    Outbox.again = _nothing


def stubborn(life):
    from firmware import lastgood

    read = lastgood.read

    def new_read(board, which):
        if which != lastgood.GIVEN:
            raise OSError(2)
        return read(board, which)

    lastgood.read = new_read


def leaves(life):
    from firmware.node import Node

    async def new_report(self, *args):
        raise SystemExit

    Node._report = new_report


@_once
def garbles(life):
    from outbox.backlog import Backlog

    following = Backlog.next

    def new_next(self, *args):
        kind = following(self, *args)
        if kind == 1:
            self.buf[30] ^= 1
        return kind

    Backlog.next = new_next


@_once
def alters(life):
    from outbox.backlog import Backlog

    following = Backlog.next

    def new_next(self, *args):
        kind = following(self, *args)
        if kind > 3:
            at = bytes(self.buf[: self.size]).find(b'"tq": ') + 6
            self.buf[at] = ord("7")
        return kind

    Backlog.next = new_next


@_once
def boastful(life):
    from outbox.outbox import Outbox

    Outbox.loss_most = 3


def reborn(life):
    from outbox.boots import Boots

    init = Boots.__init__

    def new_init(self, *args):
        init(self, *args)
        self.boot = 3

    Boots.__init__ = new_init


def stuck(life):
    from firmware.follow import FollowUp

    FollowUp.send = lambda self, session, now, durable_only=False: False


def shrugs(life):
    from firmware import node

    node._failed = _nothing


def clings(life):
    from firmware import lastgood

    read = lastgood.read

    def new_read(board, which):
        if which == lastgood.GIVEN:
            try:
                return read(board, lastgood.GOOD)
            except OSError:
                pass
        return read(board, which)

    lastgood.read = new_read


_CUTS = [("outage", 300), ("cut", 2), ("outage", 3600), ("cut", 2), ("cut", 2)]
_CRASHES = [("crash_soon", 1), ("cut", 2), ("cut", 2)]
_LATE = [("outage_cut", 700), ("cut", 2)]

SABOTAGE = {
    "keep": (keep, [("cut_flash", 40, 0, 2)], "was on flash and never arrived"),
    "number": (number, _CUTS[:2], "a second time"),
    "energy": (energy, _CUTS, "energy went back"),
    "measured": (measured, _CUTS, "energy: "),
    "stamps": (stamps, _CUTS[:1], "is stamped"),
    "save": (save, [("outage_crash", 700)], "frames lost"),
    "spill": (spill, _LATE, "frames lost"),
    "silent": (silent, _CRASHES, "was told 0 times"),
    "twice": (twice, _CRASHES, "was told 3 times"),
    "blind": (blind, [("stall",)], "nobody noticed in a minute"),
    "forgetful": (blind, [("leak", 4000)], "nobody noticed the leak"),
    "starved": (starved, _CUTS[:1], "the watchdog bit"),
    "cause": (cause, _CUTS[:2], "began by power and says"),
    "counted": (counted, [("cuts_in_a_row", 3)], "were counted as crashes"),
    "hush": (hush, _CUTS[:1], "not back after"),
    "trusting": (trusting, [("brokers_die", 0, 60)] * 3, "frames lost"),
    "stubborn": (stubborn, [("bad_config", "torn")], "bad configuration"),
    "boastful": (boastful, _LATE, "3 are promised"),
    "reborn": (reborn, _CUTS[:2], "boot number 3 a second time"),
    "stuck": (stuck, _CUTS[:1], "there waits on flash"),
    "shrugs": (shrugs, [("crash_each", 200)], "did not restart the node"),
    "clings": (clings, [("outage", 300), ("bad_config", "torn")], "bad configuration"),
    "leaves": (leaves, _CUTS[:1], "the program came to an end"),
    "garbles": (garbles, _CUTS[:1], "a frame that is none"),
    "alters": (alters, _CUTS[:1], "is not what was made"),
}
