"""The scripted life of an outbox: boots, outages, spilling, thinning, durable records, a backlog drained."""

from life_node import Node
from life_world import METER


def unthinned(node):
    """From here on the log does without thinning, so that it fills in seconds."""
    node.outbox.thinning.every = 1
    node.outbox.thinning.filled = lambda part: None


class Life:
    """Runs on a file system that is mounted; `path`: folder of the outbox in it.

    after(): called when a step is done; before_boot(): when the RAM of `node` is about to be lost.
    """

    def __init__(self, world, path, sizes, after, before_boot):
        self.world, self.path, self.sizes, self.after, self.before_boot = world, path, sizes, after, before_boot
        self.node = None
        self.seen = {}  # what happened, for the test to see that the script does what it says

    def boot(self, **options):
        if self.node:
            self._note()
            self.before_boot()
        self.node = Node(self.world, self.path, self.sizes, self.world.state, after=self.after, **options)
        return self.node

    def _note(self):
        outbox = self.node.outbox
        for name in ("spilled", "thinned", "dropped", "flash_writes"):
            self.seen[name] = self.seen.get(name, 0) + getattr(outbox, name)
        self.seen["corrupt"] = max(self.seen.get("corrupt", 0), outbox.corrupt)

    def many(self):
        """A small log through everything that happens to one."""
        node = self.boot()
        node.keep()
        node.connect()
        node.steps(100)
        node.keep(METER)
        node.cut()  # an outage, until the log is thinned, with a trigger in it
        for i in range(1200):
            node.step()
            if i % 170 == 0:
                node.keep(METER)
            if i == 1000:
                node.outbox.trigger(node.now)
        node.connect()  # live first, the backlog behind it; half of it
        node.steps(12)

        node = self.boot(timed=False, version=1)  # power cut, no clock, another configuration
        node.keep()
        unthinned(node)
        node.steps(300)
        node.connect()
        node.learn(700000000)
        node.steps(30)

        node = self.boot(timed=False, version=1)  # one that never learns the time
        node.keep()
        node.steps(150)
        node.outbox.save()

        node = self.boot(version=2, hold_ms=800)  # clean reboot in a long outage: the log overflows
        unthinned(node)
        for i in range(1500):
            node.step()
            if i % 200 == 0:
                node.keep(METER)
        node.connect(session=False)
        node.steps(60)
        node.connect(session=False)  # the broker forgot what it has acknowledged: what is held goes again
        node.drain()

        node = self.boot(version=2)  # the end of a chunk of numbers
        node.outbox.ring.begin(node.outbox.ring.written | 0xFFF80)
        node.connect()
        node.steps(60)
        node.connect(session=False)
        node.steps(100)
        node.keep()
        node.cut()
        node.steps(200)
        node.connect()
        node.drain()
        self._note()

    def wide(self):
        """A log that fills the file system to the last block, in segments of full length."""
        node = self.boot()
        node.connect()
        node.keep()
        node.cut()
        unthinned(node)
        for i in range(2100):
            node.step()
            if i % 50 == 0:
                node.keep(METER)
        node = self.boot(version=1)
        unthinned(node)
        for i in range(300):
            node.step()
            if i % 10 == 0:
                node.keep(METER)
        node.connect()
        node.steps(100)
        node.drain()
        self._note()
