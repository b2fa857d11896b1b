"""Energy registers that survive power cuts."""

import errno

_FILE = "energy"


class Energy:
    """registers: energy.registers.Registers. storage: the board's, or None. events: Events. log: Log.

    `write(reason)`: a checkpoint, then the METER record, so that a cut between them loses neither: a power cut
    costs at most what was measured since the last write.
    """

    def __init__(self, registers, storage, events, log):
        self._registers = registers
        self._storage = storage
        self._events = events
        self._log = log
        self._failed = False
        if storage and registers.phases:
            self._restore()

    def _restore(self):
        try:
            state = bytearray(self._storage.size(_FILE))
            self._storage.read(_FILE, 0, state)
        except OSError as e:
            if e.errno != errno.ENOENT:  # else it is the first start
                self._begin_anew(e)
            return
        try:
            self._registers.restore(bytes(state))
        except ValueError as e:
            self._begin_anew(e)

    def _begin_anew(self, error):
        self._log.error("energy: %s; the registers begin at 0", error)
        self._events.event("energy", error=str(error))

    def write(self, reason):
        if not self._registers.phases:
            return
        if self._storage:
            try:
                self._storage.replace(_FILE, self._registers.state())
            except OSError as e:
                if not self._failed:
                    self._log.error("energy: no checkpoint: %s", e)
                    self._events.event("energy", error="no checkpoint: %s" % e)
                self._failed = True
            else:
                self._failed = False
        self._events.energy(reason, self._registers)
