"""Makes the parts of a node that measures and connects them. Run once, then let go.

Imports stand where their code is needed: the large buffers take their room before more code does.
"""

import random

from firmware import parts
from firmware.modules import forget


def build(config, board, log, feed, facts, heap_floor):
    """The Node of a configuration on a board: all parts, wired together.

    log: Log. feed(): the watchdog's, called between parts: to load one may take a second. facts: see Status.
    heap_floor: bytes free below which the node begins anew.
    """
    from firmware.framing import framing

    measurement = config["measurement"]
    writer, config_frame, fracsec, first = framing(measurement, board.source, board.clock)
    del framing
    forget("firmware.framing", "c37118.config", "c37118.crc", "c37118.frame")
    from firmware.keeping import keeping

    outbox, boots = keeping(config, board, writer.size, config_frame, log, feed)
    del keeping
    forget("firmware.keeping")
    feed()
    from energy.registers import Registers
    from firmware.energy import Energy
    from firmware.events import Events
    from firmware.guard import Guard
    from firmware.lamp import Lamp
    from firmware.meter import Meter
    from firmware.node import Node
    from firmware.timekeeper import Timekeeper

    rectangular = measurement["format"].endswith("rectangular")
    estimator = _estimator(measurement, board.source, writer.values, rectangular)
    feed()
    live_most = max(writer.size, len(config_frame))
    link, status = _link(config, board, outbox, boots, live_most, config_frame, log, facts)
    feed()
    registers = Registers(board.source.channels, writer.values, measurement["rate"], rectangular)
    stat = 0x8000 if config["source"]["test_mode"] else 0
    meter = Meter(
        board.source,
        estimator,
        writer,
        outbox,
        board.clock,
        fracsec,
        stat,
        link.pump,
        registers if registers.phases else None,
        _trigger(measurement, board.source.channels, writer.values, first, rectangular),
    )
    events = Events(outbox, board.clock, boots.boot)
    energy = Energy(registers, board.storage, events, log)
    events.meter = meter
    status.meter, status.estimator, status.link = meter, estimator, link
    events.event("start", **parts.start_facts(facts))
    timekeeper = Timekeeper(board.clock, boots, link, config_frame, events)
    link.on_connected = timekeeper.look
    status.radio = parts.radio(config, board.network, log)
    if status.radio:
        status.radio.on_up.append(link.hurry)
    status.asker = parts.asker(config, board, log)
    progress = [("measuring", meter, "frames"), ("link", link, "turns")]
    gossip = config["gossip"]
    if gossip and gossip["measuring"]:
        from firmware.joining import measuring

        gossip = measuring(config, board, boots.boot, meter, writer.values, events.event, log, facts)
        forget("firmware.joining")
    else:
        gossip = None
    status.gossip = gossip
    if gossip:
        progress.append(("gossip", gossip, "turns"))
        link.inquire = gossip.inquire
        if status.radio:
            status.radio.on_up.append(gossip.join)
    guard = status.guard = Guard(feed, progress, heap_floor)
    return Node(
        meter,
        link,
        status,
        events,
        energy,
        timekeeper.look,
        board.clock,
        guard,
        Lamp(board.led),
        status.radio,
        status.asker,
        board.free_bytes,
        gossip,
    )


def _estimator(measurement, source, values, rectangular):
    from phasor.estimator import Estimator

    return Estimator(
        source.fs_hz,
        measurement["f0_hz"],
        measurement["rate"],
        len(source.channels),
        source.block_samples,
        values,
        rectangular=rectangular,
        delays_ns=[channel.get("delay_ns", 0) for channel in source.channels],
    )


def _trigger(measurement, channels, values, first, rectangular):
    """The phasor.Trigger of the configuration, or None where every limit is off."""
    limits = measurement["trigger"]
    if not any(limits[key] for key in limits if key != "nominal_v"):
        return None
    from phasor.trigger import Trigger

    return Trigger(
        channels,
        values,
        measurement["rate"],
        first,
        limits["nominal_v"],
        limits["frequency_mhz"],
        limits["rocof_mhz_s"],
        limits["under_percent"],
        limits["over_percent"],
        rectangular,
    )


def _link(config, board, outbox, boots, live_most, config_frame, log, facts):
    """(Link, Status): the way to the brokers, and what is said of the node there."""
    measurement, settings = config["measurement"], config["outbox"]
    topic = parts.topics(config)
    session = parts.session(config, board.network, topic)
    from firmware.follow import FollowUp
    from firmware.link import Link
    from firmware.status import STATUS_BYTES, Status
    from mqtt.publish import Publish
    from mqtt.timing import Pace, Retry

    pace = Pace(measurement["rate"] * settings["backlog_times"])
    follow = FollowUp(outbox.backlog, pace, topic, board.clock, STATUS_BYTES)
    status = Status(follow.packet, topic("STATUS"), board, measurement["idcode"], boots.boot, facts)
    link = Link(
        session,
        outbox,
        follow,
        Retry(random.randrange),
        parts.brokers(config["broker"], board.network),
        bool(config["broker"]["ca"]),
        Publish(topic("PMU"), live_most),
        config_frame,
        status,
        topic("CMD"),
        settings["again_s"] * 1000,
        log,
    )
    session.on_acked = link.acked
    session.set_callback(link.command)
    return link, status
