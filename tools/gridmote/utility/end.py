"""The utility's end of the gossip: a node of role IS on this computer, which knows a segment's controllers."""

import contextlib
import fcntl
import os
import random
import select
import socket
import time

from gossip.seal import Seal
from gossip.stack import Stack
from gossip.wire import IS, REASONS, SIGNERS, SSC
from gridmote.fault import Fault
from gridmote.provision.folder import settle, write_durably
from gridmote.utility.question import bounds, names_of

_TURN_S = 0.02
_LARGEST = 2048
_OTHERS_S = 1.0  # for further controllers, once one has answered
_MOVED_S = 40.0  # until a node believes that its number has another address now: two probes without an answer
_REFUSAL_S = 0.3
_BOOT_MOST = 0xFFFF
_BEYOND = 4  # times as many nodes as were provisioned are believed of one controller


class End:
    """`with End(fleet, segment, controllers) as end:` joins the segment, `end.run(done, seconds)` lets time pass.

    fleet: folder of the fleet's keys (gridmote provision). segment: (area, location_type, location_id).
    controllers: ["host:port"] of its SSCs. port: own one, 0: any. Fault where there is no key, or nobody answers.
    stack: gossip.Stack; set what is to be called on its parts. given: how many controllers. names: {number: id} of
    the nodes that were provisioned for it.
    """

    def __init__(self, fleet, segment, controllers, port=0):
        self._fleet = fleet
        self._key = segment_key(fleet, segment)
        self.segment = ",".join(segment)
        self.names = names_of(fleet, segment)
        self._seeds = [(address_of(text), False) for text in controllers]
        self._controllers = ", ".join(controllers)
        self.given = len({address for address, _ in self._seeds})
        self._port = port
        self._open = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as held:
            number, boot = held.enter_context(_seat(self._fleet / "utility"))
            self._socket = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self._bind(self._fleet / "utility" / f"{number}.port")
            self._socket.setblocking(False)
            self.stack = Stack(
                number, IS, boot, Seal(self._key), None, self._send, random.randrange, _ticks(),
                seeds=self._seeds, probe_ms=1000, value=lambda function, arg: None,
            )
            self.stack.queries.bounds = bounds
            if self.names:
                self.stack.queries.most = min(_BEYOND * len(self.names), self.stack.queries.most)
            self._open = held.pop_all()
        return self

    def __exit__(self, *_):
        self._open.close()

    def _bind(self, path):
        """The port that this number had before: nodes doubt who comes with a known number from elsewhere."""
        port = self._port
        if not port:
            with contextlib.suppress(OSError, ValueError):
                port = int(path.read_text(encoding="utf-8"))
        try:
            self._socket.bind(("0.0.0.0", port if 0 < port < 65536 else 0))
        except OSError:
            if self._port:
                raise Fault(f"port {self._port} is in use") from None
            self._socket.bind(("0.0.0.0", 0))
        path.write_text(f"{self._socket.getsockname()[1]}\n", encoding="utf-8")

    def join(self, seconds):
        """Until the controllers have answered, the second and further ones for a moment; Fault if none does."""
        if not self.run(self.controllers, seconds) and not (
                self._doubted() and self.run(self.controllers, _MOVED_S)):
            raise Fault(f"no controller of {self.segment} answers at {self._controllers}: {self.trouble()}")
        self.run(lambda: len(self.controllers()) >= self.given, _OTHERS_S)

    def controllers(self):
        """Numbers of the SSCs that have answered, and so know this end."""
        peers = self.stack.peers
        return [peers.number_at(i) for i in peers.some(SSC) if peers.services(i)]

    def _doubted(self):
        """Whether an SSC has said no more than its boot."""
        return bool(self.stack.peers.some(SSC)) and not self.controllers()

    def trouble(self):
        """Why no controller may have answered, in words."""
        count, most = max(zip(self.stack.end.counters[1:], REASONS.split()[1:], strict=True))
        if self._doubted():
            return "it takes this number of the utility's for that of another computer; try again in a minute"
        if count and most == "seal":
            return f"it has another key than {key_path(self._fleet, self.segment)}"
        if count and most != "stranger":
            return f"datagrams that came were refused, most for: {most}"
        if count or self.stack.end.counters[0]:
            return "who is there is no controller (role ssc)"
        if all(_refused(address) for address, _ in self._seeds):
            return "nobody listens there"
        return f"no word from there; it is off, or has another key than {key_path(self._fleet, self.segment)}"

    def run(self, done, seconds):
        """Until done() is true, or so long; what it said last."""
        end = time.monotonic() + seconds
        while not (found := done()) and time.monotonic() < end:
            select.select([self._socket], [], [], _TURN_S)
            with contextlib.suppress(OSError):  # none left, or the news that a controller is gone
                while True:
                    datagram, (host, port) = self._socket.recvfrom(_LARGEST)
                    address = socket.inet_aton(host) + port.to_bytes(2, "big")
                    self.stack.received(bytearray(datagram), len(datagram), address, _ticks())
            self.stack.tick(_ticks())
        return found

    def now(self):
        """Ticks, as the stack has them."""
        return _ticks()

    def _send(self, address, buf, n, tcp):
        with contextlib.suppress(OSError):
            place = socket.inet_ntoa(address[:4]), int.from_bytes(address[4:6], "big")
            self._socket.sendto(memoryview(buf)[:n], place)


def _ticks():
    return time.monotonic_ns() // 1_000_000 & 0x3FFFFFFF


def _refused(address):
    """Whether the computer there says that nobody listens at that port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_REFUSAL_S)
        try:
            sock.connect((socket.inet_ntoa(address[:4]), int.from_bytes(address[4:6], "big")))
            sock.send(b"\0")
            sock.recv(1)
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
    return False


def key_path(fleet, name):
    """Where the key of the segment "A,B,C" is."""
    return fleet / "segments" / f"{name}.key"


def segment_key(fleet, segment):
    """The 32 bytes that seal its hops; Fault."""
    path = key_path(fleet, ",".join(segment))
    try:
        key = bytes.fromhex(path.read_text(encoding="utf-8").split()[0])
    except FileNotFoundError:
        known = sorted(one.stem for one in (fleet / "segments").glob("*.key"))
        told = f"known are {' '.join(known)}" if known else "gridmote provision makes them"
        raise Fault(f"{path}: no key of that segment; {told}") from None
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    except (ValueError, IndexError):
        raise Fault(f"{path}: no key: 64 hexadecimal digits are needed") from None
    if len(key) != 32:
        raise Fault(f"{path}: no key: 64 hexadecimal digits are needed")
    return key


def address_of(text):
    """Six bytes of "host:port"; Fault."""
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise Fault(f"{text}: HOST:PORT is needed, such as 192.168.1.20:7113")
    try:
        return socket.inet_aton(socket.gethostbyname(host)) + int(port).to_bytes(2, "big")
    except (OSError, UnicodeError) as error:
        raise Fault(f"{host}: {getattr(error, 'strerror', None) or 'no name of a host'}") from None


@contextlib.contextmanager
def _seat(folder):
    """(number, boot) of this run: a number of the utility's that no other run has now, and the count of its runs,
    on the disk before it is used. Number 1 is the origin of what is signed. A number whose runs are all counted is
    not used any more: nodes remember the last one, and would take the first for older."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(2, SIGNERS + 1):
            held = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(held)
                continue
            try:
                boot = _boot(folder, f"{number}.boot")
                if boot:
                    yield number, boot
                    return
            finally:
                os.close(held)
    except OSError as error:
        raise Fault(f"{error.filename or folder}: {error.strerror}") from None
    raise Fault(f"{folder}: the {SIGNERS - 1} numbers of the utility are in use by other runs, or used up")


def _boot(folder, name):
    """The count of runs, 0: there are no more."""
    path = folder / name
    try:
        last = int(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        last = 0
    except ValueError:
        last = -1
    if not 0 <= last <= _BOOT_MOST:
        raise Fault(f"{path}: damaged, it counted the runs; write a number into it that is surely above the last "
                    f"one, up to {_BOOT_MOST}, so that nodes do not take this run for an old one")
    if last == _BOOT_MOST:
        return 0
    staged = path.with_name(name + "~")
    write_durably(staged, f"{last + 1}\n".encode())
    os.replace(staged, path)
    settle(folder)
    return last + 1
