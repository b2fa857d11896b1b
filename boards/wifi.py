"""Wi-Fi of the ports rp2 and esp32: the radio as a station, and sockets over it. firmware/radio.py decides."""

from boards.resolver import Resolver
from boards.sockets import Sockets

# What WLAN.status() says. rp2 (CYW43): 0 down, 1 joining, 2 joined, but no address (it has no name), 3 up,
# -1 failed, -2 no such network, -3 refused. esp32: IDLE, CONNECTING, GOT_IP, else the reason of the disconnection.
_CYW43 = {0: "off", 1: "joining", 2: "address", 3: "up", -1: "absent", -2: "absent", -3: "password"}
_REFUSED = (15, 202, 204)  # esp32: 4-way handshake timeout (usual for a wrong password), auth fail, timeout


class Station:
    """network: the module. Every method but `state` and `rssi` raises OSError when the radio fails."""

    def __init__(self, network):
        self._net = network
        self._radio = network.WLAN(network.STA_IF)
        self._cyw43 = network.STAT_GOT_IP == 3

    def on(self, country=""):
        """Holds 0.8 s. Power saving is off: it delays what comes in by hundreds of ms."""
        if country:
            self._net.country(country)
        self._radio.active(True)
        self._radio.config(pm=self._net.WLAN.PM_NONE)
        if not self._cyw43:
            self._radio.config(reconnects=0)  # else it tries for ever, and tells nothing but "connecting"

    def off(self):
        self._radio.active(False)  # not deinit(), which hangs at times (micropython issue 17621)

    def join(self, ssid, password):
        """Begins; `state` tells what comes of it."""
        if password:
            self._radio.connect(ssid, password)
        else:
            self._radio.connect(ssid)

    def leave(self):
        self._radio.disconnect()

    def state(self):
        """One of firmware/radio.py's states; "off": neither joined nor joining."""
        status = self._radio.status()
        if self._cyw43:
            return _CYW43.get(status, "absent")
        network = self._net
        if status == network.STAT_GOT_IP:
            return "up"
        if status == network.STAT_CONNECTING:
            return "joining" if self.rssi() is None else "address"
        if status == network.STAT_IDLE:
            return "off"
        return "password" if status in _REFUSED else "absent"

    def rssi(self):
        """Of the access point, dBm; None without one."""
        try:
            return self._radio.status("rssi")
        except OSError:
            return None

    def dns(self):
        """Address of the name server that DHCP told; "" if none."""
        server = self._radio.ifconfig()[3]
        return "" if server == "0.0.0.0" else server


class WifiNetwork(Sockets):
    """station: Station. broker: see Sockets. `look_up` and the rest: see boards/README.md."""

    def __init__(self, station, broker):
        super().__init__(broker)
        self.station = station
        self.look_up = Resolver(self, station.dns).look_up
