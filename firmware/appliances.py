"""Appliances that follow the tariff: planned one at a time, switched by relay; what was asked for is kept.

Without a tariff the default price counts, at which all times are alike: a run (washing machine) and a charge begin
at once, a thermostat keeps its normal set point, solar panels feed in, a battery rests. Without time a tariff is
shown, and nothing follows it: no deadline can be known, and whoever asked wants the laundry done, so what was asked
for begins at once (_PATIENCE_S after the start, within which the time of day may come); a charger is on.
"""

import asyncio
import json
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from firmware.modules import forget
from tariff import limit

_TURN_MS = const(1000)
_NEXT_MS = const(20)  # between plans: one takes an RP2040 25 to 60 ms
_PATIENCE_S = const(900)
_STALE_S = const(1800)  # a temperature is of no use after
_NAME = "appliances"
_KEPT = ("left_s", "wh", "finish_by", "begun", "done", "stored")


class _Load:
    """An appliance of the configuration, what it is at, and its plan."""

    def __init__(self, keys):
        self.keys = keys
        self.kind, self.name, self.watts = keys["kind"], keys["name"], keys["watts"]
        self.w = self.want = 0  # it draws, is to draw; below 0: gives
        self.since_s = 0  # of the last change
        self.left_s = self.wh = 0  # of its job, at full power; 0: it has none
        self.finish_by = 0  # SOC; 0: as soon as possible
        self.begun = False  # a run: it is not interrupted but by a limit, nor begun anew
        self.done = 0  # finish_by of the last daily job
        self.stored = 0  # W s, in a battery
        self.stale = self.feasible = True  # is to be planned; the plan keeps finish_by
        self.asked = False  # by a command: its plan is told
        self.pieces = ()  # of the plan: [(from, until, W), ...]
        self.aim = self.low = self.high = None  # set point, thresholds
        self.given, self.given_s = None, 0  # temperature, when it was told


def _let_go():
    forget("firmware.demand", "firmware.plans", "tariff.run", "tariff.charge", "tariff.needs")


class Appliances:
    """configs: appliances of the checked configuration. book: tariff.book.Book. shelf: Shelf. relay(i, on): the
    board's. tell(what, **fields): of events. number: of the node, spread_s: as limit.restore has them.

    `step(now_ms)`, or `run()`: each second. `replan()`: the book has changed. `ask(command)`: firmware.demand.
    `stop()`: all is off, for the end; what was asked for goes on at the next start.
    announce(jobs, day, [Wh, Wh, Wh]), if set, is told what is needed today and tomorrow (UTC) when that changes.
    on_change: functions of (name, W, why, price), told of a switching after the relay; hook_errors: so many raised.
    """

    def __init__(self, configs, book, shelf, relay, tell, clock, number, spread_s):
        self._book, self._shelf, self._relay, self._tell, self._clock = book, shelf, relay, tell, clock
        self._number, self._spread_s = number, spread_s
        self.announce = None
        self.on_change = []
        self.refused = self.hook_errors = self.turns = 0
        # by importance; what may give power comes after all that draws it
        self._loads = [_Load(keys) for keys in configs]
        self._loads.sort(key=lambda one: (one.kind == "supply", one.keys["priority"], configs.index(one.keys)))
        self._ms = ticks_ms()
        self._up_s = 1
        self._state = book.current()
        self._slot = -1  # quarter of an hour of the last look
        self._said = ()
        self._news = True
        self._data = shelf.get(_NAME) or b"{}"
        kept = json.loads(self._data)
        for one in self._loads:
            for key, value in zip(_KEPT, kept.get(one.kind + one.name, ())):
                setattr(one, key, value)
        # a street does not come back at once with its power, but what was interrupted goes on
        self._held = [0 if one.begun else -1 for one in self._loads]

    async def run(self):
        while True:
            self.turns = self.turns + 1 & 0xFFFF
            await asyncio.sleep_ms(_NEXT_MS if self.step(ticks_ms()) else _TURN_MS)

    def replan(self):
        for one in self._loads:
            one.stale = True

    def ask(self, command, to_all=False):
        """A command as firmware.demand has it, JSON or a dict; whether it is taken, else an event says why not."""
        from firmware.demand import demand

        try:
            if demand(command, self._loads, self._clock, self._up_s, to_all):
                self._changed()
            return True
        except Exception as e:  # what is no JSON may be anything to MicroPython
            self.refused += 1
            self._tell("appliance", error=str(e))
            return False
        finally:
            _let_go()

    def _changed(self):
        self.replan()
        self._save()

    def step(self, now_ms):
        """Plan one that needs it, else switch; whether there was something to plan."""
        passed_s = ticks_diff(now_ms, self._ms) // 1000
        self._ms = ticks_add(self._ms, passed_s * 1000)
        self._up_s += passed_s
        now = self._clock.soc() if self._clock.known else 0
        for one in self._loads:
            self._go_on(one, now, passed_s)
        state, slot = self._book.current(now or None), now // 900
        if state != self._state or slot != self._slot:
            self._state, self._slot = state, slot
            self._changed()
        for i, one in enumerate(self._loads):
            if one.stale:
                one.stale = False
                self._news = True
                self._plan(i, now)
                return True
        if self._news:
            self._news = False
            self._announce(now)
        self._decide(now)
        return False

    def _go_on(self, one, now, passed_s):
        if one.kind == "supply":
            one.stored = min(max(one.stored + one.w * passed_s, 0), 3600 * one.keys["wh"])
        elif one.left_s:
            if one.w > 0:
                one.left_s = max(one.left_s - passed_s, 0)
            one.feasible = not one.left_s or one.feasible
            if one.kind == "charge" and 0 < one.finish_by <= now:
                one.left_s = 0  # it has left
            if not one.left_s:
                one.begun = False
                self._changed()
            elif one.pieces and one.pieces[-1][1] <= now:
                self.replan()  # it was held up

    def _plan(self, i, now):
        from firmware.plans import plan

        wait_s = limit.delay_s(self._number, i, self._spread_s)
        plan(self._loads, i, now, self._state, self._book, wait_s, self._tell)

    def _announce(self, now):
        """All are planned."""
        if now and self.announce:
            from firmware.plans import announce

            self._said = announce(self._loads, now, self._said, self.announce)
        _let_go()

    def _decide(self, now):
        _, price, level, limit_w = self._state
        load_w = 0
        wants = []
        for one in self._loads:
            one.want = self._want(one, now, load_w, limit_w)
            load_w += one.want
            if limit_w is not None and one.want < 0 and one.keys["wh"]:
                limit_w -= one.want
            wants.append((0 if one.begun else one.keys["priority"], max(one.want, 0)))
        may = limit.shed(wants, level, limit_w)
        draws = limit.restore(self._held, may, self._up_s, self._number, self._spread_s)
        for off in (True, False):  # first, so that never both draw
            for i, one in enumerate(self._loads):
                shed = one.want > 0 and not draws[i]
                w = 0 if shed else one.want
                if w != one.w and off == (w <= 0):
                    self._switch(one, w, self._why(one, now, w, shed), price)

    def _want(self, one, now, load_w, limit_w):
        """W that it would draw (below 0: give) beside load_w, if nothing stops it."""
        keys, watts, up_s = one.keys, one.watts, self._up_s
        if one.kind == "supply":
            from tariff import supply  # here: most nodes do without

            _, price, level, _ = self._state
            if not keys["wh"]:
                return -supply.solar(price, watts, level)
            powers = watts if keys["charger"] >= 0 else 0, watts
            stored_wh, bounds = one.stored // 3600, (0, keys["wh"])
            w = supply.battery(
                price, one.low, one.high, stored_wh, bounds, powers, 60, load_w, limit_w, level
            )
            if w < 0:  # a relay gives all or nothing
                return -watts if one.stored >= 60 * watts else 0
            return w if w == watts else 0
        if one.kind == "thermostat":
            from tariff import thermostat

            on = thermostat.switch(
                one.w > 0,
                up_s - one.since_s,
                one.given if up_s - one.given_s < _STALE_S else None,
                one.aim,
                keys["band"],
                keys["cooling"],
                keys["rest_s"],
            )
        elif one.begun:
            on = True
        elif now:
            on = [1 for since, until, _ in one.pieces if since <= now < until]
        else:
            late = up_s > _PATIENCE_S
            on = late if one.kind == "charge" else one.left_s and (late or not one.finish_by)
        return watts if on else 0

    def _why(self, one, now, w, shed):
        table, _, level, limit_w = self._state
        job = one.kind == "run" or one.kind == "charge"
        if not now:
            return "no time"
        if job and not one.left_s:
            return "done" if one.feasible else "deadline"
        if level and (not job or not w and limit.stopped(one.keys["priority"], level)):
            return "emergency"
        if shed or job and not w and limit_w is not None and (one.watts > limit_w or not one.feasible):
            return "limit"
        if one.begun:
            return "begun"
        if job and not one.finish_by:
            return "asked"
        if not one.feasible:
            return "deadline"
        return "tariff %d" % table.number if table else "default"

    def _switch(self, one, w, why, price):
        if one.kind == "run" and w and not one.begun:
            one.begun = True
            self._save()  # before: it must not begin twice
        relay, keys = self._relay, one.keys
        if one.kind != "supply":
            relay(keys["relay"], w > 0)
        else:
            if one.w > 0:
                relay(keys["charger"], False)
            if (w < 0) != (one.w < 0):
                relay(keys["relay"], w < 0)
            if w > 0:
                relay(keys["charger"], True)
        one.w, one.since_s = w, self._up_s
        self._tell("appliance", name=one.name, on=w != 0, w=w, why=why, price=price)
        for hook in self.on_change:
            try:
                hook(one.name, w, why, price)
            except Exception:  # a display must not stop a relay
                self.hook_errors += 1

    def stop(self):
        for one in self._loads:
            if one.w:
                one.w, draws = 0, one.w > 0
                self._relay(one.keys["charger" if draws and one.kind == "supply" else "relay"], False)

    def _save(self):
        """What was asked and what has begun; what cannot be kept is tried again each quarter of an hour."""
        kept = {one.kind + one.name: [getattr(one, key) for key in _KEPT] for one in self._loads}
        data = json.dumps(kept).encode()
        if data != self._data:
            try:
                self._shelf.put(_NAME, data)
                self._data = data
            except OSError as e:
                self._tell("appliance", error=str(e))

    def status(self):
        """For STATUS: the tariff that is shown, and W of each appliance."""
        table = self._state[0]
        return {
            "tariff": table.number if table else 0,
            "price": self._state[1],
            "w": {one.name: one.w for one in self._loads},
        }
