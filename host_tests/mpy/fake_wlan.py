"""`network` of the rp2 and the esp32 port, as far as making a station goes; the rest has tests of its own."""

import sys


class WLAN:
    PM_NONE = 0

    def __init__(self, interface):
        assert interface == 0


def install(got_ip):
    """got_ip: the port's number for STAT_GOT_IP."""

    class Network:
        STA_IF = 0
        STAT_GOT_IP = got_ip

    Network.WLAN = WLAN
    sys.modules["network"] = Network
