"""Magnitude and angle to real and imaginary part, for nodes whose frames have rectangular phasors."""

from phasor.kernel import ATAN

try:
    import micropython
except ImportError:  # CPython: the same source as plain Python
    from plainviper import micropython, ptr32


@micropython.viper
def to_rectangular(values: ptr32, channels: int):
    """Replace magnitude and angle of each channel by real and imaginary part, in the magnitude's unit.

    An absent angle makes both absent. CORDIC in rotation, as in phasor.kernel.
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
