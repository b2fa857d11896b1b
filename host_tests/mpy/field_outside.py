"""What comes from outside: network, brokers, power and time. Incidents yield the seconds until they go on."""

from field_time import PowerCut, world

BACK_S = 90  # a node with power, network, time and broker is back after so long, whatever happened before
LONG_S = 260  # after outages of hours it asks every two minutes, and a quarter more


class Outside:
    """Incidents of a Script (field_script.py), which is what `self` is."""

    # -- network and brokers -------------------------------------------------------------------------------

    def outage(self, seconds):
        self.net.path = False
        yield seconds
        self.net.path = True
        yield from self.back(BACK_S if seconds < 1800 else LONG_S)

    def flapping(self, times):
        for _ in range(times):
            self.net.path = not self.net.path
            yield 1 + self.lot.below(40)
        self.net.path = True
        yield from self.back()

    def broker_dies(self, memory, seconds):
        """The first one; the node goes to its fallback at once, and returns."""
        self.brokers[0].die(memory)
        self.expect()
        yield seconds
        self.brokers[0].up = True
        yield from self.back()

    def brokers_die(self, memory, seconds):
        for broker in self.brokers:
            broker.die(memory)
        yield seconds
        for broker in self.brokers:
            broker.up = True
        yield from self.back(LONG_S)

    def broker_silent(self, how, seconds):
        """deaf: nothing reaches it; mute: it reads, and neither keeps nor answers."""
        for broker in self.brokers:
            setattr(broker, how, True)
        yield seconds
        for broker in self.brokers:
            setattr(broker, how, False)
        yield from self.back(LONG_S)

    def broker_cuts(self, times):
        for _ in range(times):
            for broker in self.brokers:
                broker.cut()
            yield 15 + self.lot.below(20)
        yield from self.back()

    def socket_fails(self, number):
        """With that errno, at its next call."""
        self.net.fails = OSError(number)
        yield 5
        yield from self.back()

    def socket_raises(self, kind):
        """What no socket should."""
        self.net.fails = self.tell(kind)
        yield 30
        yield from self.back()

    def wifi(self, what, seconds):
        """ap: the access point vanishes; locked: it takes no password; dhcp: it gives no address."""
        station = self.machine.station
        setattr(station, what, what == "locked")
        station.shake()
        yield seconds
        setattr(station, what, what != "locked")
        yield from self.back(LONG_S)

    # -- power ---------------------------------------------------------------------------------------------

    def cut(self, dark_s):
        """The power goes at this instant."""
        self.dark_s = dark_s
        self.cuts["time"] += 1
        world.after(self.lot.below(1000), lambda: self.fate(PowerCut()))
        yield dark_s + 2
        yield from self.back()

    def outage_cut(self, seconds):
        """The power goes in an outage."""
        self.net.path = False
        yield seconds
        self.cuts["time"] += 1
        world.after(0, lambda: self.fate(PowerCut()))
        yield 30
        self.net.path = True
        yield from self.back()

    def cut_flash(self, n, mode, dark_s):
        """... at the n-th operation of the flash from now, which an outage and a crash make busy."""
        self.dark_s = dark_s
        boots = len(self.ledger.boots)
        self.net.path = False
        self.machine.flash.cut(n, mode)
        for _ in range(40):
            yield 60
            if len(self.ledger.boots) > boots:
                self.cuts["flash"] += 1
                break
        self.machine.flash.cut(-1, 0)
        self.net.path = True
        yield from self.back(LONG_S)

    def cut_socket(self, n, dark_s):
        self.dark_s = dark_s
        boots = len(self.ledger.boots)
        self.net.cut_in = n
        yield 100 + dark_s
        self.net.cut_in = 0
        self.cuts["socket"] += len(self.ledger.boots) - boots
        yield from self.back()

    def cuts_in_a_row(self, times):
        """No boot loop: power cycles are no crashes, however soon they come."""
        for _ in range(times):
            self.dark_s = 1
            self.cuts["time"] += 1
            world.after(0, lambda: self.fate(PowerCut()))
            yield 3 + self.lot.below(4)
        yield from self.back()
        if self.ledger.status.get("crashes", 0):
            self.ledger.fail("power cycles were counted as crashes: %s" % self.ledger.status)

    def button(self):
        self.reset("button")
        yield 3
        yield from self.back()

    # -- time ----------------------------------------------------------------------------------------------

    def clock_steps(self, seconds):
        """The servers are wrong, and right again."""
        self.ledger.clock_lies = True
        self.net.ntp_error_s = seconds
        yield 200
        yield from self.back()
        self.net.ntp_error_s = 0
        yield 200
        self.ledger.clock_lies = False
        yield from self.back()

    def no_time(self, seconds):
        """A power cut, and no NTP for so long after it."""
        self.net.ntp = False
        self.dark_s = 5
        self.cuts["time"] += 1
        world.after(0, lambda: self.fate(PowerCut()))
        yield 7
        self.expect(200)
        yield seconds
        self.net.ntp = True
        yield from self.back(200)

    def clock_raises(self, kind):
        self.machine.clock_raises = self.tell(kind)
        yield 80
        yield from self.back()
