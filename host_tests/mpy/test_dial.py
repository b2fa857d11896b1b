"""Dialling: the address is waited for as the socket is, and each has its own time."""

import fake_network
from fake_network import FakeNet, FakeSelect

from firmware import dial as module
from firmware.dial import Dial, Unreachable

module.select = FakeSelect()
fake_network.node = node = type("Clock", (), {"now": 0})


class Net(FakeNet):
    """answers: what look_up gives, call by call; the last for ever."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)
        self.to = []

    def look_up(self, host, now):
        assert host == "broker.local" and now == node.now
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def connect(self, address, port):
        self.to.append((address, port))
        return super().connect(address, port)


def dialled(net, most_ms=20_000):
    """(what came, after how many ms): a socket, or the words of Unreachable."""
    node.now = began = 1000
    dial = Dial(net)
    try:
        dial.open("broker.local", 1883, node.now)
        while True:
            sock = dial.step(node.now)
            if sock:
                return sock, node.now - began
            assert node.now - began < most_ms
            node.now += 10
    except Unreachable as e:
        dial.close()
        return str(e), node.now - began


net = Net("192.0.2.7")
sock, ms = dialled(net)
assert sock is net.sockets[0] and ms == 0 and net.to == [("192.0.2.7", 1883)]

net = Net(*[None] * 250, "192.0.2.7")  # the name server takes its time
sock, ms = dialled(net)
assert sock is net.sockets[0] and 2_400 <= ms <= 2_600 and net.to == [("192.0.2.7", 1883)]

words, ms = dialled(Net(None, None, OSError("no address for it")))
assert words == "no address for it" and ms <= 30, (words, ms)

words, ms = dialled(Net(OSError(-2)))
assert "-2" in words and ms == 0

net = Net(*[None] * 250, "192.0.2.7")
net.up = False  # nothing answers there: the time of the look-up is not its own
words, ms = dialled(net)
assert words == "no answer within 3000 ms" and 5_400 <= ms <= 5_600, (words, ms)
assert len(net.to) == 5 and net.sockets[0].closed

dial = Dial(Net(None))  # left while it asks, and used again
dial.open("broker.local", 1883, node.now)
assert dial.step(node.now) is None
dial.close()
net = dial._net = Net("192.0.2.8")
dial.open("broker.local", 1883, node.now)
assert dial.step(node.now) is net.sockets[0] and net.to == [("192.0.2.8", 1883)]
