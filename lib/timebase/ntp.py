"""NTP (RFC 5905) as a client needs it: one question, one answer, and how far the answer can be off."""

import struct

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

SIZE = 48  # of a packet without extensions
_TO_SEC = const(-2208988800 - (1 << 31))  # from seconds since 1900 to SOC - 2^31
_MOST = const(16 << 16)  # figure 10: MAXDISP, in seconds * 2^16
_PHI = const(10000)  # a local clock may be off by 1/_PHI while it times the round trip


def request(packet, token):
    """Write a client's question into packet[:48]. token: 8 random bytes in place of the time of sending, which
    nobody needs to know: the server sends them back, and nobody else can."""
    packet[:SIZE] = bytes(SIZE)
    packet[0] = 0x23  # version 4, mode 3
    packet[40:48] = token


def answer(packet, token, trip_us):
    """What a packet says that came trip_us after the question.

    (SOC - 2^31, us of that second, error in us): the time when it came, and what that can be off if the server's
    own claim holds: half of the way there and back, and the server's distance from its reference.
    A str: why the answer is of no use; "kiss-o'-death XXXX" if it is one (clause 7.4).
    None: this is not the answer to that question.
    """
    if len(packet) < SIZE or packet[0] & 7 != 4 or bytes(packet[24:32]) != token:
        return None
    leap, stratum = packet[0] >> 6, packet[1]
    if not stratum:
        return "kiss-o'-death " + "".join([chr(c) if 32 < c < 127 else "?" for c in packet[12:16]])
    root_delay, root_dispersion = struct.unpack_from(">II", packet, 4)
    if leap == 3 or stratum > 15 or root_delay // 2 + root_dispersion >= _MOST or packet[3] < 128 and packet[3]:
        return "the server has no time itself"
    receive, transmit = _stamp(packet, 32), _stamp(packet, 40)
    served_us = (transmit[0] - receive[0]) * 1000000 + transmit[1] - receive[1]
    delay_us = trip_us - served_us
    if served_us < 0 or delay_us < -1000:
        return "the server's times contradict each other"
    delay_us = max(delay_us, 0)
    error_us = (delay_us + 1) // 2 + ((root_delay // 2 + root_dispersion + 1) * 15625 >> 10)
    error_us += trip_us // _PHI + 3 + (1000000 >> 256 - packet[3] if packet[3] else 1000000)
    us = transmit[1] + delay_us // 2
    return transmit[0] + us // 1000000, us % 1000000, error_us


def _stamp(packet, at):
    """(SOC - 2^31, us) of the timestamp at packet[at]: until 1968-01-20 of the next era (clause 6)."""
    sec, fraction = struct.unpack_from(">II", packet, at)
    if sec < 1 << 31:
        sec += 1 << 32
    return sec + _TO_SEC, fraction * 15625 >> 26
