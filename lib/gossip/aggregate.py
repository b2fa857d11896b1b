"""What a query puts together on its way back: values of any number of nodes in at most 64 bytes.

A value on its way is a tuple, by function (docs/gossip-queries.md); None: of nobody yet. All but VERSIONS come out
the same in whatever order they are merged.
"""

from struct import calcsize, pack_into, unpack_from

try:
    from micropython import const
except ImportError:  # CPython
    from plainviper import const

_COUNT = const(1)  # gossip.quantity
_MIN = const(4)
_MAX = const(5)
_SPAN = const(6)
_PERIODS = const(7)
_LAST = const(8)
_VERSIONS = const(9)
_HELD = const(10)
_ROLL = const(11)
_VALUE_MOST = const(0x7FFFFFFFFFFF)  # of one node's value, either sign: 65535 of them fit into 64 bits
_SUM_MOST = const(0x7FFFFFFFFFFF * 0xFFFF)
_NEVER = const(0xFFFFFFFF)
_CIRCLE = const(36000)  # hundredths of a degree
_HALF = const(18000)
_FORMATS = (None, ">I", ">q", ">q", ">qI", ">qI", ">HH", ">QQQ", ">IqI", ">8sH", ">I", ">63s")
_LISTED_MOST = const(15)  # numbers of those that lack what HELD asks for
_VERSIONS_MOST = const(6)
_SLOTS = const(504)  # of ROLL, a bit each: 63 bytes


def own(function, value, number, low=-_VALUE_MOST, high=_VALUE_MOST):
    """What node `number` contributes by itself, clipped to low..high; None, a fault: the function is not known or
    there is no value.

    value: an integer; of PERIODS three; of LAST (stamp, integer); of VERSIONS up to 8 bytes; of ROLL its argument.
    """
    if value is None or not _COUNT <= function <= _ROLL:
        return None
    if function == _COUNT:
        return (1 if value else 0,)
    if function == _SPAN:
        return value % _CIRCLE, 0
    if function == _PERIODS:
        return tuple([_clip(part, 0, high) for part in value])
    if function == _LAST:
        return value[0], _clip(value[1], low, high), number
    if function == _VERSIONS:
        return 0, (((value + bytes(8))[:8], 1),)
    if function == _HELD:
        return (0, ()) if value else (1, ((number,),))
    if function == _ROLL:
        slot, roll = number % (_SLOTS + value) % _SLOTS, bytearray(_SLOTS >> 3)
        roll[slot >> 3] = 1 << (slot & 7)
        return (bytes(roll),)
    value = _clip(value, low, high)
    return (value, number) if function in (_MIN, _MAX) else (value,)


def _clip(value, low, high):
    return min(max(value, low), high)


def merge(function, a, b):
    """The value of two disjoint sets of nodes."""
    if not a or not b:
        return a or b
    if function == _MIN:
        return min(a, b)
    if function == _MAX:
        return a if (a[0], -a[1]) > (b[0], -b[1]) else b
    if function == _LAST:
        return max(a, b)
    if function == _SPAN:
        return _arc(a, b)
    if function == _VERSIONS:
        return _versions(a, b)
    if function == _HELD:
        return min(a[0] + b[0], 0xFFFF), tuple(sorted(set(a[1] + b[1]))[:_LISTED_MOST])
    if function == _ROLL:
        return (bytes([x | y for x, y in zip(a[0], b[0])]),)
    return tuple([_clip(x + y, -_SUM_MOST, _SUM_MOST) for x, y in zip(a, b)])


def _arc(a, b):
    """The smallest arc over two, as (start, width). What does not fit into less than half a circle is (0, _HALF):
    if all points do, each smallest arc over some of them lies in that half, so the order makes no difference."""
    found = 0, _HALF
    for first, then in ((a, b), (b, a)):
        width = max(first[1], (then[0] - first[0]) % _CIRCLE + then[1])
        if width < found[1]:
            found = first[0], width
    return found


def _versions(a, b):
    """The commonest; the first number counts the nodes whose version is not among them."""
    counts = {}
    for version, count in a[1] + b[1]:
        counts[version] = min(counts.get(version, 0) + count, 0xFFFF)
    ranked = sorted([(-count, version) for version, count in counts.items()])
    others = a[0] + b[0] - sum([entry[0] for entry in ranked[_VERSIONS_MOST:]])
    return min(others, 0xFFFF), tuple([(version, -count) for count, version in ranked[:_VERSIONS_MOST]])


def put(function, value, buf, at):
    """Write a value; where it ends."""
    if not value:
        return at
    listed = _VERSIONS <= function <= _HELD
    if listed:
        pack_into(">H", buf, at, value[0])
        at += 2
    for entry in value[1] if listed else (value,):
        pack_into(_FORMATS[function], buf, at, *entry)
        at += calcsize(_FORMATS[function])
    return at


def take(function, buf, at, n, count, low=-_VALUE_MOST, high=_VALUE_MOST, newest=_NEVER, most=0xFFFF):
    """The value in buf[at:at + n] of `count` nodes, of which `most` are believed, clipped to what so many can have;
    None: that is no value. newest: of stamps; a later one cannot be, and counts as 0, older than all."""
    if not _COUNT <= function <= _ROLL:
        return None
    form = _FORMATS[function]
    step = calcsize(form)
    kept = min(count, most)
    if _VERSIONS <= function <= _HELD:
        if n < 2 or (n - 2) % step:
            return None
        first = min(unpack_from(">H", buf, at)[0], kept)
        entries = [unpack_from(form, buf, k) for k in range(at + 2, at + n, step)]
        n = len(entries)
        if function == _VERSIONS:
            good, first = n <= _VERSIONS_MOST, kept
            for i in range(n):
                entries[i] = entries[i][0], min(entries[i][1], first)
                first -= entries[i][1]
        else:
            good = n <= min(first, _LISTED_MOST)  # fewer, where two have told of the same
        return (first, tuple(entries)) if good and len(set(entries)) == n else None
    if n != step:
        return None
    value = unpack_from(form, buf, at)
    if function == _COUNT:
        return (min(value[0], kept),)
    if function == _SPAN:
        return value if value[0] < _CIRCLE and (value[1] < _HALF or value == (0, _HALF)) else None
    if function == _LAST:
        return value[0] if value[0] <= newest else 0, _clip(value[1], low, high), value[2]
    if function == _PERIODS:
        return tuple([_clip(part, 0, high * kept) for part in value])
    if function in (_MIN, _MAX):
        return _clip(value[0], low, high), value[1]
    if function == _ROLL:
        return value if sum([bin(byte).count("1") for byte in value[0]]) <= count else None
    return (_clip(value[0] * kept // count, low * kept, high * kept),)
