"""Energy registers that survive power cuts."""

_FILE = "energy"


class Energy:
    """registers: energy.registers.Registers. storage: the board's, or None. events: Events. log: `log(text)`.

    `write(reason)`: a checkpoint, then the METER record, so that a cut between them loses neither: a power cut
    costs at most what was measured since the last write.
    """

    def __init__(self, registers, storage, events, log):
        self._registers = registers
        self._storage = storage
        self._events = events
        self._log = log
        self.failures = 0
        if storage and registers.phases:
            self._restore()

    def _restore(self):
        try:
            state = bytearray(self._storage.size(_FILE))
            self._storage.read(_FILE, 0, state)
        except OSError:
            return  # the first start
        try:
            self._registers.restore(bytes(state))
        except ValueError as e:
            self._log("energy: %s; the registers begin at 0" % e)
            self._events.event("energy", error=str(e))

    def write(self, reason):
        if not self._registers.phases:
            return
        if self._storage:
            try:
                self._storage.replace(_FILE, self._registers.state())
            except OSError:
                self.failures += 1
        self._events.energy(reason, self._registers)
