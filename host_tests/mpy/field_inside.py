"""What goes wrong inside: configuration, flash, tasks, memory. Incidents yield the seconds until they go on."""

import json
import os
import sys

from field_asyncio import Task
from field_board import ROOT, store
from field_outside import BACK_S, LONG_S
from field_time import PowerCut, world

NODE = ROOT + "/node/"
CRASH_S = 60
HOUR_S = 3800


class Inside:
    """Incidents of a Script (field_script.py), which is what `self` is."""

    # -- configuration -------------------------------------------------------------------------------------

    def bad_config(self, how, for_s=1800):
        """Pushed, and the node reset, as a tool would; later there is a power cut, and at last a repair."""
        good = json.dumps(self.config).encode()
        bad = self._bad(how, good)
        store(NODE + "config.json", bad)
        self.reset()
        yield 2
        yield from self.back()
        yield for_s
        facts = self.ledger.status
        if facts.get("config") != "good" or "why" not in facts:
            self.ledger.fail("bad configuration (%s): STATUS %s" % (how, facts))
        self.dark_s = 10
        world.after(0, lambda: self.fate(PowerCut()))
        yield 12
        yield from self.back()
        yield for_s
        store(NODE + "config.json", good)
        self.reset()
        yield 2
        yield from self.back()
        if self.ledger.status.get("config") != "given":
            self.ledger.fail("the configuration is right again: STATUS %s" % self.ledger.status)

    def _bad(self, how, good):
        if how == "torn":
            return good[: len(good) // 2]
        if how == "garbage":
            return bytes([self.lot.below(256) for _ in range(600)])
        if how == "empty":
            return b""
        config = json.loads(good)
        if how == "schema":
            config["measurement"]["rate"] = "often"
        elif how == "contradiction":
            config["outbox"]["high_water"] = config["outbox"]["slots"]
        elif how == "channel":
            config["measurement"]["frequency_from"] = 17
        else:
            raise ValueError(how)
        return json.dumps(config).encode()

    # -- flash ---------------------------------------------------------------------------------------------

    def full(self, seconds, outage_s, before_s=1000):
        """Others fill the file system; meanwhile the network is away; then there is room again."""
        self._fill()
        yield before_s
        self.net.path = False
        yield outage_s
        self.net.path = True
        self.expect(LONG_S)
        yield seconds
        os.remove(ROOT + "/others")
        self.machine.filled = False
        yield from self.back()

    def _fill(self):
        self.machine.filled = True
        part = bytes(4096)
        try:
            with open(ROOT + "/others", "wb") as file:
                while True:
                    file.write(part)
        except OSError as e:
            assert e.errno == 28, e

    def flash_fails(self, seconds, outage_s, deaf=False):
        """Every write fails, or reads too."""
        self.machine.flash.error = 5
        self.machine.flash.deaf = deaf
        yield 1000
        self.net.path = False
        yield outage_s
        self.net.path = True
        self.expect(LONG_S)
        yield seconds
        self.machine.flash.error = 0
        self.machine.flash.deaf = False
        yield from self.back()

    def flash_raises(self, kind):
        """What no flash should: memory can be short anywhere."""
        self.machine.flash_raises = self.tell(kind)
        self.net.path = False
        yield 300
        self.net.path = True
        yield from self.back(LONG_S)

    # -- the program ---------------------------------------------------------------------------------------

    def tell(self, kind):
        """An exception whose text must be told once."""
        self.told.append("injected-%d." % (len(self.told) + 1))
        return kind(self.told[-1])

    def crash_each(self, gap_s):
        """An unexpected exception in every task that the node has, one after the other."""
        seen = 0
        while True:
            tasks = [task for task in Task.alive if task.state]
            if seen >= len(tasks):
                return
            yield from self._crash(tasks[seen].name)
            seen += 1
            yield gap_s

    def _crash(self, name):
        """The exception falls on the task of that name."""
        kind = (ValueError, KeyError, MemoryError, OSError)[self.lot.below(4)]
        boots = len(self.ledger.boots)
        for task in Task.alive:
            if task.state and task.name == name:
                self.injected[name] = self.injected.get(name, 0) + 1
                task.raise_in(self.tell(kind))
        yield CRASH_S
        if len(self.ledger.boots) == boots:
            self.ledger.fail("an exception in %s did not restart the node" % name)
        if self.net.path:
            yield from self.back()

    def outage_crash(self, seconds):
        """What is in RAM then is saved before the restart."""
        self.net.path = False
        yield seconds
        yield from self._crash("_watch")
        self.net.path = True
        yield from self.back()

    def crash_soon(self, times):
        """As often in a row, each a few seconds after the start; from safe mode it starts again after an hour."""
        for _ in range(times):
            tasks = [task for task in Task.alive if task.state]
            if tasks and "firmware.safe" not in sys.modules:
                tasks[self.lot.below(len(tasks))].raise_in(self.tell(ValueError))
            yield 8 + self.lot.below(10)
        safe = "firmware.safe" in sys.modules
        yield from self.back(HOUR_S if safe else BACK_S)

    def leak(self, bytes_a_s):
        """Memory gets less and less; the guard restarts the node before there is none."""
        boots = len(self.ledger.boots)
        for _ in range(400):
            yield 10
            if len(self.ledger.boots) > boots:
                break
            self.machine.leaked = min(self.machine.leaked + 10 * bytes_a_s, 86000)
        else:
            self.ledger.fail("nobody noticed the leak")
        self.machine.leaked = 0
        yield from self.back()

    def hang(self, seconds):
        """A block never comes: the program stands in a loop, and the watchdog bites."""
        self.bites += 1
        self.machine.hang_ms = seconds * 1000
        yield 15
        yield from self.back()

    def stall(self):
        """The source gives no more blocks, while the rest goes on."""
        yield from self._stands(lambda: setattr(self.machine, "stalled", True))

    def hang_task(self, name, bites=0):
        """A task waits for ever. bites: of the watchdog, when it is the one that feeds it."""
        self.bites += bites

        def hold():
            for task in Task.alive:
                if task.name == name:
                    task.coro.held = True

        yield from self._stands(hold)

    def _stands(self, how):
        boots = len(self.ledger.boots)
        how()
        yield 60
        if len(self.ledger.boots) == boots:
            self.ledger.fail("%s: nobody noticed in a minute" % self.now)
        yield from self.back()
