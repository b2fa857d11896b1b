"""An RP2040's time, ADC and DMA, simulated by its datasheet; and `machine`, `rp2`, `time` that work on them.

They check how they are called: an unknown name, argument or register is an error. Import before the board.
"""

import sys
import time as real_time

from uctypes import addressof

TICKS = real_time.ticks_add(0, -1) + 1  # when ticks begin anew
CYCLES = 48 * 256  # of the ADC's divider, a microsecond
_FIELDS = {  # of a DMA channel's CTRL (datasheet 2.5.7): place, bits
    "enable": (0, 1), "high_pri": (1, 1), "size": (2, 2), "inc_read": (4, 1), "inc_write": (5, 1),
    "ring_size": (6, 4), "ring_sel": (10, 1), "chain_to": (11, 4), "treq_sel": (15, 6), "irq_quiet": (21, 1),
    "bswap": (22, 1), "sniff_en": (23, 1), "write_err": (29, 1), "read_err": (30, 1)}  # fmt: skip


class World:
    """Time in microseconds, and the hardware that goes on with it. `signal(gpio, us)`: counts at a pin."""

    def __init__(self):
        self.us = 1000
        self.frozen = False  # nothing goes on, no look at it allocates
        self.channels = []
        self.reset()
        self.signal = lambda gpio, us: 2048
        self.pins, self.watchdog, self.resets = {}, None, 0
        self.fed, self.rtc = 0, None

    def reset(self):
        """Of the whole chip."""
        self.adc = {0: 0, 8: 0, 16: 0}
        self.fifo, self.flags, self.analog = [], 0, set()
        self.next_at = None  # when the next conversion ends, in CYCLES
        self.select = 0
        self.words = {0x40058000: 0, 0x40058008: 0, 0x40064008: 1 << 8, 0xD0000090: 0}
        self.words.update({0x4005800C + 4 * i: 0 for i in range(4)})

    def run(self, us):
        """Time goes on."""
        if self.frozen:
            return
        end = self.us + us
        while self.next_at is not None and self.next_at <= end * CYCLES:
            self.convert(self.next_at)
            self.next_at += self.adc[16] + 256
        self.us = end

    def convert(self, at):
        """A conversion ends; it began 96 cycles before."""
        gpio = 26 + self.select
        assert gpio in self.analog, "GPIO %d is no input of the ADC" % gpio
        value = self.signal(gpio, at / CYCLES - 2)
        robin = self.adc[0] >> 16 & 31
        if robin:
            self.select = (self.select + 1) % 5
            while not robin >> self.select & 1:
                self.select = (self.select + 1) % 5
        if not self.adc[8] & 1:
            return
        if len(self.fifo) == 4:
            self.flags |= 1 << 11
            return
        self.fifo.append(value)
        for channel in self.channels:
            if channel.busy and channel.field("treq_sel") == 36 and self.adc[8] & 8:
                channel.move()

    def write_adc(self, register, value):
        if register == 8:
            self.flags &= ~(value & 0xC00)
            value &= ~0xC00
        self.adc[register] = value
        if register in (0, 16):
            self.select = self.adc[0] >> 12 & 7 if register == 0 and not value & 8 else self.select
            if self.adc[0] & 9 == 9:
                if self.next_at is None or register == 16:
                    assert self.adc[16] + 256 >= 96 * 256
                    self.next_at = self.us * CYCLES + self.adc[16] + 256
            else:
                self.next_at = None


world = World()


class Mem32:
    def __getitem__(self, address):
        if world.frozen:
            return 0
        world.run(3)
        if 0x4004C000 <= address < 0x4004C020:
            register = address - 0x4004C000
            if register == 12:
                return world.fifo.pop(0)
            if register == 8:
                return world.adc[8] | world.flags | len(world.fifo) << 16
            return world.adc[register]
        return world.words[address]

    def __setitem__(self, address, value):
        world.run(3)
        value &= 0xFFFFFFFF
        block, register = address & ~0x3FFF, address & 0xFFF
        alias = address >> 12 & 3
        if block == 0x4004C000:
            assert register in (0, 8, 16)
            before = world.adc[register]
            world.write_adc(register, (value, before ^ value, before | value, before & ~value)[alias])
        else:
            if block not in (0x40058000, 0x400D8000):  # the watchdog of RP2040 and RP2350
                alias = 0
            before = world.words[address - (alias << 12)]  # KeyError: a register that is none of ours
            changed = (value, before ^ value, before | value, before & ~value)[alias]
            world.words[address - (alias << 12)] = changed


class _Word:
    """A register of a channel as something to write to."""

    def __init__(self, channel, index):
        self.channel, self.index = channel, index


class _Registers:
    def __init__(self, channel):
        self.channel = channel

    def __getitem__(self, place):
        assert isinstance(place, slice) and place.stop == place.start + 1 <= 16
        return _Word(self.channel, place.start)


class DMA:
    def __init__(self):
        taken = [channel.channel for channel in world.channels]
        self.channel = [n for n in range(12) if n not in taken][0]
        self.read = self.write = None
        self.left = self.reload = self.at = 0
        self._ctrl, self.busy, self.closed = 0, False, False
        self.registers = _Registers(self)
        world.channels.append(self)

    @property
    def count(self):
        if not world.frozen:
            world.run(5)
        return self.left

    @property
    def ctrl(self):
        return self._ctrl

    @ctrl.setter
    def ctrl(self, value):
        assert not self.closed
        self._ctrl = value

    def field(self, name):
        place, bits = _FIELDS[name]
        return self._ctrl >> place & ((1 << bits) - 1)

    def pack_ctrl(self, default=None, **fields):
        value = 1 | 2 << 2 | 1 << 4 | 1 << 5 | self.channel << 11 | 0x3F << 15 | 1 << 21
        if default is not None:
            value = default
        for name, given in fields.items():
            place, bits = _FIELDS[name]
            assert 0 <= int(given) < 1 << bits, name
            value = value & ~((1 << bits) - 1 << place) | int(given) << place
        return value

    def config(self, *, read=None, write=None, count=None, ctrl=None, trigger=False):
        assert not self.closed
        self.read = self.read if read is None else read
        if write is not None:
            self.write, self.at = write, 0
        self.reload = self.reload if count is None else count
        if count is not None and not trigger:
            self.left = count
        self._ctrl = self._ctrl if ctrl is None else ctrl
        if trigger:
            self.trigger()

    def trigger(self):
        assert not self.closed, "a channel that is closed was triggered"
        if not self._ctrl & 1:
            return
        self.left, self.busy = self.reload, True
        while self.busy and self.field("treq_sel") == 0x3F:
            self.move()
        while self.busy and self.field("treq_sel") == 36 and world.fifo:
            self.move()

    def move(self):
        """One transfer."""
        if self.field("treq_sel") == 36:
            assert self.read == 0x4004C00C and self.field("size") == 1 and not self.field("inc_read")
            self.write[self.at] = world.fifo.pop(0)
            self.at += self.field("inc_write")
        else:  # the other one, which writes an address into the first
            assert self.field("size") == 2 and not self.field("inc_read") and not self.field("inc_write")
            target = self.write.channel
            assert self.write.index == 11  # AL2_WRITE_ADDR_TRIG
            assert self.read[0] == addressof(target.write) & 0xFFFFFFFF
            target.at = 0
            self.after(lambda: target.trigger())
            return
        self.after(None)

    def after(self, then):
        self.left -= 1
        if not self.left:
            self.busy = False
            chain = self.field("chain_to")
            if chain != self.channel:
                [other for other in world.channels if other.channel == chain][0].trigger()
        if then:
            then()

    def active(self, value=None):
        assert not self.closed
        if value is not None:
            assert not value
            assert not self._ctrl & 1 or not self.busy, "an abort while enabled can start the channel chained to it"
            self.busy = False
        return self.busy

    def close(self):
        self.closed = True
        world.channels.remove(self)


class Pin:
    OUT, IN = 1, 0

    def __init__(self, pin, mode=-1, pull=-1, *, value=None):
        assert pin == "LED" or isinstance(pin, int) and 0 <= pin <= 28, pin
        assert mode == Pin.OUT
        self.pin = pin
        if value is not None or pin not in world.pins:
            world.pins[pin] = value

    def value(self, to=None):
        if to is None:
            return world.pins[self.pin]
        assert to in (0, 1)
        world.pins[self.pin] = to


class ADC:
    def __init__(self, pin):
        assert pin in (26, 27, 28), pin
        world.analog.add(pin)
        world.adc[0] |= 1


class WDT:
    def __init__(self, *, id=0, timeout=5000):
        assert id == 0 and 1 <= timeout <= 8388, timeout
        world.watchdog = timeout
        if 0x40058000 in world.words:
            world.words[0x40058000] |= 1 << 30

    def feed(self):
        world.fed += 1


class RTC:
    def datetime(self, to):
        assert len(to) == 8
        world.rtc = to


class Machine:
    mem32, Pin, ADC, WDT, RTC = Mem32(), Pin, ADC, WDT, RTC

    @staticmethod
    def unique_id():
        return b"\xe6\x61\x41\x04\x03\x2b\x1d\x2e"

    @staticmethod
    def reset():
        world.words[0x40058008] = 2
        world.words[0xD0000090] = 0
        world.resets += 1
        raise SystemExit("reset")


class Rp2:
    DMA = DMA


class Time:
    """Every look takes time."""

    ticks_diff, ticks_add = staticmethod(real_time.ticks_diff), staticmethod(real_time.ticks_add)
    gmtime = staticmethod(real_time.gmtime)

    @staticmethod
    def ticks_us():
        if world.frozen:
            return 300000
        world.run(5)
        return world.us % TICKS

    @staticmethod
    def ticks_ms():
        if world.frozen:
            return 300
        return world.us // 1000 % TICKS


def install():
    sys.modules["machine"], sys.modules["rp2"], sys.modules["time"] = Machine, Rp2, Time
