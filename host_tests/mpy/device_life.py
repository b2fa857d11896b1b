"""boards/main.py, with a fault: `device_life.py ROOT`. What is wrong stands in ROOT/fault as JSON, {} for nothing.

{"raise": part}: an exception in that task; {"hang": "measuring" or "link"}: the program stands still there;
{"still": ...}: that part alone does; {"lean": ...}: one of a node that measures nothing; {"leak": 1}: the heap
fills up; {"end": 1}: a crash hangs as it saves.
Times are shortened by "times" in it.
"""

import asyncio
import gc
import json
import sys
import time

import firmware.safe as safe
from boards.paced import Paced
from boards.unix.board import Board
from firmware.guard import Guard
from firmware.lamp import Lamp
from firmware.link import Link
from firmware.meter import Meter
from firmware.node import Node
from firmware.session import Session

ROOT = sys.argv[1]
with open(ROOT + "/fault") as file:
    fault = json.load(file)
times = fault.get("times", {})
Node.HEALTHY_S = times.get("healthy_s", Node.HEALTHY_S)
Node.STEADY_S = times.get("steady_s", Node.STEADY_S)
Guard.LOOKS = times.get("looks", Guard.LOOKS)
safe.HOUR_S = times.get("hour_s", safe.HOUR_S)
safe.TURN_S = times.get("turn_s", safe.TURN_S)
_AFTER_S = 1  # of its work


class Dog:
    """Whoever runs this program looks at the file: it bites."""

    def feed(self):
        with open(ROOT + "/fed", "w") as file:
            file.write("x")

    def release(self):
        print("watchdog released")


def watchdog(board, timeout_ms):
    assert 0 < timeout_ms <= board.longest_watchdog_ms
    dog = Dog()
    dog.feed()
    return dog


Board.watchdog = watchdog

TASKS = {
    "meter": (Meter, "run"),
    "link": (Link, "run"),
    "report": (Node, "_report"),
    "watch": (Node, "_watch"),
    "lamp": (Lamp, "run"),
}


def raising(owner, name, part):
    work = getattr(owner, name)

    async def task(self, *args):
        running = asyncio.create_task(work(self, *args))
        await asyncio.sleep(_AFTER_S)
        running.cancel()
        raise RuntimeError("injected into " + part)

    setattr(owner, name, task)


def standing(owner, name, value):
    """After a while the method does nothing but give `value` (a function: what that gives)."""
    work = getattr(owner, name)
    began = time.ticks_ms()

    def method(self, *args):
        if time.ticks_diff(time.ticks_ms(), began) < 1000 * _AFTER_S:
            return work(self, *args)
        return value() if callable(value) else value

    setattr(owner, name, method)


def hang():
    while True:
        time.sleep_ms(10)


if "raise" in fault:
    part = fault["raise"]
    if part == "build":

        def build(*args):
            raise RuntimeError("injected into build")

        import firmware.wiring

        firmware.wiring.build = build
    elif part == "pump":
        standing(Link, "pump", lambda: {}["injected into pump"])
    else:
        raising(TASKS[part][0], TASKS[part][1], part)
elif "hang" in fault:
    owner, name = {"measuring": (Paced, "fill"), "link": (Session, "step")}[fault["hang"]]
    standing(owner, name, hang)
elif fault.get("still") == "measuring":
    standing(Paced, "due_ms", 1000)
elif fault.get("still") == "link":
    work = Link.run

    async def run(self):
        running = asyncio.create_task(work(self))
        await asyncio.sleep(_AFTER_S)
        running.cancel()

    Link.run = run
elif fault.get("still") == "memory":

    async def report(self, *args):
        pass

    Node._report = report
elif "leak" in fault:
    kept = []
    collect = Node._collect

    def leak(self):
        gc.collect()
        for size in (10000, 2000, 500):
            while self.link.served and gc.mem_free() > 7500 + size:
                try:
                    kept.append(bytearray(size))
                except MemoryError:  # in one piece
                    break
        collect(self)

    Node._collect = leak

if "lean" in fault or "member_healthy_s" in times:
    from firmware.member import Member
    from firmware.teller import Teller

    Member.HEALTHY_S = times.get("member_healthy_s", Member.HEALTHY_S)
    if fault.get("lean") == "member":
        standing(Member, "_turn", None)
    elif fault.get("lean") == "teller":
        standing(Teller, "step", lambda: {}["injected into teller"])
    elif fault.get("lean") == "memory":

        async def report_nothing(self, *args):
            pass

        Member._report = report_nothing

if "end" in fault:
    Node.save = lambda self: hang()

place = {"__name__": "main"}
with open("boards/main.py") as file:
    exec(file.read(), place)
if not place["begin"](ROOT):
    print("no application")
    sys.exit(1)
