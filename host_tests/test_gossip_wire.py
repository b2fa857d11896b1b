"""The bytes of a datagram against struct and hashlib's own HMAC; nothing that comes is ever more than a reason."""

import hmac
import random
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip import wire
from gossip.endpoint import Endpoint
from gossip.peers import Peers
from gossip.seal import Seal
from gossip.stream import Splitter
from gossip.wire import Message, decode, put_head
from host_tests.property import examples

ROOT = Path(__file__).resolve().parent.parent
KEY = bytes(range(32))
NUMBER = 99  # of who receives
NUMBERS = st.integers(1, wire.NUMBER_MOST)
U8, U16 = st.integers(0, 255), st.integers(0, 0xFFFF)
HEAD = struct.Struct(">BBBBBIIIHHHH")
KINDS = ("DATA", "IHAVE", "IWANT", "DIGEST", "ACK", "PROBE", "MATCH", "REPLY", "ASK", "NEED")
ADDRESS = bytes([10, 0, 0, 1, 0x1B, 0xC9])


@st.composite
def payloads(draw, kind):
    """A payload whose size the kind allows."""
    if kind in (wire.PROBE, wire.MATCH):
        digests, entries = draw(st.integers(0, 8)), draw(st.integers(0, 16))
        return draw(st.binary(min_size=4, max_size=4)) + bytes([digests]) + bytes(8 * digests + 16 * entries)
    sizes = {
        wire.DATA: st.integers(2, 1199),
        wire.IHAVE: st.integers(1, 32).map(lambda n: 8 * n),
        wire.IWANT: st.integers(1, 32).map(lambda n: 8 * n),
        wire.DIGEST: st.integers(0, 8).map(lambda n: 1 + 12 * n),
        wire.ACK: st.just(10),
        wire.REPLY: st.integers(8, 72),
        wire.ASK: st.just(10),
        wire.NEED: st.just(18),
    }
    return random.Random(draw(U16)).randbytes(draw(sizes[kind]))


@st.composite
def messages(draw):
    """(fields of the head as put_head takes them, payload) of any valid message."""
    kind = draw(st.integers(1, 10))
    payload = draw(payloads(kind))
    return (
        kind,
        draw(st.sampled_from([1, 2, 4, 8])),
        draw(st.integers(1, 127).filter(lambda flags: flags & 7)),
        draw(U8),
        draw(U8),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(st.integers(1, 0xFFFF)),
        draw(st.integers(0 if kind == wire.PROBE else 1, 0xFFFF)),
        draw(U16),
        len(payload),
    ), payload


def datagram(fields, payload):
    """By put_head and Seal; checked here against struct and hmac."""
    buf = bytearray(wire.MOST)
    put_head(buf, *fields)
    kind, role, *rest = fields
    assert bytes(buf[: wire.HEAD]) == HEAD.pack(1, role << 4 | kind, *rest)
    buf[wire.HEAD : wire.HEAD + len(payload)] = payload
    receiver = (NUMBER if fields[9] else 0).to_bytes(4, "big")
    n = Seal(KEY).close(buf, wire.HEAD + len(payload), receiver)
    assert bytes(buf[n - 8 : n]) == hmac.new(KEY, bytes(buf[: n - 8]) + receiver, "sha256").digest()[:8]
    return bytes(buf[:n])


@given(messages())
@examples(300)
def test_what_is_written_is_read(given_):
    fields, payload = given_
    data, m = datagram(fields, payload), Message()
    assert decode(data, len(data), m) == wire.OK and len(data) <= 1232
    kind, role, flags, r, f, origin, seq, sender, boot, to, lifetime_s, size = fields
    assert (m.kind, m.role, m.reach, m.variant) == (kind, role, flags & 7, flags >> 3 & 3)
    assert (m.tcp, m.ack) == (bool(flags & 32), bool(flags & 64))
    assert (m.r, m.f) == (min(r, 31), min(f, 8))  # clamped: row 11
    assert (m.origin, m.seq, m.sender, m.boot, m.to) == (origin, seq, sender, boot, to)
    assert (m.lifetime_s, m.size) == (lifetime_s, size)
    assert bytes(m.buf[wire.HEAD : wire.HEAD + m.size]) == payload


@given(messages(), st.integers(0, 10), st.integers(0, 0xFFFFFFFF))
@examples(300)
def test_every_field_has_its_bounds(given_, field, value):
    """One field of a valid head is set to anything: what is accepted then is within the documented bounds."""
    fields, payload = given_
    data = bytearray(datagram(fields, payload))
    at, code = [(0, "B"), (1, "B"), (2, "B"), (5, "I"), (9, "I"), (13, "I"), (17, "H"), (19, "H"), (23, "H")][
        field % 9
    ]
    struct.pack_into(">" + code, data, at, value & {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF}[code])
    version, kind, flags, r, f, origin, seq, sender, boot, to, _, size = HEAD.unpack_from(data)
    role, kind = kind >> 4, kind & 15
    ok = (
        version == 1
        and 1 <= kind <= 10
        and role in (1, 2, 4, 8)
        and flags < 128
        and flags & 7
        and 1 <= sender < 1 << 30
        and origin < 1 << 30
        and seq < 1 << 30
        and (kind not in (1, 5, 8) or origin and seq)
        and boot
        and (to or kind == 6)
        and size == len(data) - 33
        and fits(kind, bytes(data[25:-8]))
    )
    assert (decode(data, len(data), Message()) == wire.OK) == bool(ok)


def fits(kind, payload):
    n = len(payload)
    if kind in (6, 7):
        entries = n - 5 - 8 * payload[4] if n >= 5 else -1
        return entries % 16 == 0 and 0 <= entries <= 256 and payload[4] <= 8
    return {
        1: 2 <= n <= 1199,
        2: 8 <= n <= 256 and n % 8 == 0,
        3: 8 <= n <= 256 and n % 8 == 0,
        4: 1 <= n <= 97 and n % 12 == 1,
        5: n == 10,
        8: 8 <= n <= 72,
        9: n == 10,
        10: n == 18,
    }[kind]


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda d: d[:32], wire.SHORT),
        (lambda d: b"", wire.SHORT),
        (lambda d: d + bytes(1300), wire.LONG),
        (lambda d: b"\x02" + d[1:], wire.BAD_VERSION),
        (lambda d: d[:1] + b"\x20" + d[2:], wire.BAD_KIND),
        (lambda d: d[:1] + b"\x2b" + d[2:], wire.BAD_KIND),
        (lambda d: d[:1] + b"\x35" + d[2:], wire.FIELD),  # two roles
        (lambda d: d[:2] + b"\x80" + d[3:], wire.FIELD),
        (lambda d: d[:2] + b"\x00" + d[3:], wire.FIELD),  # no scope
        (lambda d: d[:-1], wire.LENGTH),
        (lambda d: d + b"\0", wire.LENGTH),
    ],
)
def test_reasons(change, reason):
    data = datagram((wire.ACK, wire.METER, 7, 3, 3, 5, 6, 7, 1, 1, 60, 10), bytes(10))
    assert decode(data, len(data), Message()) == wire.OK
    data = change(data)
    assert decode(data, len(data), Message()) == reason


def endpoint():
    """An end of boot 3, with a handler for every kind; what they were handed."""
    acted = []
    end = Endpoint(3, Seal(KEY), Peers(NUMBER, wire.METER, 16, lambda n: 0), lambda *a: None)
    end.on = [lambda *a: acted.append(a) or wire.OK] * 11
    return end, acted


def noise(dice, samples):
    """Bytes at random; a valid head with random rest; a valid datagram with bytes changed, cut off, added."""
    way = dice.random()
    if way < 0.2:
        return dice.randbytes(dice.randrange(0, 1400))
    if way < 0.5:
        size = dice.choice((2, 5, 8, 10, 18, 37, 53, 1199, dice.randrange(1200)))
        kind = dice.choice((1, 2, 4, 8)) << 4 | dice.randrange(1, 11)
        head = HEAD.pack(1, kind, dice.randrange(1, 128), *dice.randbytes(2), 5, 6, 7, 1, 3, 9, size)
        return head + dice.randbytes(size + 8)
    data = bytearray(dice.choice(samples))
    for _ in range(dice.randrange(1, 4)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return data[: dice.randrange(len(data) + 1)] if way < 0.7 else data + bytes(dice.randrange(0, 3))


def flood(count, seed):
    """`count` datagrams of noise through an end: a reason each, nothing acted on, all counted."""
    dice = random.Random(seed)
    samples = [
        datagram((wire.DATA, 2, 7, 3, 3, 5, 6, 7, 1, 3, 60, 900), dice.randbytes(900)),
        datagram((wire.PROBE, 2, 7, 0, 0, 0, 0, 7, 1, 3, 0, 45), bytes(4) + b"\1" + dice.randbytes(40)),
        datagram((wire.DIGEST, 4, 7, 0, 0, 0, 0, 7, 1, 3, 0, 25), dice.randbytes(25)),
    ]
    end, acted = endpoint()
    message, decoded = Message(), 0
    for _ in range(count):
        data = noise(dice, samples)
        reason = decode(data, len(data), message)
        assert wire.OK <= reason <= wire.LENGTH and reason != wire.CHECKING
        if reason == wire.OK:
            decoded += 1
            assert message.r <= 31 and message.f <= 8 and message.size <= 1199
        got = end.received(data, len(data), ADDRESS, 0)
        assert got == reason if reason else got != wire.OK or data in samples
    assert sum(end.counters) == count and len(acted) == end.counters[wire.OK]
    assert decoded > count // 20, "most noise never came past the head"
    return end


def test_random_datagrams():
    end = flood(100_000, 1)
    assert end.counters[wire.BAD_SEAL] > 10_000


@pytest.mark.torture
@pytest.mark.timeout(600)
def test_a_million_random_datagrams():
    flood(1_000_000, random.randrange(1 << 30))


def test_bit_flips_are_refused():
    """10^5 valid datagrams with one bit flipped: none is acted on, nobody becomes a peer by it."""
    dice = random.Random(2)
    end, acted = endpoint()
    for k in range(200):
        size = dice.choice((2, 10, 100, 1199))
        data = bytearray(datagram((wire.DATA, 2, 7, 3, 3, 5, k + 1, 7, 1, 3, 60, size), dice.randbytes(size)))
        for _ in range(500):
            bit = dice.randrange(8 * len(data))
            data[bit >> 3] ^= 1 << (bit & 7)
            end.received(data, len(data), ADDRESS, 0)
            data[bit >> 3] ^= 1 << (bit & 7)
    assert sum(end.counters) == 100_000 and not acted and not end.counters[wire.OK] and not end.peers.count


@given(st.lists(st.integers(33, 1232), max_size=8), st.lists(st.integers(1, 700), min_size=1))
def test_datagrams_in_a_stream(sizes, reads):
    dice = random.Random(len(sizes))
    wanted = [dice.randbytes(size) for size in sizes]
    stream = b"".join(len(data).to_bytes(2, "big") + data for data in wanted)
    splitter, found, at, k = Splitter(), [], 0, 0
    while at < len(stream):
        n = min(splitter.wanted, reads[k % len(reads)], len(stream) - at)
        splitter.buf[splitter.n : splitter.n + n] = stream[at : at + n]
        at, k = at + n, k + 1
        size = splitter.took(n)
        assert size >= 0
        if size:
            found.append(bytes(splitter.buf[:size]))
    assert found == wanted


@given(st.binary(max_size=3000))
def test_a_stream_of_anything(stream):
    """Never more than it has room for; what cannot be a length ends it."""
    splitter, at = Splitter(), 0
    while at < len(stream):
        assert 1 <= splitter.wanted <= 1232 - splitter.n
        n = min(splitter.wanted, len(stream) - at)
        splitter.buf[splitter.n : splitter.n + n] = stream[at : at + n]
        at += n
        size = splitter.took(n)
        if size < 0:
            assert not 33 <= int.from_bytes(stream[at - 2 : at], "big") <= 1232
            break
        assert size == 0 or 33 <= size <= 1232
    assert len(splitter.buf) == 1232


def constants(path):
    """{name: value} of `_NAME = const(value)`."""
    for name, value in re.findall(r"^(\w+) = const\(([\w *+<|-]+)\)", path.read_text(), re.MULTILINE):
        yield name, eval(value, {})


OTHER = {"short": "SHORT", "version": "BAD_VERSION", "kind": "BAD_KIND", "seal": "BAD_SEAL"}


@pytest.mark.parametrize("path", sorted((ROOT / "lib/gossip").glob("*.py")), ids=lambda path: path.stem)
def test_constants_that_stand_in_several_files_agree(path):
    """A module-level const costs no byte on a node, an import does: so they are repeated, and compared here."""
    for name, value in constants(path):
        known = getattr(wire, name[1:], None) if name.startswith("_") else None
        if isinstance(known, int) and (name != "_VERSION" or path.stem == "datagram"):
            assert value == known, f"{path.name}: {name}"


def test_nodes_do_without_the_names():
    """gossip/wire.py is for tools and tests."""
    for path in [path for part in ("lib", "firmware", "boards") for path in (ROOT / part).rglob("*.py")]:
        assert not re.search(r"from gossip(\.wire import| import .*\bwire\b)", path.read_text()), path.name


def test_reasons_have_their_numbers():
    names = wire.REASONS.split()
    assert len(names) == wire.REASON_COUNT
    for number, name in enumerate(names):
        assert getattr(wire, OTHER.get(name, name.upper())) == number


def tables(text):
    """Every table of a Markdown text, as a list of rows of cells."""
    found = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [rows[2:] for rows in found if rows]


def test_the_document_agrees():
    """docs/gossip-wire.md: the head, kinds with their sizes, roles, scopes, types, reasons."""
    text = (ROOT / "docs/gossip-wire.md").read_text()
    all_rows = {row[0]: row for rows in tables(text) for row in rows}
    head = next(rows for rows in tables(text) if rows[0][:3] == ["0", "u8", "version"])
    sizes = {"u8": "B", "u16": "H", "u32": "I"}
    assert ">" + "".join(sizes[row[1]] for row in head) == HEAD.format
    at = 0
    for row in head:
        assert int(row[0]) == at
        at += struct.calcsize(sizes[row[1]])
    assert at == wire.HEAD
    for kind, name in enumerate(KINDS, 1):
        row = all_rows[f"{kind} {name}"]
        assert getattr(wire, name) == kind
        least, most = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", row[1])[:2])
        fields = [kind, 2, 7, 0, 0, 5, 6, 7, 1, 1, 60, 0]
        allowed = []
        for size in range(1200):
            fields[11] = size
            for digests in range(9) if kind in (6, 7) else (0,):
                buf = bytearray(33 + size)
                put_head(buf, *fields)
                if size > 4:
                    buf[29] = digests
                if decode(buf, len(buf), Message()) == wire.OK:
                    allowed.append(size)
                    break
        assert (allowed[0], allowed[-1]) == (least, most), name
    for name in ("IED", "METER", "SSC", "IS", "HAN", "FAN", "WAN"):
        assert f"{name} {getattr(wire, name)}" in text
    for name in ("TARIFF", "KEY", "COMMAND", "REVOKE", "ORDER", "NOTICE", "TEXT", "QUERY"):
        assert f"{getattr(wire, name)} {name}" in all_rows
    for number, name in enumerate(wire.REASONS.split()):
        assert all_rows[f"{number} `{name}`"]
