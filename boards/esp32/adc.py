"""The ESP32's own ADC, read by a timer: for demonstration. It is not linear, and nothing times it well."""

import time

import machine


class Sampler:
    """See boards.sampled.Sampled. period_us: between samples of all inputs.

    Time decides where a sample belongs: what the timer was late for gets the value that is read then.
    """

    def __init__(self, ring, gpios, period_us):
        self.ring = ring
        self._inputs = []
        for gpio in gpios:
            adc = machine.ADC(machine.Pin(gpio))
            adc.atten(machine.ADC.ATTN_11DB)  # 0 to about 3.1 V
            self._inputs.append(adc)
        self._period_us = period_us
        self._values = [0] * len(gpios)
        self._timer = machine.Timer(0)
        self._at = 0

    def start(self):
        self._at = 0
        self._due_us = begun = time.ticks_us()
        self._sample(None)
        self._timer.init(mode=machine.Timer.PERIODIC, freq=1000000 // self._period_us, callback=self._sample)
        return begun

    def place(self):
        self._sample(None)  # so that the count is that of the time, however late the timer is
        return self._at

    def astray(self):
        return False

    def close(self):
        self._timer.deinit()

    def _sample(self, timer):
        if time.ticks_diff(time.ticks_us(), self._due_us) < 0:
            return
        values, ring = self._values, self.ring
        for i in range(len(values)):
            values[i] = self._inputs[i].read_u16() >> 4
        now = time.ticks_us()
        while time.ticks_diff(now, self._due_us) >= 0:
            for value in values:
                ring[self._at] = value
                self._at += 1
            if self._at == len(ring):
                self._at = 0
            self._due_us = time.ticks_add(self._due_us, self._period_us)
