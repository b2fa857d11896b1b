"""Time quality as C37.118.2 says it: MSG_TQ (Table 3) and the STAT bits of time (Table 6)."""

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_SYNC_LOST = const(0x2000)  # STAT bit 13: set whenever MSG_TQ is not 0
_WORST = const(10000000)  # us: MSG_TQ B


def quality(error_us):
    """(time quality byte without leap bits, STAT bits) of a clock that is at most `error_us` off.

    MSG_TQ n: within 10^(n - 10) s, 4 (1 us) at best; F for None (not known) and for more than 10 s.
    STAT: bit 13, and PMU_TQ in bits 8-6, whose bounds are exclusive and for which one power of ten is
    added to that of MSG_TQ; 7: more than 10 ms, or not known.
    """
    if error_us is None or error_us > _WORST:
        return 0x0F, _SYNC_LOST | 7 << 6
    n, bound_us = 4, 1
    while bound_us < error_us:
        n, bound_us = n + 1, bound_us * 10
    return n, _SYNC_LOST | min(n - 1, 7) << 6
