"""Makes the parts of a node that measures nothing and connects them. Run once, then let go."""

import random
import sys
from binascii import crc32

from micropython import const

from firmware import parts
from firmware.modules import forget

_LOT = const(1 << 29)  # boots from here on were drawn by lot, as outbox.boots has it


def build(config, board, log, feed, facts, heap_floor):
    """The Member of a configuration on a board; as wiring.build."""
    try:
        return _build(config, board, log, feed, facts, heap_floor)
    except Exception:
        for name in list(sys.modules):  # another configuration may be tried: it needs those parts whole
            if "gossip" in name and "." in name:
                forget(name)
        raise


def _build(config, board, log, feed, facts, heap_floor):
    from firmware.lamp import Lamp
    from firmware.member import Member
    from firmware.notes import Notes
    from firmware.shelf import Shelf

    shelf = Shelf(board.storage)
    boot = _boot(shelf, log)
    if not shelf.durable:
        log.info("events wait in RAM only: %s", board.storage_error or "no folder")
    feed()
    with_broker = bool(config["broker"]["host"])
    events = Notes(shelf, board.clock, boot, log, with_broker)
    radio = parts.radio(config, board.network, log)
    asker = parts.asker(config, board, log)
    feed()
    node = Member(board, config["role"], boot, facts, events, Lamp(board.led), radio, asker, log)
    progress = [("node", node, "turns")]
    gossip = None
    if config["gossip"]:
        from firmware.joining import join

        gossip = node.gossip = join(config, board, shelf, boot, log, events.event, facts)
        del join
        forget("firmware.joining")
    if gossip:
        from firmware.spent import let_go

        gossip.on_command = node.ordered
        progress.append(("gossip", gossip, "turns"))
        if radio:
            radio.on_up.append(gossip.join)
        feed()
        let_go("gossip")  # what comes now needs the room
        forget("firmware.spent")
    if with_broker:
        teller = node.teller = _teller(config, board, node, log)
        if radio:
            radio.on_up.append(teller.hurry)
        feed()
    if config["appliances"]:
        loads = node.appliances = _appliances(config, board, shelf, node)
        progress.append(("appliances", loads, "turns"))
        feed()
    from firmware.guard import Guard

    node.guard = Guard(feed, progress, heap_floor)
    events.event("start", **parts.start_facts(facts))
    return node


def _boot(shelf, log):
    """Number of this boot, counted on the shelf; drawn by lot where there is none, or it is damaged."""
    lot = _LOT | random.getrandbits(28)
    if shelf.durable:
        kept = shelf.get("boot")
        count = lot if kept is False else int.from_bytes(kept or b"", "big") + 1
        try:
            shelf.put("boot", count.to_bytes(4, "big"))
            return count
        except OSError as e:
            log.error("boot not counted: %s", e)
    return lot


def _appliances(config, board, shelf, node):
    from firmware.appliances import Appliances

    settings, gossip = config["tariff"], node.gossip
    if gossip:
        book = gossip.book
    else:
        from tariff.book import Book

        book = Book(shelf, settings["default_price"], settings["currency"])
    number = config["gossip"]["number"] if gossip else crc32(config["id"].encode()) & 0x3FFFFFFF
    tell, clock = node.events.event, board.clock
    made = Appliances(config["appliances"], book, shelf, board.relay, tell, clock, number, settings["spread_s"])
    if gossip:
        gossip.on_tariff, made.announce = made.replan, gossip.announce
    return made


def _teller(config, board, node, log):
    from firmware.teller import Teller

    topic = parts.topics(config)
    return Teller(
        parts.session(config, board.network, topic),
        parts.brokers(config["broker"], board.network),
        bool(config["broker"]["ca"]),
        topic,
        node.status,
        node.events,
        node.ask,
        log,
        config["status_s"],
    )
