"""A Pico W for rp2040py: its own radio, this computer as 10.0.0.1, and a USB host that is silent when it may be.

Used by rp2040py as BoardSpec PICO_W. The access point is RP2040PY-GUEST, open.
"""

import time

from rp2040py.boards import BOARDS, BoardSpec, FlashLayout
from rp2040py.external.cyw43 import Cyw43439, nat

_HERE = "10.0.0.1"  # what the board knows as its router
_NTP_EPOCH_S = 2208988800  # from 1900 to 1970
_BEGAN_S = time.time()


def _to_this_computer(bridge):
    """What the board sends to 10.0.0.1 goes to the loopback. NTP is answered there by the emulated chip's clock,
    which runs slower than the world's."""
    connect, relay = bridge._tcp._connect_fn, bridge._udp._relay

    async def connect_here(address, port):
        return await connect("127.0.0.1" if address == _HERE else address, port)

    async def relay_here(mac, ip, port, query, upstream, src_ip, src_port):
        if upstream != (_HERE, 123) or len(query) < 48:
            where = ("127.0.0.1", upstream[1]) if upstream[0] == _HERE else upstream
            await relay(mac, ip, port, query, where, src_ip, src_port)
            return
        now = _BEGAN_S + bridge._udp._rp2040.clock.nanos / 1e9 + _NTP_EPOCH_S
        stamp = int(now).to_bytes(4, "big") + int(now % 1 * 2**32).to_bytes(4, "big")
        head = bytes([query[0] & 0x38 | 4, 1, 6, 0xEC]) + bytes(4) + bytes([0, 0, 0, 1]) + b"EMU\0" + stamp
        udp = nat.net.pack_udp(src_ip, ip, src_port, port, head + query[40:48] + stamp + stamp)
        frame = nat.net.pack_ipv4(src_ip, ip, nat.net.IP_PROTO_UDP, udp)
        bridge._queue_ethernet_frame(
            nat.net.pack_ethernet(mac, bridge._udp._gateway_mac, nat.net.ETHERTYPE_IPV4, frame))

    bridge._tcp._connect_fn, bridge._udp._relay = connect_here, relay_here


class Radio(Cyw43439):
    """The emulated radio, with its way to this computer."""

    def attach(self, rp2040):
        super().attach(rp2040)
        _to_this_computer(self.bus.nat_bridge)


class QuietHost:
    """A USB host without data says nothing for a moment. rp2040py's sends an empty packet every 10 us, which keeps
    the chip busy for nothing: everything else runs at a third of its pace."""

    poll_ns = 0.25e6

    def attach(self, rp2040):
        usb, alarms = rp2040.usb_ctrl, {}
        done = usb.endpoint_read_done

        def read_done(endpoint, buffer, delay=None):
            if endpoint == 0 or len(buffer):
                done(endpoint, buffer, delay)
                return
            if endpoint not in alarms:
                alarms[endpoint] = rp2040.clock.create_alarm(lambda: usb.on_endpoint_read(endpoint, 64))
            alarms[endpoint].schedule(self.poll_ns)

        usb.endpoint_read_done = read_done


class Pace:
    """Holds the emulated chip back to real time where it would be faster."""

    step_ns = 5e6

    def attach(self, rp2040):
        self._clock, self._start_s = rp2040.clock, None
        self._alarm = self._clock.create_alarm(self._check)
        self._alarm.schedule(self.step_ns)

    def _check(self):
        now_s, chip_s = time.monotonic(), self._clock.nanos / 1e9
        if self._start_s is None:
            self._start_s = now_s - chip_s
        ahead_s = chip_s - (now_s - self._start_s)
        if ahead_s > 0.002:
            time.sleep(min(ahead_s, 0.01))
        elif ahead_s < -0.02:  # it was too slow: not to be made up for
            self._start_s -= ahead_s + 0.02
        self._alarm.schedule(self.step_ns)


PICO_W = BoardSpec(
    extras=(Radio, QuietHost, Pace),
    layout=FlashLayout(fs_start=(2048 - 848) * 1024, fs_blockcount=212, fs_blocksize=4096),
    firmware=BOARDS["pico_w"].firmware,
)
