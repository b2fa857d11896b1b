"""The kernels of the synthetic grid: phases, sines and noise in integers of 32 bits.

Angles are turns times 2^30. Sines have 24 bits after the point, amplitudes 4 bits below a count. A product of
19 and 24 bits is made in two steps, a * (s >> 12) + (a * (s & 4095) >> 12), that stay within 2^31.
The state's words are never negative: a 32-bit load is unsigned on a 64-bit port.
"""

try:
    import micropython
except ImportError:  # CPython: the same source as plain Python
    from plainviper import micropython, ptr16, ptr32

# Words of the state:
#   0 phase, 2 step, 4 change of the step: two words each, high and low 30 bits of a turn
#   6 phase and 8 step of the modulating wave, the same; 10, 11: amplitude (Q19) and phase modulation (Q22, turns)
#   12 offset of all angles, by steps; 13 channels; 14 harmonics; 15 first sample of the block to write
#   16 samples that advance() has made; 17, 18 noise and its shift; 19 three seeds of it
#   22 each channel's amplitude and angle, then each harmonic's order, Q18 fraction, angle


@micropython.viper
def advance(state: ptr32, sine: ptr32, out: ptr32, n: int):
    """Phase (turns * 2^30) and gain (Q22) of n samples into out; the state moves on by n samples."""
    hi = state[0]
    lo = state[1]
    step_hi = state[2]
    step_lo = state[3]
    mod_hi = state[6]
    mod_lo = state[7]
    kx = state[10]
    ka = state[11]
    state[16] = n
    for i in range(n):
        p = (hi + state[12]) & 0x3FFFFFFF
        gain = 4194304
        if kx | ka:
            r = mod_hi + 0x10000000  # cosine
            q = (r >> 28) & 3
            r &= 0xFFFFFFF
            if q & 1:
                r = 0x10000000 - r
            j = r >> 19
            s = sine[j]
            s += ((sine[j + 1] - s) * ((r & 0x7FFFF) >> 4)) >> 15
            if q & 2:
                s = 0 - s
            gain += (kx * (s >> 12) + ((kx * (s & 4095)) >> 12)) >> 9
            p -= (ka * (s >> 12) + ((ka * (s & 4095)) >> 12)) >> 4
            mod_lo += state[9]
            mod_hi = (mod_hi + state[8] + (mod_lo >> 30)) & 0x3FFFFFFF
            mod_lo &= 0x3FFFFFFF
        out[2 * i] = p & 0x3FFFFFFF
        out[2 * i + 1] = gain
        lo += step_lo
        hi = (hi + step_hi + (lo >> 30)) & 0x3FFFFFFF
        lo &= 0x3FFFFFFF
        step_lo += state[5]
        step_hi = (step_hi + state[4] + (step_lo >> 30)) & 0x3FFFFFFF
        step_lo &= 0x3FFFFFFF
    state[0] = hi
    state[1] = lo
    state[2] = step_hi
    state[3] = step_lo
    state[6] = mod_hi
    state[7] = mod_lo


@micropython.viper
def write_counts(block: ptr16, state: ptr32, sine: ptr32, phases: ptr32):
    """The samples of all channels whose phases advance() has just written, into block from sample AT on."""
    channels = state[13]
    harmonics_at = 22 + 2 * channels
    harmonics_end = harmonics_at + 3 * state[14]
    k = state[15] * channels
    for i in range(state[16]):
        for c in range(channels):
            theta = (phases[2 * i] + state[23 + 2 * c]) & 0x3FFFFFFF
            total = 0
            h = harmonics_at - 3
            while h < harmonics_end:
                if h < harmonics_at:  # the fundamental
                    r = theta + 0x10000000
                else:
                    r = (((state[h] * (theta >> 15)) & 0x7FFF) << 15) + state[h] * (theta & 0x7FFF)
                    r = (r & 0x3FFFFFFF) + state[h + 2]  # holds the cosine's quarter already
                q = (r >> 28) & 3
                r &= 0xFFFFFFF
                if q & 1:
                    r = 0x10000000 - r
                j = r >> 19
                s = sine[j]
                s += ((sine[j + 1] - s) * ((r & 0x7FFFF) >> 4)) >> 15
                if q & 2:
                    s = 0 - s
                if h >= harmonics_at:
                    s = (state[h + 1] * (s >> 12) + ((state[h + 1] * (s & 4095)) >> 12)) >> 6
                total += s
                h += 3
            a = state[22 + 2 * c]
            g = phases[2 * i + 1]
            if g != 4194304:
                a = (a * (g >> 11) + ((a * (g & 2047)) >> 11)) >> 11
            v = (a * (total >> 12) + ((a * (total & 4095)) >> 12)) >> 8  # counts * 2^8
            if state[17]:
                state[19] = state[19] * 157 % 32363  # L'Ecuyer (1988), combined generator for 16 bits
                state[20] = state[20] * 146 % 31727
                state[21] = state[21] * 142 % 31657
                v += (((state[19] - state[20] + state[21]) % 32362 - 16180) * state[17]) >> state[18]
            v = (v + 128) >> 8
            if v > 32767:
                v = 32767
            elif v < -32768:
                v = -32768
            block[k] = v
            k += 1
