"""How a node's gossip starts: the group is a seed when there is a network, lost trust is told, boots go on."""

from board_contract import lean
from fake_storage import Storage

from firmware.gossip import Gossip
from firmware.lean import _boot
from firmware.log import Log
from firmware.shelf import Shelf
from gossip.trust import Trust

GROUP = bytes([239, 255, 71, 13, 27, 201])


class Clock:
    known = False


class Datagrams:
    joined = there = False

    def __init__(self):
        self.sent = []

    def send(self, address, buf, n):
        self.sent.append((address, bytes(buf[:n])))
        return True

    def join(self):
        self.joined = self.there
        return self.joined


class Network:
    def __init__(self):
        self.made = Datagrams()

    def datagrams(self, port, group):
        assert (port, group) == (7113, "239.255.71.13")
        return self.made


    def look_up(self, host, now):
        return {"display": "10.0.0.9", "other": "10.0.0.8"}[host]


class Item:
    buf = b"\x0aTuer offen"
    size = len(buf)
    origin = 0x12345678


def start(storage, **settings):
    network, told = Network(), []
    settings["segment_key"] = "11" * 32
    config = lean(gossip=settings)
    log = Log(told.append, "info")
    made = Gossip(config, network, Shelf(storage), 1, Clock(), log, lambda name, **fields: told.append(name))
    return made, network.made, told


def test_the_group_is_a_seed_once_it_was_joined():
    made, datagrams, told = start(None)
    seeds = made.stack.discovery.seeds
    assert seeds == [] and told == []
    made._look()
    assert seeds == []
    datagrams.there = True
    made.join()
    assert seeds == [(GROUP, False)]
    made.join()
    made._look()
    assert seeds == [(GROUP, False)]
    datagrams.there = datagrams.joined = False
    made.join()
    datagrams.there = True
    made._look()  # without a radio that tells, once a minute
    assert seeds == [(GROUP, False)] and datagrams.joined


def test_lost_trust_is_told_once():
    storage = Storage()
    start(storage)[0].trust._save(bytearray(264), [b"", b""], 0, 5)
    for name in ("_trust", "_trust2"):
        storage.files[name][20] ^= 1
    assert start(storage)[2] == ["trust-lost"] and start(storage)[2] == []
    assert Trust(b"", b"", None, Shelf(storage), lambda: 0).after == 0xFFFFFFFF


def test_connections_where_they_are_asked_for():
    assert start(None)[0]._streams is None
    made = start(None, seeds=["tcp://10.0.0.1:7113"])[0]
    assert made._streams and made.status()["tcp"] == 0
    made._send(bytes(6), bytes(40), 40, True)
    assert made.unsent == 1


def test_a_display_is_sent_every_message_and_stops_nothing():
    made, datagrams, told = start(None, seeds=["other:7113"], forward="display:9000")
    for seed in list(made._seeds):
        made._seek(seed)
    assert made.stack.discovery.seeds == [(bytes([10, 0, 0, 8, 27, 201]), False)]
    made._delivered(Item)
    assert datagrams.sent == [(bytes([10, 0, 0, 9, 35, 40]), b"\x0a\x12\x34\x56\x78Tuer offen")]

    def broken(address, buf, n):
        raise OSError(5)

    datagrams.send = broken
    seen = []
    made.hooks.append(lambda kind, origin, body: seen.append((kind, origin, body)))
    made._delivered(Item)
    assert made.faults == 1 and seen == [(10, 0x12345678, b"Tuer offen")]


def test_a_damaged_count_of_boots_does_not_begin_anew():
    """All that was ever sent to the first boots would be fresh again."""
    storage, log = Storage(), Log(lambda line: None, "info")
    assert [_boot(Shelf(storage), log) for _ in range(3)] == [1, 2, 3]
    storage.files["_boot"][5] ^= 1
    lot = _boot(Shelf(storage), log)
    assert lot >= 1 << 29 and _boot(Shelf(storage), log) == lot + 1


test_the_group_is_a_seed_once_it_was_joined()
test_lost_trust_is_told_once()
test_connections_where_they_are_asked_for()
test_a_display_is_sent_every_message_and_stops_nothing()
test_a_damaged_count_of_boots_does_not_begin_anew()
