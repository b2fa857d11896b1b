"""The thin station over `network`, as the ports rp2 and esp32 have it: numbers as in their type stubs."""

from boards.wifi import Station, WifiNetwork

calls = []


class WLAN:
    """Checks how it is called: `active` first, and the country before that."""

    PM_NONE = 16

    def __init__(self, interface):
        assert interface == 0
        self.now, self.dbm, self.on, self.server = None, -61, False, "192.0.2.53"
        Rp2.wlan = Esp32.wlan = self

    def active(self, on):
        self.on = on
        calls.append(("active", on))

    def config(self, **options):
        assert self.on
        calls.append(("config", options))

    def connect(self, *args):
        assert self.on
        calls.append(("connect",) + args)

    def disconnect(self):
        calls.append(("disconnect",))

    def status(self, what=None):
        if what is None:
            return self.now
        assert what == "rssi"
        if self.dbm is None:
            raise OSError(1)
        return self.dbm

    def ifconfig(self):
        return "192.0.2.7", "255.255.255.0", "192.0.2.1", self.server


class Rp2:
    WLAN, STA_IF, STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = WLAN, 0, 0, 1, 3

    def country(self, code):
        assert not self.wlan.on
        calls.append(("country", code))


class Esp32(Rp2):
    STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010


def said(station, wlan, status):
    wlan.now = status
    return station.state()


for port, after in ((Rp2(), []), (Esp32(), [("config", {"reconnects": 0})])):
    station = Station(port)
    assert not calls, "nothing is touched at construction"
    station.on("DE")
    assert calls == [("country", "DE"), ("active", True), ("config", {"pm": 16})] + after, calls
    calls.clear()
    station.on()
    station.join("ours", "secret")
    station.join("open", "")
    station.leave()
    station.off()
    assert calls[0] == ("active", True) and calls[2 + len(after) :] == [
        ("connect", "ours", "secret"),
        ("connect", "open"),
        ("disconnect",),
        ("active", False),
    ], calls
    calls.clear()
    assert station.rssi() == -61 and station.dns() == "192.0.2.53"
    port.wlan.dbm, port.wlan.server = None, "0.0.0.0"
    assert station.rssi() is None and station.dns() == ""
    if after:
        # reasons of a disconnection, among them 1 to 3, which mean something else on the rp2
        expected = {1000: "off", 1001: "joining", 1010: "up", 15: "password", 202: "password", 204: "password"}
        for status in (1, 2, 3, 8, 200, 201, 203):
            expected[status] = "absent"
    else:
        expected = {0: "off", 1: "joining", 2: "address", 3: "up", -1: "absent", -2: "absent", -3: "password"}
        expected[99] = "absent"
    found = {status: said(station, port.wlan, status) for status in expected}
    assert found == expected, found
    port.wlan.dbm = -70
    assert said(station, port.wlan, port.STAT_CONNECTING) == ("address" if after else "joining")

    network = WifiNetwork(station, {"ca": ""})
    assert network.station is station and network.look_up("192.0.2.9", 0) == "192.0.2.9"
    try:
        network.look_up("broker.local", 0)
        raise AssertionError("there is no name server")
    except OSError as e:
        assert "no name server" in str(e)
    port.wlan.server = "127.0.0.1"
    assert network.look_up("broker.local", 0) is None
    calls.clear()
