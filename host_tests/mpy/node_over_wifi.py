"""A whole node as on a board that has only ticks and a radio. Arguments: configuration, ports of DNS and NTP
on loopback, seconds.

The radio is an access point's: a second to join, none from the 6th to the 9th second, then again.
"""

import sys
from time import ticks_diff, ticks_ms

from boards.once import once
from boards.resolver import Resolver
from boards.unix import board as unix
from boards.wallclock import Clock
from boards.wifi import WifiNetwork
from firmware import main
from firmware.work import work

BEGAN = ticks_ms()


def there():
    return not 6000 <= ticks_diff(ticks_ms(), BEGAN) < 9000


class Station:
    def __init__(self):
        self.joined_ms = None

    def on(self, country):
        assert country == "DE"

    def join(self, ssid, password):
        assert (ssid, password) == ("ours", "secret word")
        self.joined_ms = ticks_ms()

    def leave(self):
        self.joined_ms = None

    def state(self):
        if self.joined_ms is None or ticks_diff(ticks_ms(), self.joined_ms) < 1000:
            return "joining"
        return "up" if there() else "absent"

    def rssi(self):
        return -61 if self.state() == "up" else None

    def dns(self):
        return "127.0.0.1"


class Network(WifiNetwork):
    def __init__(self, broker, port):
        super().__init__(Station(), broker)
        self.look_up = Resolver(self, self.station.dns, port).look_up

    def connect(self, address, port):
        if self.station.state() != "up":
            raise OSError(113)
        return super().connect(address, port)

    def udp(self):
        if self.station.state() != "up":
            raise OSError(113)
        return super().udp()


class Board(unix.Board):
    def open(self, config):
        super().open(config)
        self.clock = Clock()
        self.network = Network(config["broker"], int(sys.argv[2]))
        self.source = once("boards.sources", "simulated", config, self.clock, 4000)


config = main.load(sys.argv[1])
board = Board()
board.open(config)
node = main.start(config, board)
node._asker._port = int(sys.argv[3])
work(node, config["status_s"], config["energy_s"], float(sys.argv[4]))
from firmware.ending import leave

leave(node, board)
