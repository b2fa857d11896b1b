"""Starts by what stands on stdin, again and again: `boot_again.py FOLDER`. A line is config.json and secrets.json,
an x and hexadecimal digits each; the answer is JSON: which configuration runs ("" none), why not the given one,
what is good afterwards.
"""

import binascii
import gc
import json
import sys

from boards.unix.board import Board
from firmware.boot import boot
from firmware.settle import settle

FOLDER = sys.argv[1]


def put(name, data):
    with open(FOLDER + "/" + name, "wb") as file:
        file.write(data)


def get(name):
    with open(FOLDER + "/" + name, "rb") as file:
        return binascii.hexlify(file.read()).decode()


while True:
    line = sys.stdin.readline().strip()
    if not line:
        break
    config, _, secrets = line.partition(" ")
    put("config.json", binascii.unhexlify(config[1:]))
    put("secrets.json", binascii.unhexlify(secrets[1:]))
    board = Board()
    board.node_folder = FOLDER
    board.write = lambda text: None
    found = boot(board, lambda: None, FOLDER, "", "")
    if found.node:
        settle(board, found.mark, found.facts, found.log)
    answer = {"config": found.facts["config"] if found.node else "", "why": found.why, "note": board.note & 0xFF}
    answer["good"] = get("config.good"), get("secrets.good")
    print(json.dumps(answer))
    found = None
    gc.collect()
