"""The way into a Wi-Fi network, and back into it: a radio and an access point at a time that the script sets."""

from time import ticks_add

from firmware.log import Log
from firmware.radio import Radio


class Station:
    """A radio and what is around it: `network` in the air or not, its `password`, `dhcp`; `broken` raises OSError.

    stale: how long `state` still tells of what was before the join, as the ESP32 does.
    """

    def __init__(self):
        self.network, self.password, self.dhcp, self.broken = True, "right", True, False
        self.now = self.stale = 0
        self.leaving = 0  # until then it goes on with the network that it was told to leave
        self.said = "off"
        self.active = False
        self.began = None
        self.calls = []

    def _call(self, name):
        self.calls.append((self.now, name))
        if self.broken:
            raise OSError(5)

    def on(self, country):
        self._call("on")
        if country != "DE":
            raise ValueError("unknown country")
        self.active = True
        self.said = "off"

    def off(self):
        self._call("off")
        self.active = False
        self.began = None

    def join(self, ssid, password):
        assert self.active and self.began is None and ssid == "ours"
        self._call("join")
        if self.now < self.leaving:
            raise OSError("Wifi Internal Error")
        self.began = self.now
        self.given = password

    def leave(self):
        assert self.active
        self._call("leave")
        self.began = None
        self.leaving = self.now + 600

    def state(self):
        assert self.active, "asked while it is off"
        if self.broken:
            raise OSError(5)
        if self.began is not None:
            passed = self.now - self.began
            if self.said == "up" and not self.network:
                self.said = "off"
                self.began = None
            elif passed >= self.stale:
                self.said = self._outcome(passed) if self.said != "up" else "up"
        elif self.said == "up" and self.now >= self.leaving:
            self.said = "off"
        return self.said

    def _outcome(self, passed):
        if passed < 2000:
            return "joining"
        if not self.network:
            return "absent"
        if self.given != self.password:
            return "password"
        return "up" if self.dhcp else "address"


class World:
    """A Radio stepped every 500 ms. start: of the ticks. `ups`: when it said that it is up."""

    def __init__(self, start=0, password="right", country="DE"):
        self.station = Station()
        self.lines = []
        self.start = start
        self.ups = []
        self.reached = True
        self.radio = Radio(self.station, "ours", password, country, Log(self.lines.append, "info"))
        self.radio.on_up.append(lambda: self.ups.append(self.station.now))

    def run(self, ms):
        end = self.station.now + ms
        while self.station.now < end:
            self.radio.step(ticks_add(self.start, self.station.now), self.reached)
            self.station.now += 500

    def took(self, state, most_ms):
        began = self.station.now
        while self.radio.state != state:
            assert self.station.now - began < most_ms, (state, self.radio.state, self.station.calls[-6:])
            self.run(500)
        return self.station.now - began

    def count(self, name, since=0):
        return len([1 for now, call in self.station.calls if call == name and now >= since])


# -- nothing to do -----------------------------------------------------------------------------------

for station, ssid in ((None, "ours"), (Station(), "")):
    radio = Radio(station, ssid, "", "", Log(print, "info"))
    radio.step(0)
    assert radio.state == "off"

# -- joined, lost and found, wherever the ticks begin -------------------------------------------------

PERIOD = 1 << 30  # of ticks_ms on 32 bits
for start in (0, ticks_add(0, -20_000), 0x3FFFFFFF - 40_000):
    world = World(start)
    world.took("up", 5_000)
    assert world.count("on") == world.count("join") == len(world.ups) == 1
    world.run(3_600_000)
    assert world.count("join") == 1, "left alone while it works"
    world.station.network = False  # the access point loses its power
    world.took("joining", 1_000)
    world.took("absent", 6_000)
    lost = world.station.now
    world.run(600_000)
    tries = world.count("join", lost)
    assert 15 <= tries <= 40, tries
    assert world.count("off", lost) == 2, "radio resets: after two minutes, then every five"
    world.station.network = True
    world.took("up", 35_000)
    assert len(world.ups) == 2
    said = [line.split()[1] for line in world.lines if "reset" not in line]
    assert said == ["joining", "up", "joining", "absent", "up"], world.lines
    world.station.network = False  # and only for a moment
    world.run(3_000)
    world.station.network = True
    world.took("up", 12_000)

# -- a wrong password, for an hour: asked ever more slowly, never given up ----------------------------

world = World()
world.station.password = "not yet"
world.took("password", 6_000)
world.run(3_600_000)
assert 15 <= world.count("join") <= 40, world.count("join")
world.station.password = "right"
world.took("up", 310_000)
assert "right" not in "".join(world.lines), "no secret in the log"

# one false alarm costs seconds
world = World()
world.station.password = "other"
world.took("password", 6_000)
world.station.password = "right"
world.took("up", 6_000)

# an absent network does not make the first refused password slow
world = World()
world.station.network = False
world.run(600_000)
world.station.network, world.station.password = True, "other"
world.took("password", 35_000)
world.station.password = "right"
world.took("up", 8_000)

# -- DHCP that gives no address: left and joined again ------------------------------------------------

world = World()
world.station.dhcp = False
world.took("address", 6_000)
joined = world.station.now
world.run(36_000)
assert world.count("leave", joined) >= 1 and world.count("join", joined) == 1
assert world.radio.state == "address"
world.station.dhcp = True
world.took("up", 36_000)

# -- an ESP32 still tells of the network it has left --------------------------------------------------

world = World()
world.station.stale = 2_500
world.station.said = "absent"
world.took("up", 6_000)
assert world.count("join") == 1

# -- a radio that fails -------------------------------------------------------------------------------

world = World()
world.station.broken = True
world.run(600_000)
assert world.radio.state == "off" and 3 <= world.count("on") + world.count("off") <= 12, world.station.calls
assert len(world.lines) <= 2, world.lines
world.station.broken = False
world.took("up", 310_000)
world.station.broken = True  # in the middle of its work
world.run(2_000)
assert world.radio.state == "off"
world.station.broken = False
world.took("up", 10_000)

world = World(country="XQ")  # network.country raises ValueError
world.run(600_000)
assert world.radio.state == "off" and 3 <= world.count("on") <= 12
assert world.lines == ["Wi-Fi: off: unknown country"], world.lines

# -- "up", but nothing comes through: CYW43 may not have noticed --------------------------------------

world = World()
world.took("up", 5_000)
world.reached = False
began = world.station.now
world.run(1_000_000)
assert world.count("join", began) == 3 and len(world.ups) == 4, (world.count("join", began), world.ups)
assert world.radio.state == "up" and world.count("off") == 0
world.reached = True
began = world.station.now
world.run(1_000_000)
assert world.count("join", began) == 0
