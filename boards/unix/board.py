"""The unix port as a board: its clock, its network and the two sources that stand in for an ADC."""

import gc
import socket
import time


class Network:
    """Sockets that never block. A name look-up does: `longest_block_ms` of the board allows for it."""

    def __init__(self, ca):
        self._ca = ca
        self._addresses = {}
        self._context = None

    def connect(self, host, port):
        """A non-blocking TCP socket on its way to host:port, TCP_NODELAY set. OSError if there is no way."""
        if host not in self._addresses:
            self._addresses[host] = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][-1]
        sock = socket.socket()
        try:
            sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY
            sock.setblocking(False)
            sock.connect(self._addresses[host])
        except OSError as e:
            if e.errno != 115:  # EINPROGRESS
                sock.close()
                self._addresses.pop(host)  # looked up again next time: it may have moved
                raise
        return sock

    def secure(self, sock, host):
        """`sock` in TLS; the handshake goes on with every read and write. The certificate must name `host`."""
        import tls

        if self._context is None:
            with open(self._ca, "rb") as file:
                authority = file.read()
            self._context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            self._context.verify_mode = tls.CERT_REQUIRED
            self._context.load_verify_locations(authority)
        return self._context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


class Clock:
    """UTC of the system clock, and how far it may be off as the kernel states it."""

    def __init__(self):
        self.tq = 0x0F  # time quality byte of C37.118.2, Table 3
        self.stat = 0x2000 | 0x1C0  # STAT: not synchronised, PMU_TQ unknown
        self.update()

    def update(self):
        """Ask the kernel anew. MSG_TQ n: within 10^(n - 10) s; F: not synchronised."""
        error_us = _max_error_us()
        if error_us is None or error_us > 10000000:
            self.tq, self.stat = 0x0F, 0x2000 | 0x1C0
            return
        n, bound_us = 4, 1
        while bound_us < error_us:
            n, bound_us = n + 1, bound_us * 10
        self.tq = n
        self.stat = 0x2000 | min(n - 1, 7) << 6  # PMU_TQ 2: < 1 us, 3: < 10 us, ... 7: > 10 ms

    def next_second(self):
        """(SOC - 2^31 of the second that begins next, ms until then)."""
        now = time.time()
        return int(now) + 1 - (1 << 31), int((int(now) + 1 - now) * 1000)


def _max_error_us():
    """The bound on the system clock's error by adjtimex(2), or None if it is not synchronised or not known."""
    try:
        import struct

        import ffi

        libc = ffi.open("libc.so.6")
        timex = bytearray(256)
        state = libc.func("i", "adjtimex", "p")(timex)
    except (ImportError, OSError):
        return None
    if state in (-1, 5):  # TIME_ERROR
        return None
    word = struct.calcsize("l")
    return struct.unpack_from("l", timex, 3 * word)[0]


class Paced:
    """A source whose blocks are ready when their last sample would have been taken.

    depth_ms: how far back an imagined DMA ring reaches; blocks that are asked for later have been overwritten
    and are counted in `lost_blocks`.
    """

    def __init__(self, source, clock, depth_ms):
        self._source = source
        self._clock = clock
        self._depth_ms = depth_ms
        self.channels = source.channels
        self.fs_hz = source.fs_hz
        self.block_samples = source.block_samples
        self.lost_blocks = 0
        self._ready_ms = None

    def due_ms(self):
        """Until the next block is ready; 0 or less when it is. The first call starts at the next second."""
        if self._ready_ms is None:
            sec, wait_ms = self._clock.next_second()
            self._source.start(sec)
            self._ready_ms = time.ticks_add(time.ticks_ms(), wait_ms)
            self._rest = 0
            self._advance(self.block_samples)
        return time.ticks_diff(self._ready_ms, time.ticks_ms())

    def fill(self):
        """Samples per channel in the next block, described by `block`, `sec` and `ns`; 0 at the end."""
        while self.due_ms() < -self._depth_ms:
            if not self._next():
                return 0
            self.lost_blocks += 1
        return self._next()

    def _next(self):
        source = self._source
        n = source.fill()
        self.block = source.block
        self.sec = source.sec
        self.ns = source.ns
        self._advance(n)
        return n

    def _advance(self, samples):
        self._rest += samples * 1000
        self._ready_ms = time.ticks_add(self._ready_ms, self._rest // self.fs_hz)
        self._rest %= self.fs_hz


class Board:
    """What the firmware asks of a board, on a computer.

    longest_block_ms: how long it may hold the event loop at worst (a name look-up); the sample ring behind
    `source` reaches twice as far back.
    """

    name = "unix"
    longest_block_ms = 500

    def __init__(self, config):
        """config: a checked configuration (settings.schema). ValueError or OSError for a source that cannot be."""
        self.clock = Clock()
        self.network = Network(config["broker"]["ca"])
        self.source = Paced(_source(config), self.clock, 2 * self.longest_block_ms)

    def free_bytes(self):
        """Of the heap; at least, since garbage is not counted."""
        return gc.mem_free()

    def log(self, text):
        print(text)


def _source(config):
    """Only the source that is used is imported: code takes heap."""
    source = config["source"]
    block_ms = config["measurement"]["block_ms"]
    if source["kind"] == "replay":
        from boards.unix.replay import Replay
        from waveform.gmr import read_head

        with open(source["file"], "rb") as file:
            head, _ = read_head(source["file"], file)
        return Replay(source["file"], max(1, head["fs_hz"] * block_ms // 1000), source["repeat"])
    from boards.unix.synthetic import Synthetic
    from waveform.grid import DEFAULTS

    grid = {"f0_hz": config["measurement"]["f0_hz"]}
    grid.update(source["grid"])
    return Synthetic(grid, max(1, grid.get("fs_hz", DEFAULTS["fs_hz"]) * block_ms // 1000))
