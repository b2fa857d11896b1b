"""The watchdog is fed only while everything goes on; each cause of a restart by itself."""

from firmware.guard import Guard, Restart

LOOKS = Guard.LOOKS


class Node:
    """Two parts that go on, until they are told not to; `fed`: how often its watchdog was."""

    def __init__(self, floor=8192):
        self.counts = [0, 0]
        self.fed = 0
        progress = (("measuring", self, "frames"), ("link", self, "turns"))
        self.guard = Guard(self.feed, progress, floor)

    @property
    def frames(self):
        return self.counts[0]

    @property
    def turns(self):
        return self.counts[1]

    def feed(self):
        self.fed += 1

    def look(self, *parts):
        """The parts go on, and the guard looks: the reason for a restart, or ""."""
        for part in parts:
            self.counts[part] = self.counts[part] + 1 & 0xFFFF
        self.guard.reports += 1
        try:
            self.guard.look()
        except Restart as e:
            return str(e)
        return ""


node = Node()
for _ in range(3 * LOOKS):
    assert node.look(0, 1) == ""
assert node.fed == 3 * LOOKS

for dead in 0, 1:
    node = Node()
    for _ in range(5):
        node.look(0, 1)
    why = [node.look(1 - dead) for _ in range(LOOKS)]
    assert why[:-1] == [""] * (LOOKS - 1) and ("measuring", "link")[dead] + " stood still" in why[-1], why
    fed = node.fed
    for _ in range(LOOKS):  # should nobody act on it, the watchdog does
        assert "stood still" in node.look(1 - dead)
    assert node.fed == fed

node = Node()  # a wait, however often, is no end
for _ in range(10):
    node.look(0, 1)
    for _ in range(LOOKS - 1):
        assert node.look(1) == ""

node = Node()
for free in (50000, 8191, 8191, 20000, 8191, 8191, 8192):
    node.guard.collected(free)
assert (node.guard.heap, node.guard.heap_least) == (8192, 8191)
try:
    for _ in range(3):
        node.guard.collected(5000)
    raise AssertionError("no restart")
except Restart as e:
    assert str(e) == "memory: 5000 bytes are free"
node = Node(floor=0)
for _ in range(10):
    node.guard.collected(1)
