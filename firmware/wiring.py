"""Makes the parts of a node and connects them. Run once, then let go.

Imports stand where their code is needed: the large buffers take their room before more code does.
"""

import random

from firmware.modules import forget

_STATUS_BYTES = 1535


def build(config, board):
    """The Node of a configuration on a board: all parts, wired together."""
    from firmware.framing import framing

    measurement = config["measurement"]
    writer, config_frame, fracsec, first = framing(measurement, board.source, board.clock)
    del framing
    forget("firmware.framing", "c37118.config", "c37118.frame")
    from firmware.keeping import keeping

    outbox, boots = keeping(config, board, writer.size, config_frame)
    del keeping
    forget("firmware.keeping")
    from energy.registers import Registers
    from firmware.energy import Energy
    from firmware.events import Events
    from firmware.meter import Meter
    from firmware.node import Node
    from firmware.timekeeper import Timekeeper
    from phasor.estimator import Estimator

    rectangular = measurement["format"].endswith("rectangular")
    estimator = Estimator(
        board.source.fs_hz,
        measurement["f0_hz"],
        measurement["rate"],
        len(board.source.channels),
        board.source.block_samples,
        writer.values,
        rectangular=rectangular,
        delays_ns=[channel.get("delay_ns", 0) for channel in board.source.channels],
    )
    link, status = _link(config, board, outbox, boots, max(writer.size, len(config_frame)), config_frame)
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
    energy = Energy(registers, board.storage, events, board.log)
    events.meter = meter
    status.meter, status.estimator, status.link = meter, estimator, link
    events.event("start", reset=board.reset_cause)
    timekeeper = Timekeeper(board.clock, boots, link, config_frame, events)
    link.on_connected = timekeeper.look
    return Node(meter, link, status, events, energy, timekeeper.look, board.clock)


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


def _link(config, board, outbox, boots, live_most, config_frame):
    """(Link, Status): the way to the brokers, and what is said of the node there."""
    broker, measurement, settings = config["broker"], config["measurement"], config["outbox"]
    place = config["topic"]
    from firmware.brokers import Brokers
    from firmware.follow import FollowUp
    from firmware.link import Link
    from firmware.session import Session
    from firmware.status import Status
    from mqtt.pace import Pace
    from mqtt.publish import Publish
    from mqtt.retry import Retry

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
    status = Status(Publish(topic("STATUS"), _STATUS_BYTES), board, measurement["idcode"], boots.boot)
    session.set_last_will(status.packet.topic, b'{"state": "offline"}', True, 1)
    addresses = [(broker["host"], broker["port"])]
    addresses += [(other["host"], other["port"]) for other in broker["fallback"]]
    pace = Pace(measurement["rate"] * settings["backlog_times"])
    follow = FollowUp(outbox.backlog, pace, topic, board.clock)
    link = Link(
        session,
        outbox,
        follow,
        Retry(random.randrange),
        Brokers(board.network, addresses, broker["back_after_s"] * 1000),
        bool(broker["ca"]),
        Publish(topic("PMU"), live_most),
        config_frame,
        status,
        topic("CMD"),
        settings["again_s"] * 1000,
        board.log,
    )
    session.on_acked = link.acked
    session.set_callback(link.command)
    return link, status
