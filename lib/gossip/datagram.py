"""The bytes of a gossip datagram (docs/gossip-wire.md): a head, a payload, and eight bytes of hop seal."""

from struct import pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_VERSION = const(1)
_HEAD = const(25)
_SEAL = const(8)
_MOST = const(1232)  # bytes of a datagram: what every IPv6 path carries in one piece
_F_MAX = const(8)
_R_MAX = const(31)
_NUMBER_MOST = const(0x3FFFFFFF)  # of a node, and of a sequence: small integers on a 32-bit port
_DATA = const(1)  # kinds
_ACK = const(5)
_PROBE = const(6)
_MATCH = const(7)
_REPLY = const(8)
_NEED = const(10)
_IED = const(1)  # roles
_METER = const(2)
_SSC = const(4)
_IS = const(8)
_HAN = const(1)  # scopes
_FAN = const(2)
_WAN = const(4)
_OK = const(0)  # reasons
_SHORT = const(2)
_LONG = const(3)
_BAD_VERSION = const(4)
_BAD_KIND = const(5)
_FIELD = const(6)
_LENGTH = const(7)

# What became of a datagram. CHECKING counts those whose signature is being verified, until that is known.
REASONS = (  # split() gives their names
    "ok checking short long version kind field length own seal stale rate stranger duplicate expired origin old"
    " window busy budget signature reuse storage unasked type"
)
# By kind, four bytes: the size of what always stands first, the size of what is repeated after that, how often at
# least, and at most (DATA: as often as the datagram has room).
_SIZES = (
    b"\0\0\0\0"
    b"\2\1\0\xff"  # DATA
    b"\0\x08\1\x20"  # IHAVE
    b"\0\x08\1\x20"  # IWANT
    b"\1\x0c\0\x08"  # DIGEST
    b"\x0a\1\0\0"  # ACK
    b"\5\x08\0\x28"  # PROBE
    b"\5\x08\0\x28"  # MATCH
    b"\x08\1\0\x40"  # REPLY
    b"\x0a\1\0\0"  # ASK
    b"\x12\1\0\0"  # NEED
)
_ROLE_OK = const(0x0116)  # a bit for each role: 1, 2, 4, 8


class Message:
    """A datagram taken apart; one is used again and again. What is in it is there once decode() said OK.

    kind; role of the sender; reach, variant, tcp, ack; r, f (clamped); origin, seq; sender, boot (its), to (the
    boot of ours that it knows, 0: none); lifetime_s; buf, size: the payload is buf[HEAD:HEAD + size].
    """


def decode(buf, n, message):
    """Take buf[:n] apart into `message`: _OK, or why it is none. Never raises. The seal is not looked at."""
    if n < _HEAD + _SEAL:
        return _SHORT
    if n > _MOST:
        return _LONG
    version, kind, flags, r, f, origin, seq, sender, boot, to, lifetime_s, size = unpack_from(
        ">BBBBBIIIHHHH", buf, 0
    )
    role = kind >> 4
    kind &= 15
    if version != _VERSION:
        return _BAD_VERSION
    if not 1 <= kind <= _NEED:
        return _BAD_KIND
    if flags & 0x80 or not flags & 7 or not _ROLE_OK >> role & 1:
        return _FIELD
    if not 0 < sender <= _NUMBER_MOST or origin > _NUMBER_MOST or seq > _NUMBER_MOST or not boot:
        return _FIELD
    if (kind in (_DATA, _ACK, _REPLY) and not (origin and seq)) or (not to and kind != _PROBE):
        return _FIELD
    if size != n - _HEAD - _SEAL:
        return _LENGTH
    first, step, least, most = _SIZES[4 * kind : 4 * kind + 4]
    size -= first
    if size < step * least or size % step or size > step * most and kind != _DATA:
        return _LENGTH
    size += first
    if kind in (_PROBE, _MATCH):
        k = buf[_HEAD + 4]
        if k > 8 or size < 5 + 8 * k or (size - 5 - 8 * k) & 15:
            return _LENGTH
    message.kind, message.role = kind, role
    message.reach, message.variant = flags & 7, flags >> 3 & 3
    message.tcp, message.ack = bool(flags & 0x20), bool(flags & 0x40)
    message.r, message.f = min(r, _R_MAX), min(f, _F_MAX)
    message.origin, message.seq, message.sender = origin, seq, sender
    message.boot, message.to, message.lifetime_s = boot, to, lifetime_s
    message.buf, message.size = buf, size
    return _OK


def put_head(buf, kind, role, flags, r, f, origin, seq, sender, boot, to, lifetime_s, size):
    """Write the head at the start of buf. flags: `reach | variant << 3`, 0x20: over TCP, 0x40: an ACK is wanted."""
    pack_into(
        ">BBBBBIIIHHHH",
        buf,
        0,
        _VERSION,
        role << 4 | kind,
        flags,
        r,
        f,
        origin,
        seq,
        sender,
        boot,
        to,
        lifetime_s,
        size,
    )


def pairs(buf, at, count):
    """[(origin, sequence)] of `count` pairs from `at` on."""
    return [unpack_from(">II", buf, at + 8 * i) for i in range(count)]


def put_pairs(buf, at, found):
    """Write pairs; where they end."""
    for origin, seq in found:
        pack_into(">II", buf, at, origin, seq)
        at += 8
    return at


def diff(a, b):
    """Milliseconds from b to a, of ticks that wrap at 2**30."""
    passed = a - b & 0x3FFFFFFF
    return passed if passed < 0x20000000 else passed - 0x3FFFFFFF - 1


def link_scope(a, b):
    """The scope of a link between two roles; 0: there is none. Scopes are crossed at meter and _SSC only."""
    both = a | b
    if both & _IED:
        return 0 if both & (_SSC | _IS) else _HAN
    if both & _IS:
        return 0 if both & _METER else _WAN
    return _WAN if both == _SSC else _FAN
