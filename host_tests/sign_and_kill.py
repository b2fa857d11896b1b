"""Processes that sign with one tariff key and are killed: `python -m host_tests.sign_and_kill FLEET`.

Prints JSON: "used": [epoch, leaf, digest of what it signed] of every signature that was begun, and "ended": how
many processes came to their end by themselves.
"""

import json
import os
import random
import signal
import sys
import time
from hashlib import sha256
from pathlib import Path

from gossip.wire import TARIFF
from gridmote.sign.key import Key
from gridmote.sign.signer import Signer


def child(fleet, log, count):
    """Sign; every leaf is in the log before it is used."""
    sign = Key.sign

    def logged(self, leaf, message):
        os.write(log, json.dumps([self.epoch, leaf, sha256(message).hexdigest()[:16]]).encode() + b"\n")
        return sign(self, leaf, message)

    Key.sign = logged
    signer = Signer(fleet)
    for i in range(count):
        signer.sign(TARIFF, 7, 1, 0, 60, 1000, 2000, b"%d of %d" % (i, os.getpid()))


def run(fleet):
    os.mkdir(fleet)
    log = os.open(Path(fleet) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    rng = random.Random(1)
    ended = 0
    Signer(fleet).create(5)
    for count, most_ms in ((1000, 30),) * 12 + ((1000, 400),) * 3 + ((12, None),):
        children = []
        for _ in range(2):  # always two at once
            pid = os.fork()
            if not pid:
                status = 1
                try:
                    child(fleet, log, count)
                    status = 0
                finally:
                    os._exit(status)
            children.append(pid)
        if most_ms:
            time.sleep(rng.uniform(1, most_ms) / 1000)
        for pid in children:
            if most_ms:
                os.kill(pid, signal.SIGKILL)
            ended += os.waitpid(pid, 0)[1] == 0
    lines = (Path(fleet) / "log").read_text().splitlines()
    print(json.dumps({"used": [json.loads(line) for line in lines], "ended": ended}))


if __name__ == "__main__":
    run(sys.argv[1])
