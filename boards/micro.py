"""What the boards with a microcontroller have in common."""

import gc
import os
import time
from binascii import hexlify

import machine

from boards.once import once
from boards.storage import Folder

_FOR_APPLICATIONS_KIB = 460  # two of them, with configuration and keys
_RING_MS = 1000  # of samples, two erases at their worst; a TLS handshake, once a connection, is not worth the heap


class Micro:
    """Base of the boards (boards/README.md); a board adds name, reset_cause, note, watchdog and its own limits.

    own_led: what machine.Pin takes for the board's LED, or None. handshake_ms: how long TLS holds the program at a
    connection, without and with a certificate of the node's own.
    """

    node_folder = "/node"
    longest_block_ms = 1000  # the start of the radio
    own_led = None
    vault = None

    def __init__(self):
        self.identity = hexlify(machine.unique_id()).decode()
        self._led = None
        self._use_led(self.own_led)
        self._stop = None
        self._relays = ()
        try:
            stat = os.statvfs("/")
            self.flash_kib = max(0, stat[1] * stat[2] // 1024 - _FOR_APPLICATIONS_KIB)
        except OSError:  # no file system
            self.flash_kib = 0

    def open(self, config):
        """config: a checked configuration (settings.schema). ValueError or OSError for what cannot be."""
        import network

        from boards.wallclock import Clock
        from boards.wifi import Station, WifiNetwork

        pins = config["board"]
        if pins["led"] != -1:
            self._use_led(None if pins["led"] == -2 else pins["led"])
        broker = config["broker"]
        if broker["ca"]:
            self.longest_block_ms = self.handshake_ms[1 if broker["certificate"] else 0]
        self._relays = [machine.Pin(pin, machine.Pin.OUT, value=0) for pin in pins["relays"]]
        self.clock = Clock(_set_rtc)
        self.network = WifiNetwork(Station(network), broker)
        folder = config["outbox"]["folder"] or "/outbox"
        try:
            self.storage, self.storage_error = Folder(folder), ""
        except OSError as e:
            self.storage, self.storage_error = None, "%s: %s" % (folder, e)
        kind = config["source"]["kind"] if config["source"] else None
        self.source = None
        if kind == "adc":
            self.source = self._sampled(config, _RING_MS)
            self._stop = self.source.close
        elif kind == "synthetic":
            self.source = once("boards.sources", "simulated", config, self.clock, 2 * self.longest_block_ms)
        elif kind:
            raise ValueError("source.kind: %s is for computers" % kind)
        if config["appliances"] and not pins["relays"]:
            raise ValueError("board.relays: none, but there are appliances")

    def close(self):
        """Before a soft reset: DMA or a timer would go on into memory that is somebody else's then. Any time."""
        stop, self._stop = self._stop, None
        if stop:
            stop()

    def led(self, on):
        if self._led:
            self._led.value(1 if on else 0)

    def relay(self, i, on):
        self._relays[i].value(1 if on else 0)

    def free_bytes(self):
        """Of the heap; at least, since garbage is not counted."""
        return gc.mem_free()

    def write(self, text):
        print(text)

    def _use_led(self, pin):
        self._led = None if pin is None else machine.Pin(pin, machine.Pin.OUT)


def _set_rtc(soc):
    """The chip's own clock, by which certificates are judged."""
    since = 946684800 if time.gmtime(0)[0] == 2000 else 0  # the port's epoch
    now = time.gmtime(soc - since)
    machine.RTC().datetime(now[:3] + (now[6],) + now[3:6] + (0,))
