"""Where a node keeps what its broker does not have yet: the outbox, made and explained. Run once, then let go."""

import random

from micropython import const

from firmware.modules import forget

_DURABLE_BLOCKS = const(16)  # of flash, set aside for what must not be lost
_FLASH_KIB_LEAST = const(256)


def keeping(config, board, frame_size, config_frame, log, feed):
    """(Outbox, Boots) of a configuration; without storage on the board everything waits in RAM.

    log: Log. feed(): the watchdog's; to read what is on flash may take seconds.
    ValueError for settings that contradict each other or the board.
    """
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

    flash_kib = settings["flash_kib"] or board.flash_kib
    if flash_kib < _FLASH_KIB_LEAST:
        raise ValueError("outbox.flash_kib: %d, but at least %d are needed" % (flash_kib, _FLASH_KIB_LEAST))
    blocks = flash_kib // 4 - _DURABLE_BLOCKS
    try:
        stream = StreamLog(board.storage, blocks, config_frame)
        feed()
        durable = DurableLog(board.storage, _DURABLE_BLOCKS)
    except OSError as e:
        board.storage, board.storage_error = None, "%s: %s" % (settings["folder"], e)
        stream, durable = StreamLog(None, blocks, config_frame), DurableLog(None, _DURABLE_BLOCKS)
    forget("outbox.salvage")
    feed()
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
    _explain(outbox, board, held_ms, rate, again_ms, log)
    return outbox, boots


def _explain(outbox, board, held_ms, rate, again_ms, log):
    """What the settings mean, into the log."""
    if outbox.capacity:
        log.info(
            "outbox: flash holds %s, %s; a power cut costs at most %d frames",
            _Span(outbox.capacity // rate, rate),
            _Span(outbox.capacity * 5 // rate, max(rate // 5, 1)),
            outbox.loss_most,
        )
    else:
        why = board.storage_error or "no folder"
        log.info("outbox: RAM only, %s: %s", _Span(held_ms // 1000, rate), why)
    if outbox.boots.error:
        log.error("outbox: %s", outbox.boots.error)
    if held_ms < again_ms:
        log.warning(
            "outbox: %d slots hold %d ms, less than again_s: what a broker forgets when it dies may be more",
            outbox.ring.slots,
            held_ms,
        )


class _Span:
    """What lasts so long at a rate: no text before it is said."""

    def __init__(self, seconds, rate):
        self._seconds, self._rate = seconds, rate

    def __str__(self):
        seconds = self._seconds
        if seconds < 60:
            return "%d s at %d/s" % (seconds, self._rate)
        if seconds < 7200:
            return "%d min %d s at %d/s" % (seconds // 60, seconds % 60, self._rate)
        return "%d h %d min at %d/s" % (seconds // 3600, seconds // 60 % 60, self._rate)
