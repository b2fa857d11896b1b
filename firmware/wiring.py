"""Makes the parts of a node and connects them. Run once, then let go.

Imports stand where their code is needed: the large buffers take their room before more code does.
"""

import random

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
    events.event("start", **_start_facts(facts))
    timekeeper = Timekeeper(board.clock, boots, link, config_frame, events)
    link.on_connected = timekeeper.look
    status.radio = _radio(config, board, link, log)
    status.asker = _asker(config, board, log)
    progress = (
        ("measuring", lambda: meter.frames),
        ("link", lambda: link.turns),
        ("memory", lambda: guard.reports),
    )
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


def _radio(config, board, link, log):
    """The Radio, None where there is none."""
    station, wifi = board.network.station, config["wifi"]
    if not station:
        return None
    from firmware.radio import Radio

    radio = Radio(station, wifi["ssid"], wifi["password"], wifi["country"], log)
    radio.on_up = link.hurry
    return radio


def _asker(config, board, log):
    """What asks for the time, None where the clock needs nobody."""
    if not hasattr(board.clock, "sampled"):
        return None
    from firmware.ntp import Asker

    return Asker(board.clock, board.network, config["ntp"]["servers"], config["ntp"]["every_s"], log)


def _start_facts(facts):
    """What EVENT "start" tells of them."""
    return {key: facts[key] for key in ("reset", "during", "stage", "config", "app", "why") if facts.get(key)}


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


def _brokers(broker, network):
    """The Broker of the configuration, or its Brokers where it names more than one."""
    if not broker["fallback"]:
        from firmware.broker import Broker

        return Broker(broker["host"], broker["port"])
    from firmware.brokers import Brokers

    addresses = [(one["host"], one["port"]) for one in [broker] + broker["fallback"]]
    return Brokers(network, addresses, broker["back_after_s"] * 1000)


def _link(config, board, outbox, boots, live_most, config_frame, log, facts):
    """(Link, Status): the way to the brokers, and what is said of the node there."""
    broker, measurement, settings = config["broker"], config["measurement"], config["outbox"]
    place = config["topic"]
    from firmware.follow import FollowUp
    from firmware.link import Link
    from firmware.session import Session
    from firmware.status import STATUS_BYTES, Status
    from mqtt.publish import Publish
    from mqtt.timing import Pace, Retry

    def topic(kind):
        levels = (place["area"], place["location_type"], place["location_id"], kind, config["id"])
        return "/".join(levels).encode()

    session = Session(
        config["id"].encode(),
        board.network,
        broker["user"].encode() if broker["user"] else None,
        broker["password"].encode(),
        broker["keepalive_s"],
        broker["window"],
        broker["max_packet"],
    )
    session.set_last_will(topic("STATUS"), b'{"state": "offline"}', True, 1)
    pace = Pace(measurement["rate"] * settings["backlog_times"])
    follow = FollowUp(outbox.backlog, pace, topic, board.clock, STATUS_BYTES)
    status = Status(follow.packet, topic("STATUS"), board, measurement["idcode"], boots.boot, facts)
    link = Link(
        session,
        outbox,
        follow,
        Retry(random.randrange),
        _brokers(broker, board.network),
        bool(broker["ca"]),
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
