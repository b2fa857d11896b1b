"""Levels, values, and that a line costs nothing when its level is off."""

import micropython

from firmware.log import LEVELS, Log

lines = []
for i, level in enumerate(LEVELS):
    log = Log(lines.append, level)
    log.error("e %d %s %r", 1, "b", None)
    log.warning("w %d%%", 2)
    log.info("100% as it is")
    log.debug("%s and %s", "d", log)
    assert len(lines) == i + 1, lines
    if i == 3:
        assert lines[:3] == ["e 1 b None", "w 2%", "100% as it is"] and lines[3].startswith("d and <Log")
    del lines[:]

log = Log(lines.append, "error")


def quiet(number, text):
    log.warning("%d of %s in %d", number, text, number)
    log.info("%s", text)
    log.debug("nothing")


def locked():
    micropython.heap_lock()
    for number in range(1000):
        quiet(number, "a text")
    micropython.heap_unlock()


quiet(1, "x")
locked()
assert not lines
