"""What happens to a node in the field: one incident after the other, with quiet in between.

An incident ends with `expect`: within so many seconds a frame made from then on has arrived, and STATUS is online.
"""

import sys

from field_inside import Inside
from field_outside import BACK_S, Outside
from field_time import Enough, Restart, world

# Waits of the firmware shorter than that last so long, as on a processor with much to do: between incidents and in
# them.
QUIET_MS, BUSY_MS = 900, 20


class Script(Outside, Inside):
    """machine: field_board.Machine. ledger: Ledger. brokers: the first and its fallback. lot: fake_storage.Lot.

    running: whether the node has power now. told: [text that exactly one EVENT must have]. bites: of the watchdog,
    that must be.
    """

    def __init__(self, machine, ledger, brokers, lot, config):
        self.machine, self.ledger, self.brokers, self.lot, self.config = machine, ledger, brokers, lot, config
        self.net = machine.net
        self.running = False
        self.cause = "power"  # of the next reset by the script's hand
        self.dark_s = 1
        self.cuts = {"time": 0, "flash": 0, "socket": 0}
        self.bites = 0  # that the script provokes
        self.told = []
        self.injected = {}
        self.done = {}
        self.now = ""  # the incident that is under way

    # -- running -------------------------------------------------------------------------------------------

    def go(self, incidents, gap_s, length_s, at_end):
        """One after the other, with quiet of gap_s() between them; at_end() when length_s are over."""
        steps = self._all(incidents, gap_s, length_s, at_end)

        def step():
            try:
                wait_s = next(steps, None)
            except Exception as e:  # the script's own: not for the firmware to catch
                sys.print_exception(e, sys.stderr)
                self.ledger.fail("the script broke in %s: %r" % (self.now, e))
                world.doom(Enough())
            if wait_s is not None:
                world.after(int(wait_s * 1000), step)

        step()

    def _all(self, incidents, gap_s, length_s, at_end):
        for name, *args in incidents:
            world.quiet_ms = QUIET_MS
            yield gap_s()
            world.quiet_ms = BUSY_MS
            yield 5 + self.lot.below(20)
            self.ledger.void()
            self.done[name] = self.done.get(name, 0) + 1
            self.now = name
            for wait_s in getattr(self, name)(*args):
                if wait_s > 400:
                    yield 200
                    world.quiet_ms = QUIET_MS
                    yield wait_s - 400
                    world.quiet_ms = BUSY_MS
                    yield 200
                else:
                    yield wait_s
            yield 30
        world.quiet_ms = QUIET_MS
        yield max(0, length_s - world.seconds)
        at_end()

    def expect(self, within_s=BACK_S):
        return self.ledger.expect(self.now, within_s)

    def back(self, within_s=BACK_S):
        """Wait until it is back."""
        entry = self.expect(within_s)
        while entry in self.ledger.expected:
            yield 5
        yield 20

    def fate(self, fate):
        """The machine ends now; nothing if it is off."""
        if self.running:
            world.doom(fate)

    def reset(self, cause="restart"):
        def reset():
            self.cause = cause
            self.fate(Restart())

        world.after(0, reset)


def enough():
    world.doom(Enough())
