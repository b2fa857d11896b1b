"""How a node begins: with which configuration and application, by what went wrong before. Run once, then let go."""

import json
import os
import sys
from struct import unpack

from micropython import const

from firmware import lastgood
from firmware.crashes import Crashes, plain
from firmware.lastgood import GIVEN, GOOD, VAULT
from firmware.log import Log
from firmware.modules import forget

# Crashes and watchdog resets in a row from which on the node starts otherwise.
_GOOD_FROM = const(3)
_SLOT_AT = const(5)
_SAFE_FROM = const(8)
# board.note: the crashes in a row, from bit 8 how far it came (0: nothing is under way), and two facts.
STEPS = ("", "start", "configuration", "board", "parts", "running")
_COUNTED = const(0x1000)  # the crash that ends it is counted already
_SWITCHED = const(0x2000)  # to the other application, by these crashes
_WHY_MOST = const(160)
_LINE_MOST = const(100)
_HEAP_FLOOR = const(8192)  # bytes


class Found:
    """What a start came to. node: a Node or Member, or None: safe mode. why: what is wrong, "" if nothing is.

    mark: of the given configuration (lastgood.mark), if it is in use. facts: what STATUS and EVENT "start" tell.
    """

    node = config = log = mark = None
    why = ""

    def __init__(self, facts):
        self.facts = facts


def make_board():
    """The Board of this machine, in its first stage."""
    name = "unix" if sys.platform == "linux" else sys.platform
    return __import__("boards.%s.board" % name, None, None, ("Board",)).Board()


def first(slot, wanted):
    """The Board. Raises if it cannot be had, or if this application, which should run, crashed five times before it
    came to its stages: then the other may. The next start tries it again."""
    board = make_board()
    note = board.note
    if slot and slot == wanted and note >> 8 & 0xF == 1 and note & 0xFF >= _SLOT_AT:
        board.note = note & 0xFF
        raise RuntimeError("%d crashes" % (note & 0xFF))
    return board


def boot(board, feed, app, slot, wanted):
    """Found. feed(): the watchdog's. app: folder of the slots. slot: the one that runs, "" for none; wanted: the
    one that should. Does not return if it switches to the other slot."""
    cause = board.reset_cause
    note = 0 if cause == "power" else board.note
    was, crashes = note >> 8 & 0xF, note & 0xFF
    hung = cause == "watchdog" or cause == "unknown" and was  # a panic, on an ESP32
    if hung and not note & _COUNTED:
        crashes = min(crashes + 1, 0xFF)
    board.note = note & _SWITCHED | 1 << 8 | crashes
    try:
        lastgood.mend(board.node_folder)
    except OSError:
        pass
    stage = _stage(board, crashes, app, slot, wanted)
    _step(board, 2)
    facts = {"reset": cause, "crashes": crashes, "stage": stage, "config": "", "app": _application(app, slot)}
    if hung and 0 < was < len(STEPS):
        facts["during"] = STEPS[was]
    found = Found(facts)
    if slot != wanted:
        found.why = "application %s does not start" % wanted
    if stage == "safe":
        found.why = "%d crashes in a row" % crashes
        last = Crashes(board.node_folder).entries()
        if last:
            found.why += ": " + _last_line(last[-1][2])
    else:
        _start(found, board, stage, feed)
    found.why = plain(found.why)[:_WHY_MOST]
    if found.why:
        facts["why"] = found.why
    return found


def _stage(board, crashes, app, slot, wanted):
    """"normal", "good", "slot" or "safe". Switches to the other slot when that is due."""
    if crashes < _GOOD_FROM:
        return "normal"
    if crashes >= _SAFE_FROM:
        return "safe"
    differs = _good_differs(board)
    if crashes < _SLOT_AT and differs:
        return "good"
    other = "b" if slot == "a" else "a"
    if slot and slot == wanted and lastgood.there(app + "/" + other):
        if board.note & _SWITCHED:
            return "slot"
        _switch(board, app, slot, other, crashes)
    return "good" if differs else "normal"


def _switch(board, app, slot, other, crashes):
    """To the other application, if the file system takes it."""
    try:
        with open(app + "/slot~", "wb") as file:
            file.write(other.encode())
        os.rename(app + "/slot~", app + "/slot")
    except OSError:
        return
    board.note = _SWITCHED | _SLOT_AT + 1
    try:
        Crashes(board.node_folder).record("slot", "%s instead of %s: %d crashes in a row" % (other, slot, crashes))
    except OSError:
        pass
    board.restart()


def _good_differs(board):
    try:
        good = lastgood.read(board, GOOD)
    except (OSError, ValueError):
        return False
    try:
        return lastgood.read(board, GIVEN) != good
    except (OSError, ValueError):
        return True


def _application(app, slot):
    """The slot and the CRC of its pack, which main.py has checked; what is part of the image is "frozen"."""
    if not slot:
        return "frozen"
    try:
        with open(app + "/" + slot, "rb") as file:
            file.seek(8)
            n = unpack("<I", file.read(4))[0]
            file.seek(8 + 12 * n)  # the last of n entries of 12 bytes, behind 12 of the head
            return "%s:%08x" % (slot, unpack("<I", file.read(4))[0])
    except (OSError, ValueError):
        return slot


def _start(found, board, stage, feed):
    """Build the node by the first configuration that can be used."""
    order = (GIVEN, GOOD, VAULT) if stage == "normal" else (GOOD, VAULT, GIVEN)
    if stage != "normal":
        found.why = "%d crashes in a row" % found.facts["crashes"]
    tried = None
    for which in order:
        try:
            pair = lastgood.read(board, which)
        except (OSError, ValueError) as e:
            if which == GIVEN:
                _blame(found, "config.json", e)
            continue
        if which == VAULT and lastgood.restore(board):
            tried = None
        if pair == tried:
            continue
        tried = pair
        if _try(found, board, which, pair, feed):
            if which == GIVEN:
                found.mark = lastgood.mark(pair)
            return
    found.facts["config"] = ""


def _try(found, board, which, pair, feed):
    """Whether the node could be built by this configuration; else found.why says what is wrong with it."""
    from settings.schema import check, merge

    place = "secrets"
    try:
        secrets = _parse(pair[1])
        place = "configuration"
        config = check(merge(_parse(pair[0]), secrets))
    except Exception as e:  # whatever bytes can do to it
        _own(e)
        _blame(found, which + " " + place, e)
        return False
    finally:
        del check, merge
        forget("settings.schema", "settings.rules", "settings.segment")
    feed()
    _step(board, 3)
    log = Log(board.write, config["log"])
    found.facts["config"] = which
    try:
        board.open(config)
    except Exception as e:  # sections that only the board knows
        _own(e)
        _blame(found, which + " configuration", e)
        board.close()
        return False
    feed()
    _step(board, 4)
    module = "firmware.wiring" if config["measurement"] else "firmware.lean"
    build = __import__(module, None, None, ("build",)).build

    try:
        found.node = build(config, board, log, feed, found.facts, _HEAP_FLOOR)
    except (ValueError, OSError, MemoryError) as e:
        _own(e)
        _blame(found, which + " configuration", e)
        board.close()
        return False
    finally:
        del build
        forget("firmware.wiring", "firmware.lean", "firmware.parts")
    found.config, found.log = config, log
    _tell(board, found)
    _step(board, 5)
    log.info("running: %s on %s", config["id"], board.name)
    return True


def _own(error):
    """Raise it if it is of the application, not of its configuration: a crash as any."""
    if isinstance(error, (ImportError, SyntaxError)) or "incompatible .mpy" in str(error):
        raise error


def _parse(data):
    """The JSON in it. MicroPython's parser takes an object that ends too early; here that is a ValueError."""
    depth, text, escaped = 0, False, False
    for c in data:
        if text:
            text = escaped or c != 0x22
            escaped = c == 0x5C and not escaped
        elif c == 0x22:
            text = True
        elif c in b"{[":
            depth += 1
        elif c in b"]}":
            depth -= 1
    if depth or text:
        raise ValueError("cut off")
    return json.loads(data)


def _tell(board, found):
    """Every crash that was not told yet, as an EVENT; the last one's last line is for STATUS, too."""
    events = found.node.events

    def say(number, kind, text):
        try:
            events.event(kind, number=number, text=text)
        except ValueError:  # what JSON makes of it is too long
            events.event(kind, number=number, text=text[-_LINE_MOST:])

    crashes = Crashes(board.node_folder)
    crashes.tell(say)
    entries = crashes.entries()
    if entries:
        number, _, text, _ = entries[-1]
        found.facts["last_crash"] = "%d: %s" % (number, _last_line(text))


def _last_line(text):
    return text.rstrip().rpartition("\n")[2][:_LINE_MOST]


def _step(board, step):
    board.note = board.note & ~0xF00 | step << 8


def _blame(found, what, error):
    """The first reason stays: it is of what should have been."""
    if not found.why:
        text = str(error) if isinstance(error, (ValueError, OSError)) else repr(error)
        found.why = "%s: %s" % (what, "; ".join(text.split("\n")))
