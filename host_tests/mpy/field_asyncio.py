"""asyncio's tasks and waiting in simulated time (field_time.py): in Python, because MicroPython's own in C read the
machine's clock, and so that the script can reach each task."""

import sys

from field_time import TICKS, time, world

_STEPS_A_MS = 20  # steps of tasks without a wait that count as a millisecond of work


class TaskQueue:
    """As asyncio's, in Python, because the one in C reads the machine's own clock."""

    def __init__(self):
        self._tasks = []

    def peek(self):
        return self._tasks[0] if self._tasks else None

    def push(self, task, key=None):
        now = (world.base + world.ms) & TICKS
        tasks = self._tasks
        task.data = None
        if key is None:
            key = now
        elif world.quiet_ms:
            wait = (key - now) & TICKS
            if 0 < wait < world.quiet_ms:
                key = (now + world.quiet_ms) & TICKS
        task.ph_key = key
        i = len(tasks)
        while i and 0 < (tasks[i - 1].ph_key - key) & TICKS <= TICKS >> 1:
            i -= 1
        tasks.insert(i, task)

    def pop(self):
        return self._tasks.pop(0)

    def remove(self, task):
        self._tasks.remove(task)


class Body:
    """The coroutine of a task. held: it hangs, and never gets on."""

    def __init__(self, coro):
        self.coro = coro
        self.name = repr(coro).split("'")[1]
        self.held = False

    def send(self, value):
        if self.held:
            core = sys.modules["asyncio.core"]
            core._task_queue.push(core.cur_task, (world.base + world.ms + 1000) & TICKS)
            return None
        return self.coro.send(value)

    def throw(self, exception):
        return self.coro.throw(exception)

    def close(self):
        self.coro.close()


class Task:
    """As asyncio's. alive: those of this boot; name: of the coroutine's function, with a number if it is not the
    first of that name."""

    alive = []

    def __init__(self, coro, globals=None):
        self.coro = Body(coro)
        self.data = None
        self.state = True
        self.ph_key = 0
        Task.alive = [task for task in Task.alive if task.state] + [self]
        same = len([task for task in Task.alive if task.coro.name == self.coro.name])
        self.name = self.coro.name + (str(same) if same > 1 else "")

    def __iter__(self):
        if not self.state:
            self.state = False
        elif self.state is True:
            self.state = TaskQueue()
        elif type(self.state) is not TaskQueue:
            raise RuntimeError("can't wait")
        return self

    def __next__(self):
        core = sys.modules["asyncio.core"]
        if not self.state:
            if self.data is None:
                raise StopIteration
            raise self.data
        waiting = core.cur_task
        self.state.push(waiting)
        waiting.data = self

    def done(self):
        return not self.state

    def cancel(self):
        if self is sys.modules["asyncio.core"].cur_task:
            raise RuntimeError("can't cancel self")
        return self.raise_in(sys.modules["asyncio.core"].CancelledError)

    def raise_in(self, exception):
        """`exception` falls on it where it waits, at its next step, which is now."""
        core = sys.modules["asyncio.core"]
        if not self.state:
            return False
        while isinstance(self.data, Task):
            self = self.data
        if hasattr(self.data, "remove"):
            self.data.remove(self)
            core._task_queue.push(self)
        elif time.ticks_diff(self.ph_key, time.ticks_ms()) > 0:
            core._task_queue.remove(self)
            core._task_queue.push(self)
        self.data = exception
        return True


class IOQueue:
    """In place of asyncio's: nothing is polled, time passes."""

    def __init__(self):
        self.map = {}

    def wait_io_event(self, dt_ms):
        if dt_ms > 0:
            world.advance(dt_ms)
            return
        world.steps += 1
        world._steps += 1
        if world._steps >= _STEPS_A_MS:
            world._steps = 0
            world.advance(1)
        elif world.fate:
            raise world.fate
