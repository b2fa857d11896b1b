"""The firmware as it is, but it tells what it promises: its argument is the configuration, as of firmware/main.py.

"made SOC FRACSEC": a frame is in the outbox; "untimed" one without time. "kept JSON": a durable record is on flash.
"""

import sys

from firmware import main
from outbox.outbox import Outbox
from outbox.record import FRAME
from outbox.ring import Ring

_commit, _keep = Ring.commit, Outbox.keep


def commit(self, size, kind, ticks):
    seq = _commit(self, size, kind, ticks)
    if kind == FRAME:
        at = self.off(seq)
        frame = bytes(self.buf[at : at + 14])
        soc, fracsec = int.from_bytes(frame[6:10], "big"), int.from_bytes(frame[11:14], "big")
        print("made %d %d" % (soc, fracsec))  # in one write: the line is whole, or not there
    else:
        print("untimed")
    return seq


def keep(self, kind, data, ticks):
    kept = _keep(self, kind, data, ticks)
    if kept:
        print("kept " + data.decode())
    return kept


Ring.commit, Outbox.keep = commit, keep
sys.exit(main.main(sys.argv))
