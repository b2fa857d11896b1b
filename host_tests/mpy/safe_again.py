"""What safe mode makes of what stands on stdin, again and again: `safe_again.py FOLDER`.
A line is config.json and secrets.json, an x and hexadecimal digits each; the answer is JSON: [ssid, host of the
broker] of each configuration.
"""

import binascii
import gc
import json
import sys

from boards.unix.board import Board
from firmware import safe

board = Board()
board.node_folder = sys.argv[1]
while True:
    line = sys.stdin.readline().strip()
    if not line:
        break
    for name, part in zip(("config.json", "secrets.json"), line.split()):
        with open(board.node_folder + "/" + name, "wb") as file:
            file.write(binascii.unhexlify(part[1:]))
    print(json.dumps([[config["wifi"]["ssid"], config["broker"]["host"]] for config in safe._configs(board)]))
    gc.collect()
