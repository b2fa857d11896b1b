"""The unix board keeps the contract; its note and the cause of a start are files of the node's folder."""

import os
import sys
import time

from board_contract import configuration, loaded, stage_one, stage_two, without_source

from boards.unix.board import Board

stage_one(Board(), "unix")
board = Board()
assert board.reset_cause == "power" and board.note == 0 and board.node_folder == ""
board.open(configuration())
stage_two(board, lambda us: time.sleep_us(us))
assert "boards.sources" not in loaded() and "boards.unix.replay" not in loaded()
without_source(Board())
try:
    Board().open(configuration(source={"kind": "adc"}))
    raise AssertionError("an ADC on a computer")
except ValueError as e:
    assert "source.kind" in str(e)

if not hasattr(os, "putenv"):
    sys.exit()
folder = "/tmp/board-unix-%d" % (time.ticks_us() & 0xFFFFFF)
os.mkdir(folder)
os.putenv("GRIDMOTE_NODE", folder)
try:
    board = Board()
    assert board.node_folder == folder and board.reset_cause == "power" and board.note == 0
    board.note = 259
    try:
        board.restart()
        raise AssertionError("it went on")
    except SystemExit as e:
        assert e.value == 3
    board = Board()
    assert board.reset_cause == "restart" and board.note == 259
    assert Board().reset_cause == "power"  # said once
    with open(folder + "/reset", "w") as file:
        file.write("watchdog")
    assert Board().reset_cause == "watchdog"
finally:
    for name in os.listdir(folder):
        os.remove(folder + "/" + name)
    os.rmdir(folder)
