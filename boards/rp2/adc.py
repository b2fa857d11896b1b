"""The RP2040's ADC, converting by itself into a ring in RAM: no interrupt, no processor (datasheet 2.5 and 4.9).

The ADC takes its inputs in turn at a rate out of its own 48 MHz. One DMA channel moves each value into the ring;
at the ring's end it starts another, which writes the ring's address back into the first and so starts that again.
Thus the ring needs no alignment, and sampling goes on while a flash erase holds all interrupts.
"""

import time
from array import array

import machine
from uctypes import addressof

import rp2

# registers of the ADC (4.9.6), and their aliases that set or clear bits (2.1.2)
_CS = const(0)
_FCS = const(8)
_FIFO = const(12)
_DIV = const(16)
_SET = const(0x2000)
_CLEAR = const(0x3000)
_EN = const(1)  # in CS, and in FCS
_START_MANY = const(8)  # in CS
_FIFO_ON = const(0x1000C09)  # in FCS: EN, DREQ_EN, clear OVER and UNDER, THRESH 1
_FAULT = const(0xC00)  # in FCS: OVER, UNDER
_WRITE_ADDR_TRIG = const(11)  # AL2_WRITE_ADDR_TRIG among the words of a DMA channel (2.5.7)
_HALFWORD = const(1)  # DATA_SIZE
_TICKS = const(12288)  # of 1/256 of 1/48 MHz in a microsecond
_SEEN = const(8)  # values whose coming is awaited at the start


class Sampler:
    """See boards.sampled.Sampled. gpios: ascending, of 26 to 28. period: of a value, in 1/256 of 1/48 MHz.

    base: the ADC's registers; dreq: its DMA request.
    """

    def __init__(self, ring, gpios, period, base, dreq):
        self.ring = ring
        for gpio in gpios:
            machine.ADC(gpio)  # wakes the ADC, makes the pin an input of it
        self._base = base
        self._fcs = base + _FCS
        self._dreq = dreq
        self._select = (gpios[0] - 26) << 12 | _EN
        if len(gpios) > 1:
            for gpio in gpios:
                self._select |= 1 << 16 + gpio - 26  # RROBIN
        self._div = period - 256
        self._wait_us = 2 * _SEEN * period // _TICKS + 10000
        self._home = array("I", [addressof(ring)])
        self._data = rp2.DMA()
        self._control = rp2.DMA()

    def start(self):
        """Fill the ring from its beginning; ticks_us of the first sample. OSError if none comes."""
        self.stop()
        mem32 = machine.mem32
        base, data, control = self._base, self._data, self._control
        mem32[base + _CS] = self._select
        mem32[base + _DIV] = self._div
        mem32[self._fcs] = _EN
        while mem32[self._fcs] >> 16 & 15:  # LEVEL: values from before
            mem32[base + _FIFO]
        mem32[self._fcs] = _FIFO_ON
        control.config(
            read=self._home,
            write=data.registers[_WRITE_ADDR_TRIG : _WRITE_ADDR_TRIG + 1],
            count=1,
            ctrl=control.pack_ctrl(inc_read=False, inc_write=False),
        )
        count = len(self.ring)
        data.config(
            read=base + _FIFO,
            write=self.ring,
            count=count,
            ctrl=data.pack_ctrl(size=_HALFWORD, inc_read=False, treq_sel=self._dreq, chain_to=control.channel),
            trigger=True,
        )
        begun = time.ticks_us()
        mem32[base + _SET + _CS] = _START_MANY
        # When the first conversion begins is not written anywhere. It is seen, like some more: interrupts make one
        # seen late, never early.
        least = self._wait_us
        for i in range(_SEEN):
            while data.count == count - i:
                if time.ticks_diff(time.ticks_us(), begun) > self._wait_us:
                    self.stop()
                    raise OSError("the ADC does not convert")
            late = time.ticks_diff(time.ticks_us(), begun) - i * (self._div + 256) // _TICKS
            if late < least:
                least = late
        return time.ticks_add(begun, least - 10)  # a conversion (2 us), and half a turn of this loop

    def place(self):
        return len(self.ring) - self._data.count

    def astray(self):
        """Whether a value was lost: those after it would go to the wrong channel."""
        return machine.mem32[self._fcs] & _FAULT

    def stop(self):
        machine.mem32[self._base + _CLEAR + _CS] = _START_MANY
        for dma in (self._data, self._control):
            dma.ctrl = 0  # not enabled: an abort then starts no other channel
            dma.active(False)

    def close(self):
        self.stop()
        self._data.close()
        self._control.close()
