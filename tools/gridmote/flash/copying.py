"""The application into the slot that does not run: what is there already is copied on the board."""

import base64
import re
from collections import namedtuple
from hashlib import sha256
from pathlib import Path

from gridmote.fault import Fault
from gridmote.flash.link import Refused

_HELPER = re.sub(r"^ *#.*\n", "", (Path(__file__).parent / "on_board.py").read_text(), flags=re.M)
_CHUNK = 2304  # bytes a round trip: 3 KiB of base64, which the board compiles
_SYNC = 8192  # bytes after which what was written is safe from a broken line
_SPARE = 16384  # bytes of the file system that folders and renames need
_SLOW_S = 60

# sent, kept: modules that were sent, and that the board had. nothing: it had the whole. resumed: bodies that an
# interrupted run had left.
Result = namedtuple("Result", "slot sent kept resumed nothing")


class Copying:
    """Copies a Pack to the board behind `link`. step(done, of, path): progress, in bytes of the pack.

    active: the slot that is not touched: the one that ran, else one that is whole; "" if there is none.
    """

    def __init__(self, link, pack, step=lambda done, of, path: None):
        self._link, self._pack, self._step = link, pack, step
        self._call(_HELPER)
        self._call("folder('/app')")
        self._wanted = self._call("print(slot())").strip()
        self.active = self._starting()
        self.slot = "b" if self.active == "a" else "a"

    def _starting(self):
        order = "ba" if self._wanted == "b" else "ab"
        crcs = {slot: self._call(f"print(sound('/app/{slot}'))").strip() for slot in order}
        running = [slot for slot in order if crcs[slot] and crcs[slot] == self._link.running]
        return next(iter(running + [slot for slot in order if crcs[slot]]), self._wanted)

    def _call(self, code):
        try:
            return self._link.run(f"{code}\nalive()", _SLOW_S)
        except Refused as error:
            if "ENOSPC" in error.last or "OSError: 28" in error.last:
                raise Fault(f"{self._link.place}: the file system is full; remove files from the board "
                            "(mpremote fs rm), or make outbox.flash_kib smaller") from error
            raise Fault(f"{self._link.place}: the board could not: {error.last}") from error

    def _digest(self, path):
        return self._call(f"print(whole({path!r}))").strip()

    def copy(self):
        """Make the slot hold the pack, verified; Result. The board goes on with what it had."""
        if self.active and self._digest(f"/app/{self.active}") == self._pack.digest:
            return Result(self.active, 0, len(self._pack.bodies), 0, True)
        slot = f"/app/{self.slot}"
        sent = kept = resumed = 0
        if self._digest(slot) != self._pack.digest:
            sent, kept, resumed = self._fill(slot)
            if self._digest(slot + "~") != self._pack.digest:
                raise Fault(f"{self._link.place}: what was written is not what is read back; repeat the "
                            "command, and if it stays so, the flash of this board is worn out")
            self._call(f"replace({slot!r})")
        return Result(self.slot, sent, kept, resumed or (0 if sent or kept else len(self._pack.bodies)), False)

    def _pieces(self, path):
        """[(offset, size, digest)] of a pack on the board, its head first."""
        lines = self._call(f"pieces({path!r})").splitlines()
        return [(int(at), int(n), digest) for at, n, digest in (line.split(" ") for line in lines)]

    def _fill(self, slot):
        self._room(slot)
        self._call(f"take({slot!r})")
        slot, head = slot + "~", self._pack.head
        there = self._pieces(slot)
        bodies, at, resumed = self._pack.bodies, 0, 0
        if there and there[0][2] == sha256(head).hexdigest():
            at = len(head)
            for (_, body), (_, _, digest) in zip(bodies, there[1:], strict=False):
                if digest != sha256(body).hexdigest():
                    break
                at, resumed = at + len(body), resumed + 1
        has = {digest: (where, n) for where, n, digest in self._pieces(f"/app/{self.active}")[1:]} \
            if self.active else {}
        self._call(f"begin({slot!r}, {at})")
        writer = _Writer(self._call, slot, at, f"/app/{self.active}")
        if not at:
            writer.send(head)
        sent = kept = 0
        for path, body in bodies[resumed:]:
            self._step(writer.at, len(self._pack.data), path)
            place = has.get(sha256(body).hexdigest())
            if place:
                writer.same(place)
                kept += 1
            else:
                writer.send(body)
                sent += 1
        writer.close()
        self._step(len(self._pack.data), len(self._pack.data), "")
        return sent, kept, resumed

    def _room(self, slot):
        """Fault if the pack does not fit in place of what `slot` holds."""
        free = int(self._call("s = os.statvfs('/')\n"
                              f"print(s[0] * s[3] + max(0, size({slot!r})) + max(0, size({slot + '~'!r})))"))
        need = len(self._pack.data) + _SPARE
        if free < need:
            raise Fault(f"{self._link.place}: the file system is too full: {need >> 10} KiB are needed, "
                        f"{free >> 10} are free; remove files from the board (mpremote fs rm), or make "
                        "outbox.flash_kib smaller")

    # ---------------------------------------------------------------- the rest
    def write(self, path, data):
        """data to `path`~, whole; replace() puts it in its place."""
        self._call(f"begin({path + '~'!r}, 0)")
        for i in range(0, len(data), _CHUNK):
            self._call(f"put({base64.b64encode(data[i : i + _CHUNK])!r})")
        self._call("end()")

    def start_from(self, slot, main):
        """/main.py if it is another, then the slot: from here on the board starts the new application."""
        last = ""
        if self._digest("/main.py") != sha256(main).hexdigest():
            self.write("/main.py", main)
            last += "replace('/main.py')\n"
        if self._wanted != slot:
            self.write("/app/slot", slot.encode())
            last += "replace('/app/slot')\n"
        if last:
            self._call(last)


class _Writer:
    """Writes bodies one after the other into an open file on the board, safe after every few."""

    def __init__(self, call, path, at, active):
        self._call, self._path, self._active = call, path, active
        self.at, self._unsafe = at, 0
        self._same = []

    def send(self, data):
        self._flush_same()
        for i in range(0, len(data), _CHUNK):
            self._call(f"put({base64.b64encode(data[i : i + _CHUNK])!r})")
        self._wrote(len(data))

    def same(self, place):
        """The body at (offset, size) of the active pack."""
        self._same.append(place)
        self._wrote(place[1])

    def _wrote(self, n):
        self.at += n
        self._unsafe += n
        if self._unsafe >= _SYNC:
            self._flush_same()
            self._call("out.flush()")
            self._unsafe = 0

    def _flush_same(self):
        if self._same:
            self._call(f"same({self._active!r}, {self._same!r})")
            self._same = []

    def close(self):
        self._flush_same()
        self._call("end()")
