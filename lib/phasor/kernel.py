"""The hot loops: sample history, triangular FIR, CORDIC to angles and back, corrections, in 32-bit integers."""

import array

try:
    import micropython
except ImportError:  # CPython: the same source as plain Python
    from plainviper import micropython, ptr16, ptr32

# atan(2^-i) in 2^-30 turn; after 24 steps 1e-8 turn is left.
ATAN = array.array("i", (
    134217728, 79233351, 41864727, 21251189, 10666833, 5338616, 2669960, 1335061, 667541, 333772, 166886, 83443,
    41722, 20861, 10430, 5215, 2608, 1304, 652, 326, 163, 81, 41, 20))  # fmt: skip

ABSENT = -0x3FFFFFFF  # in place of a value that could not be measured


@micropython.viper
def push(history: ptr16, at: int, block: ptr16, count: int):
    """Append `count` signed 16-bit values of `block` at `history[at]`, offset by 32768."""
    for i in range(count):
        history[at + i] = int(block[i]) ^ 0x8000


@micropython.viper
def slide(history: ptr16, first: int, count: int):
    """Move `count` values from `history[first]` to its beginning."""
    for i in range(count):
        history[i] = history[first + i]


@micropython.viper
def estimate(history: ptr16, coef: ptr16, par: ptr32, out: ptr32, channel: int):
    """Write magnitude, angle, deviation and ROCOF of a channel to `out`; units as in Estimator, `par` as laid out
    there. One channel a call: a loop around all this is a longer jump than an ESP32's processor has.

    It is estimated at the centre and half a nominal cycle to each side: the image that the window
    lets through at twice the frequency then falls out of frequency and ROCOF. `a * b >> 30` is made of
    three 15-bit products, since viper multiplies in 32 bits.
    """
    stride = int(par[0])
    taps = int(par[1])
    shift = int(par[4])
    span = int(par[2]) * stride
    atan = ptr32(ATAN)
    centre = int(par[3]) + channel - span
    turn = 0
    angle = 0
    before = 0
    first = 0
    second = 0
    magnitude = 0
    for place in range(3):
        # Symmetric window, even cosine, odd sine; samples are offset by 32768, coefficients by 16384.
        re = ((int(history[centre]) - 32768) * (int(coef[0]) - 16384)) >> shift
        im = 0
        p = centre
        q = centre
        k = 2
        for _ in range(taps):
            p += stride
            q -= stride
            a = int(history[p])
            b = int(history[q])
            re += ((a + b - 65536) * (int(coef[k]) - 16384)) >> shift
            im += ((b - a) * (int(coef[k + 1]) - 16384)) >> shift
            k += 2
        # Brought to 2^28..2^29 first, so that a small signal keeps its angle.
        turn = 0
        if re < 0:
            re = 0 - re
            im = 0 - im
            turn = 0x20000000
        a = im
        if a < 0:
            a = 0 - a
        a |= re
        up = 0
        if a:
            while a < 0x10000000:
                a <<= 1
                up += 1
        re <<= up
        im <<= up
        for i in range(24):
            a = im >> i
            b = re >> i
            if im >= 0:
                re += a
                im -= b
                turn += int(atan[i])
            else:
                re -= a
                im += b
                turn -= int(atan[i])
        first = second
        second = ((turn - before - int(par[6]) + 0x20000000) & 0x3FFFFFFF) - 0x20000000
        before = turn
        if place == 1:
            angle = turn
            a = int(par[5])
            b = (re >> 15) * (a >> 15) + (((re >> 15) * (a & 32767)) >> 15) + (((re & 32767) * (a >> 15)) >> 15)
            magnitude = b >> up
        centre += span
    swing = first + second
    bend = second - first
    o = channel * 4
    # Beyond f0 / 4 off nominal, or without a signal, there is nothing to state but the magnitude.
    if magnitude < int(par[12]) or swing > 0x10000000 or swing < -0x10000000:
        out[o] = magnitude
        out[o + 1] = -0x3FFFFFFF
        out[o + 2] = -0x3FFFFFFF
        out[o + 3] = -0x3FFFFFFF
    else:
        # The window's droop off nominal, u = pi * deviation / f0: 1 / sinc^2 u = 1 + c + 0.6 c^2, c = u^2 / 3.
        d = swing >> 13
        a = (((d * d) >> 12) * int(par[11])) >> 15
        a += (((a * a) >> 17) * 5) >> 3
        out[o] = magnitude + (((magnitude >> 14) * a) >> 3)
        # The angle at the grid: d * tau is what the deviation turns between the centre and there.
        k = 13 + 2 * channel
        a = angle + int(par[7]) - int(par[k]) + ((d * (int(par[8]) - 0x80000 - int(par[k + 1]))) >> 6)
        out[o + 1] = ((a + 0x20000000) & 0x3FFFFFFF) - 0x20000000
        a = int(par[9])
        b = swing >> 15
        out[o + 2] = b * (a >> 15) + ((b * (a & 32767)) >> 15) + (((swing & 32767) * (a >> 15)) >> 15)
        a = int(par[10])
        b = bend >> 15
        out[o + 3] = b * (a >> 15) + ((b * (a & 32767)) >> 15) + (((bend & 32767) * (a >> 15)) >> 15)


@micropython.viper
def to_rectangular(values: ptr32, channels: int):
    """Replace magnitude and angle of each channel by real and imaginary part, in the magnitude's unit.

    An absent angle makes both absent. CORDIC in rotation.
    """
    atan = ptr32(ATAN)
    for o in range(0, channels * 4, 4):
        re = int(values[o])
        # The angle is kept modulo a turn: so the sign bits that a 64-bit port does not extend do not matter.
        angle = int(values[o + 1])
        if angle & 0x3FFFFFFF == 1 and (angle >> 30) & 3 == 3:  # ABSENT, its sign extended or not
            values[o] = angle
        elif re > 0:
            up = 0
            while re < 0x10000000:
                re <<= 1
                up += 1
            # 0.6072529350, the gain of the rotations taken away
            re = (re >> 15) * 19898 + (((re >> 15) * 15210) >> 15) + (((re & 32767) * 19898) >> 15)
            im = 0
            angle = ((angle + 0x20000000) & 0x3FFFFFFF) - 0x20000000
            if angle > 0x10000000:
                angle -= 0x20000000
                re = 0 - re
            elif angle < -0x10000000:
                angle += 0x20000000
                re = 0 - re
            for i in range(24):
                a = im >> i
                b = re >> i
                if angle >= 0:
                    re -= a
                    im += b
                    angle -= int(atan[i])
                else:
                    re += a
                    im -= b
                    angle += int(atan[i])
            half = (1 << up) >> 1
            values[o] = (re + half) >> up
            values[o + 1] = (im + half) >> up
        else:
            values[o + 1] = 0
