"""In safe mode the radio joins whatever cannot be opened, and a broker of TLS is never tried without."""

import asyncio
from time import ticks_add, ticks_ms

from board_contract import configuration

from firmware import safe


class Station:
    def __init__(self):
        self.joined = False

    def on(self, country):
        pass

    def join(self, ssid, password):
        self.joined = True

    def state(self):
        return "up" if self.joined else "off"


class Network:
    def __init__(self, tls):
        self.station, self.tried, self._tls = Station(), [], tls

    def look_up(self, host, now):
        self.tried.append(host)


class Clock:
    pass


class Board:
    """Of its configuration, `wrong` does not work."""

    name, identity, clock, vault, node_folder = "test", "00", Clock(), None, "/nowhere"

    def __init__(self, wrong):
        self.wrong, self.network, self.said = wrong, None, []

    def open(self, config):
        broker = config["broker"]
        if self.wrong == "relays" and config["board"]["relays"]:
            raise ValueError("invalid pin")
        if self.wrong in ("ca", "certificate") and broker["ca"] and broker[self.wrong]:
            raise ValueError("broker.%s: cannot be read" % self.wrong)
        if self.wrong == "all":
            raise OSError(5)
        self.network = Network(broker["ca"])

    def close(self):
        pass

    def write(self, text):
        self.said.append(text)


class Found:
    facts, why = {}, "something"


def talk(wrong):
    board = Board(wrong)
    broker = {"host": "broker", "ca": "a", "certificate": "b", "key": "c", "password": "d", "user": "e"}
    config = configuration(broker=broker, wifi={"ssid": "net"}, board={"relays": [3]})
    began = ticks_ms()
    talking = safe._Talking(board, config, Found, None)
    for now in range(0, 9000, 50):
        talking.step(ticks_add(began, now))
    return board, talking, config


async def main():
    for wrong, said in ((None, ""), ("relays", "invalid pin"), ("certificate", "broker.certificate: ")):
        board, talking, config = talk(wrong)
        assert board.network.station.joined and board.network.tried and board.network._tls == "a", wrong
        assert said in talking._why and len(config["board"]["relays"]) == (wrong is None)
    board, talking, config = talk("ca")
    assert board.network.station.joined and not board.network.tried
    assert "broker.ca" in talking._why and "broker broker: not without TLS" in board.said
    try:
        talk("all")
        raise AssertionError("what is wrong with all of it goes unsaid")
    except OSError:
        pass


asyncio.run(main())
