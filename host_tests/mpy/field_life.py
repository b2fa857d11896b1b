"""A node's life in the field: `field_life.py SEED month|day|sabotage [NAME]`; see test_field_month.py.

Prints one JSON object; "failures" lists what does not hold. -v: what the node said, to stderr.
"""

import sys

_now_ns = __import__("time").time_ns  # real time and memory, of which nothing else here knows
_real_gc = __import__("gc")

import field_net
import field_time
from fake_select import FakeSelect
from field_time import Enough, Fate, world

_real_gc.threshold(
    4 << 20
)  # else what lives long comes to lie everywhere in the heap, and nothing large fits between
asyncio = field_time.install(FakeSelect())

import json
import os
import random

import field_asyncio
import field_plans
import field_sabotage
import vfs
from fake_storage import Lot
from field_board import ROOT, Machine, store
from field_broker import Broker
from field_inside import NODE
from field_ledger import Ledger
from field_parts import Station
from field_script import Script, enough

CONFIG = {
    "id": "m1",
    "topic": {"area": "a", "location_type": "b", "location_id": "c"},
    "broker": {"host": "one", "port": 1883, "fallback": [{"host": "two", "port": 1883}]},
    "measurement": {"idcode": 7, "rate": 1, "block_ms": 200},
    "source": {"kind": "synthetic"},
    "outbox": {"folder": "outbox", "slots": 64},
    "energy_s": 900,
    "status_s": 60,
    "wifi": {"ssid": "field", "password": "long enough"},
}
FRESH = "firmware", "boards", "umqtt"  # packages that are new at each boot


VERBOSE = "-v" in sys.argv


class Life:
    """plan(lot): (incidents, gap between them in s as a function, length in s). wrong(life): changes the node."""

    def __init__(self, seed, plan, wrong=None):
        random.seed(seed)
        self.lot = Lot(seed)
        self.ledger = Ledger(3000000 if plan is field_plans.month else 300000)
        self.brokers = [Broker(self.ledger.archive) for _ in range(2)]
        net = field_net.Net({("one", 1883): self.brokers[0], ("two", 1883): self.brokers[1]})
        self.machine = Machine(net, ("rp2", "esp32")[seed & 1], Station("field", "long enough"))
        self.script = Script(self.machine, self.ledger, self.brokers, self.lot, CONFIG)
        self.plan = plan
        self.wrong = wrong
        self.bites = 0
        self.fell = 0
        self.left = None
        self.spent = {}
        self.ends = {}

    def furnish(self):
        """What `gridmote flash` leaves on a board."""
        self.machine.flash.mount(ROOT)
        os.mkdir(NODE[:-1])
        os.mkdir(ROOT + "/app")
        store(NODE + "config.json", CONFIG)
        vfs.umount(ROOT)

    def run(self):
        self.furnish()
        self.script.go(*self.plan(self.lot), self.finish)
        self.progress()
        cause = "power"
        try:
            while True:
                cause = self.boot(cause)
                if len(self.ledger.boots) > 3000 or len(self.ledger.failures) > 30:
                    break
        except Enough:
            pass
        for broker in self.brokers:
            broker.save(1 << 60)
        self.ledger.end("the end")
        last = self.ledger.boots[-1]
        last.end = max(last.first, last.end - 5)  # the newest are on their way
        self.ledger.settle()

    def figures(self):
        """What is wrong, in "failures", and what the life was."""
        ledger, script = self.ledger, self.script
        for text in script.told:
            times = ledger.told(text)
            if times != 1:
                ledger.fail("the crash %s was told %d times" % (text, times))
        if self.bites != script.bites:
            ledger.fail(
                "the watchdog bit %d times, the script hung something %d times" % (self.bites, script.bites)
            )
        # What ends it from outside costs what was measured since the last record.
        watts, hard = 2300, sum([self.ends.get(why, 0) for why in ("PowerCut", "Bite", "Restart")])
        on_s = sum([boot.on_s for boot in ledger.boots if boot.number is not None])  # else safe mode
        wh = ledger.wh[0][0] if ledger.wh else 0
        least = (on_s - 910 * (hard + 1) - 20 * len(ledger.boots)) * watts // 3600 - 20
        if not least <= wh <= on_s * watts / 3600 + 20:
            ledger.fail("energy: %d Wh, of %d to %d" % (wh, least, on_s * watts // 3600))
        if self.left is None or sum(self.left):
            ledger.fail("at the end there waits on flash: %s" % (self.left,))
        figures = {"days": world.total_ms / 86400000, "ends": self.ends, "cuts": script.cuts, "steps": world.steps}
        figures.update({"incidents": script.done, "injected": script.injected, "crashes": len(script.told)})
        figures.update({"boots": len(ledger.boots), "starts": ledger.starts, "states": ledger.states})
        for name in ("failures", "made", "live", "backfill", "untimed", "repeated", "took", "wh", "checked_time"):
            figures[name] = getattr(ledger, name)
        figures["lost"] = sum([boot.lost for boot in ledger.boots])
        figures["durable"], figures["promised"] = len(ledger.got), len(ledger.promised)
        return figures

    def progress(self):
        """A line a day."""
        done = world.total_ms / 86400000, len(self.ledger.boots), self.ledger.made, sum(self.script.done.values())
        print("day %.1f: %d boots, %d frames, %d incidents" % done, file=sys.stderr)
        world.after(86400000, self.progress)

    def finish(self):
        """Everything is well again; an hour for what still waits."""

        def look():
            status = self.ledger.status
            self.left = status.get("flash_waiting", -1), status.get("durable_waiting", -1)
            enough()

        self.ledger.expect("the end", 300)
        world.quiet_ms = 900
        world.after(3600000, look)

    def boot(self, cause):
        """One boot, from reset to reset: the cause of the next."""
        world.boot(field_time.TICKS - 3600000 if self.lot.below(3) == 0 else 0)
        self.script.cause = "restart"
        self.script.dark_s = 1
        self.ledger.begin(cause)
        field_asyncio.Task.alive = []
        self.ledger.hook()
        self.refresh()
        asyncio.new_event_loop()
        board = self.machine.power_on(cause)
        self.script.running = True
        try:
            self.start(board)
            why = "fell"
        except Enough:
            raise
        except Fate as e:
            why = self.machine.ended or type(e).__name__
        except BaseException as e:
            sys.print_exception(e, sys.stderr)
            why = "fell"
        if VERBOSE:
            what = world.total_ms / 86400000, why, cause, self.machine.note, self.script.now
            print("---- day %.4f: %s; began by %s, note %d; %s" % what, file=sys.stderr)
            print("\n".join(self.machine.lines), file=sys.stderr)
        self.machine.lines = []
        self.script.running = False
        failing = self.machine.flash.error or self.machine.filled
        self.machine.power_off()
        self.ledger.end(why, failing)
        self.ends[why] = self.ends.get(why, 0) + 1
        world.fate = None
        if why == "PowerCut":
            world.skip_to(world.total_ms + self.script.dark_s * 1000)
            return "power"
        if why == "fell":
            self.fell += 1
            self.ledger.fail("the program came to an end")
            world.skip_to(world.total_ms + 8300)
            return "watchdog"
        world.skip_to(world.total_ms + 400)
        if why == "Bite":
            self.bites += 1
            return "watchdog"
        cause, self.script.cause = self.script.cause, "restart"
        return cause

    def refresh(self):
        """A boot loads its modules anew. Those of lib stay, for their machine code would never be freed: what the
        boot before has let go of in them (firmware/spent.py) is put back."""
        for name in list(sys.modules):
            if name.partition(".")[0] in FRESH:
                sys.modules.pop(name)
        from firmware.spent import _SPENT

        for line in _SPENT.strip().split("\n"):
            module, owner, names = line.split(" ", 2)
            if module.partition(".")[0] in FRESH:
                continue
            holder = __import__(module, None, None, ("",))
            if owner != "-":
                holder = getattr(holder, owner)
            for name in names.split():
                kept = self.spent.setdefault((module, owner, name), getattr(holder, name))
                setattr(holder, name, kept)

    def start(self, board):
        """As boards/main.py does it."""
        from firmware import boot, device

        if self.wrong:
            self.wrong(self)
        boot.make_board = lambda: board
        device.device(ROOT + "/app", "", "")


def main(seed, plan, sabotage):
    began = _now_ns()
    if plan == "sabotage":
        wrong, incidents, says = field_sabotage.SABOTAGE[sabotage]
        life = Life(seed, lambda lot: (incidents, lambda: 200, 0), wrong)
    else:
        says = None
        life = Life(seed, getattr(field_plans, plan))
    life.run()
    figures = life.figures()
    figures["says"] = says
    _real_gc.collect()
    figures["heap"] = _real_gc.mem_alloc()
    figures["seconds"] = (_now_ns() - began) // 1000000000
    print(json.dumps(figures))


main(int(sys.argv[1]), sys.argv[2], "".join(sys.argv[3:4]))
