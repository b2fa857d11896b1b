"""The unix port as a board: its clock, its network and the two sources that stand in for an ADC."""

import gc
import socket
import struct
import time


class Network:
    """Sockets that never block. A name look-up does: `longest_block_ms` of the board allows for it."""

    _LOOK_UP_EVERY = 20  # attempts: an address is kept, for asking is what blocks, but it may change

    def __init__(self, ca):
        self._address = None
        self._attempts = 0
        self._context = _trusting(ca) if ca else None

    def connect(self, host, port):
        """A non-blocking TCP socket on its way to host:port, TCP_NODELAY set. OSError if there is no way."""
        self._attempts += 1
        if self._address is None or self._attempts % self._LOOK_UP_EVERY == 0:
            try:
                self._address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][-1]
            except OSError:
                if self._address is None:
                    raise
        sock = socket.socket()
        try:
            sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY
            sock.setblocking(False)
            sock.connect(self._address)
        except OSError as e:
            if e.errno != 115:  # EINPROGRESS
                sock.close()
                raise
        return sock

    def secure(self, sock, host):
        """`sock` in TLS; the handshake goes on with every read and write. The certificate must name `host`."""
        return self._context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


def _trusting(ca):
    """A TLS context that accepts what the certificate file `ca` has signed. ValueError if it is none."""
    import tls

    try:
        with open(ca, "rb") as file:
            authority = file.read()
    except OSError as e:
        raise ValueError("broker.ca: %s cannot be read: %s" % (ca, e))
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    try:
        context.load_verify_locations(authority)
    except ValueError as e:
        raise ValueError("broker.ca: %s holds no certificate: %s" % (ca, e))
    return context


class Clock:
    """UTC of the system clock, and how far it may be off as the kernel states it."""

    def __init__(self):
        self.tq = 0x0F  # time quality byte of C37.118.2, Table 3
        self.stat = 0x2000 | 0x1C0  # STAT: not synchronised, PMU_TQ unknown
        self._adjtimex = _adjtimex()
        self._timex = bytearray(256)
        self.stepped = False  # the system clock has left the stamps behind: they begin anew
        self.next_second()
        self.update()

    def update(self):
        """Ask the kernel anew. MSG_TQ n: within 10^(n - 10) s; F: not synchronised.

        Stamps go on by the monotonic clock: how far the system clock has moved away from it is added, and a
        millisecond, to which the start is known.
        """
        now_ms = time.ticks_ms()
        self._utc_s += time.ticks_diff(now_ms, self._utc_ms) / 1000
        self._utc_ms = now_ms
        astray_s = abs(time.time() - self._utc_s)
        self.stepped = astray_s > 0.5
        error_us = self._max_error_us()
        if error_us is not None:
            error_us += 1000 + int(astray_s * 1000000)
        if error_us is None or error_us > 10000000:
            self.tq, self.stat = 0x0F, 0x2000 | 0x1C0
            return
        n, bound_us = 4, 1
        while bound_us < error_us:
            n, bound_us = n + 1, bound_us * 10
        self.tq = n
        self.stat = 0x2000 | min(n - 1, 7) << 6  # PMU_TQ 2: < 1 us, 3: < 10 us, ... 7: > 10 ms

    def _max_error_us(self):
        """The kernel's bound on the clock's error, or None if it is not synchronised or not known."""
        if self._adjtimex is None or self._adjtimex(self._timex) in (-1, 5):  # 5: TIME_ERROR
            return None
        return struct.unpack_from("l", self._timex, 3 * struct.calcsize("l"))[0]

    def next_second(self):
        """(SOC - 2^31 of the second that begins next, ms until it has begun)."""
        now = self._utc_s = time.time()
        self._utc_ms = time.ticks_ms()
        self.stepped = False
        return int(now) + 1 - (1 << 31), int((int(now) + 1 - now) * 1000) + 1


def _adjtimex():
    """adjtimex(2) as a function, or None where it is not to be had."""
    try:
        import ffi

        return ffi.open("libc.so.6").func("i", "adjtimex", "p")
    except (ImportError, OSError):
        return None


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
        """Until the next block is ready; 0 or less when it is. Starts at the next second, at first and
        when the clock was stepped."""
        if self._ready_ms is None or self._clock.stepped:
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
    longest_block_ms = 2000

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
    from waveform.grid import settings

    grid = {"f0_hz": config["measurement"]["f0_hz"]}
    grid.update(source["grid"])
    try:
        return Synthetic(grid, max(1, settings(grid)["fs_hz"] * block_ms // 1000))
    except (ValueError, TypeError, KeyError, IndexError) as e:
        raise ValueError("source.grid: %s" % e)
