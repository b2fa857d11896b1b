"""Makes the parts of a node and connects them. Run once, then let go.

Imports stand where their code is needed: the large buffers take their room before more code does.
"""

import random

from firmware.modules import forget

_STATUS_BYTES = 1535
_DURABLE_BLOCKS = 16  # of flash, set aside for what must not be lost


def build(config, board):
    """The Node of a configuration on a board: all parts, wired together."""
    from firmware.framing import framing

    measurement = config["measurement"]
    writer, config_frame, fracsec, first = framing(measurement, board.source, board.clock)
    forget("firmware.framing", "c37118.config", "c37118.frame")
    outbox, boots = _outbox(config, board, writer.size, config_frame)
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


def _outbox(config, board, frame_size, config_frame):
    """(Outbox, Boots): what waits in RAM, and on flash where there is a storage."""
    settings, rate = config["outbox"], config["measurement"]["rate"]
    slots = settings["slots"]
    high_water = settings["high_water"] or slots * 3 // 4
    if high_water >= slots:
        raise ValueError("outbox.high_water: %d, but there are %d slots" % (high_water, slots))
    held_ms = slots * 1000 // rate
    if held_ms < board.longest_block_ms:
        raise ValueError(
            "outbox.slots: %d frames are %d ms, but this board may hold the program for %d ms"
            % (slots, held_ms, board.longest_block_ms)
        )
    from outbox.ring import Ring

    ring = Ring(slots, frame_size)
    from firmware.timekeeper import restamper
    from outbox.backlog import Backlog
    from outbox.boots import Boots
    from outbox.durable import DurableLog
    from outbox.outbox import Outbox
    from outbox.stream import StreamLog

    blocks = settings["flash_kib"] // 4 - _DURABLE_BLOCKS
    try:
        stream = StreamLog(board.storage, blocks, config_frame)
        durable = DurableLog(board.storage, _DURABLE_BLOCKS)
    except OSError as e:
        board.storage, board.storage_error = None, "%s: %s" % (settings["folder"], e)
        stream, durable = StreamLog(None, blocks, config_frame), DurableLog(None, _DURABLE_BLOCKS)
    boots = Boots(board.storage, random, stream, durable)
    broker = config["broker"]
    again_ms = settings["again_s"] * 1000
    # A lost connection may be noticed one and a half keepalives late.
    hold_ms = again_ms + broker["keepalive_s"] * 1500 if again_ms else 0
    outbox = Outbox(
        ring, boots, stream, durable, high_water, broker["window"], settings["around_s"] * 1000, hold_ms=hold_ms
    )
    payload_most = settings["backlog_bytes"]
    outbox.backlog = Backlog(durable, stream, boots, payload_most, restamper, config_frame)
    if outbox.storage == "ok":
        board.log(
            "outbox: flash holds %s at %d/s, %s at %d/s; a power cut costs at most %d frames"
            % (
                _span(outbox.capacity // rate),
                rate,
                _span(outbox.capacity * 5 // rate),
                max(rate // 5, 1),
                outbox.loss_most,
            )
        )
    else:
        why = board.storage_error or (outbox.storage if board.storage else "no folder")
        board.log("outbox: RAM only, %s at %d/s: %s" % (_span(held_ms // 1000), rate, why))
    if slots < rate * settings["again_s"]:
        board.log(
            "outbox: %d slots hold %d ms, less than again_s: what a broker forgets when it dies may be more"
            % (slots, held_ms)
        )
    return outbox, boots


def _span(seconds):
    if seconds < 60:
        return "%d s" % seconds
    if seconds < 7200:
        return "%d min %d s" % (seconds // 60, seconds % 60)
    return "%d h %d min" % (seconds // 3600, seconds // 60 % 60)


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
