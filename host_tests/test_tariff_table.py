"""The bytes of a tariff table: as docs/tariff-table.md says them, both ways, damaged, by lot, split."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tests.property import examples
from tariff.encode import encode_into, size, split
from tariff.table import Table, decode

DAY = 1_761_436_800  # 2025-10-26 00:00 UTC: clocks go back in Europe, 100 quarters of an hour
U32 = st.integers(0, 0xFFFFFFFF)


def window(most):
    times = st.tuples(U32, U32).filter(lambda t: t[0] != t[1]).map(sorted)
    return st.one_of(st.none(), st.builds(lambda value, t: (value, *t), st.integers(0, most), times))


def tables(most_slots=100, jump=32767):
    """Any Table whose differences are at most `jump`."""

    @st.composite
    def table(draw):
        base = draw(st.integers(-(10**6), 10**9))
        jumps = draw(st.lists(st.integers(-jump, jump), max_size=most_slots - 1))
        prices = [base]
        for difference in jumps:
            prices.append(max(min(prices[-1] + difference, 0x3FFFFFFF), -0x3FFFFFFF))
        number, priority = draw(st.integers(1, 0x3FFFFFFF)), draw(st.integers(0, 255))
        start = 900 * draw(st.integers(0, 4_000_000))
        step_s = draw(st.sampled_from((900, 1800, 3600)))
        currency = draw(st.text("ABCXYZ", min_size=3, max_size=3))
        windows = draw(window(3)), draw(window(0xFFFFFFFF))
        return Table(number, start, step_s, prices, currency, priority, *windows)

    return table()


def fields(table):
    return {**vars(table), "prices": list(table.prices)}


def encoded(table, off=0):
    buf = bytearray(off + 283)
    n = encode_into(buf, off, table)
    return bytes(buf[off : off + n])


def day(count=100, **given):
    return Table(7, DAY, 900, [8520 + 10 * (i % 7) for i in range(count)], "EUR", **given)


def test_bytes_as_documented():
    table = Table(
        0x01020304, DAY, 1800, [8520, -1000, 8520], "GBP", 5, (2, DAY, DAY + 1), (3000, DAY + 9, DAY + 10)
    )
    expected = bytes.fromhex("01 03 05 01020304 474250 68fd6480 1e 03 00 00002148 dad0 2530")
    expected += struct.pack(">BII", 2, DAY, DAY + 1) + struct.pack(">III", 3000, DAY + 9, DAY + 10)
    assert encoded(table) == expected and fields(decode(expected, 0, len(expected))) == fields(table)
    alert = Table(1, DAY, 900, [], "EUR", 0, (3, DAY, DAY + 60))
    assert (
        encoded(alert).hex() == "01010000000001455552" + "68fd6480" + "0f0000" + "00000000" + "0368fd648068fd64bc"
    )
    forint = Table(1, DAY, 3600, [4_000_000, 8_000_000], "HUF")  # 400 Ft/kWh more is no difference of 16 bits
    assert encoded(forint).hex() == "01008000000001485546" + "68fd6480" + "3c0203" + "00000fa0" + "0fa0"


def test_a_long_day_fits():
    full = day(emergency=(3, DAY, DAY + 60), limit=(3000, DAY, DAY + 60))
    assert len(encoded(full)) == size(full) == 240
    assert len(encoded(day(121, emergency=(3, DAY, DAY + 60), limit=(3000, DAY, DAY + 60)))) == 282
    assert len(encoded(day(132))) == 283


@examples(150)
@given(tables(), st.integers(0, 9))
def test_round_trip(table, off):
    buf = bytearray(b"\xa5" * 300)
    n = encode_into(buf, off, table)
    assert n == size(table) and set(buf[:off] + buf[off + n :]) == {0xA5}
    for view in (buf, bytes(buf), memoryview(buf)):
        again = decode(view, off, n)
        assert fields(again) == fields(table) and again.prices.typecode == "i"
    for other in (n - 1, n + 1, 0, -1, 301):
        assert decode(buf, off, other) == "length"


@examples(50)
@given(tables(), st.integers(-4000, 500_000))
def test_price_at(table, after_s):
    soc, price = table.start + after_s, None
    for i, one in enumerate(table.prices):
        if table.start + i * table.step_s <= soc < table.start + (i + 1) * table.step_s:
            price = one
    assert table.price_at(soc) == price


def check(found):
    """A decoder's answer: a reason, or a Table that could be encoded."""
    if isinstance(found, str):
        assert found in ("length", "version", "field", "time", "currency", "price")
    else:
        assert all(-0x3FFFFFFF <= price <= 0x3FFFFFFF for price in found.prices)
        assert fields(decode(encoded(found), 0, size(found))) == fields(found)
    return isinstance(found, str)


@examples(300)
@given(st.binary(max_size=300), st.integers(-2, 40), st.integers(-2, 300))
def test_random_bytes(raw, off, n):
    decode(raw, off, n)
    check(decode(raw, 0, len(raw)))


@examples(300)
@given(st.integers(0, 3), st.integers(0, 255), st.binary(min_size=20, max_size=260))
def test_random_fields(flags, count, raw):
    """With what lets most of it through: version, flags, length."""
    n = 21 + 2 * max(count - 1, 0) + (9 if flags & 1 else 0) + (12 if flags & 2 else 0)
    raw = (raw * 30)[:n] if n <= 283 else raw
    raw = b"\1" + bytes([flags]) + raw[2:7] + b"EUR" + raw[10:14] + b"\x1e" + bytes([count]) + raw[16:]
    check(decode(raw, 0, len(raw)))


def test_every_flipped_bit():
    good = encoded(day(5, emergency=(3, DAY, DAY + 60), limit=(3000, DAY, DAY + 60)))
    refused = 0
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        refused += check(decode(bad, 0, len(bad)))
    assert refused > 60  # version, flags, count, most of step, exponent, letters, alignment


FINE = {"number": 1, "start": DAY, "step_s": 900, "prices": [1, 2], "currency": "EUR"}


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"number": 0}, "number 0 is not"),
        ({"number": 1 << 30}, "number"),
        ({"priority": 256}, "priority 256"),
        ({"currency": "eur"}, "currency eur"),
        ({"currency": "EURO"}, "currency"),
        ({"step_s": 600}, "step of 600 s"),
        ({"start": DAY + 60}, "whole quarter"),
        ({"start": 0xFFFFFFFF // 900 * 900}, "too late"),
        ({"prices": [0, 1 << 30]}, "price 1073741824 of slot 1"),
        ({"prices": [0, 5, 40_000]}, "from 5 to 40000 in slot 2"),
        ({"prices": []}, "neither"),
        ({"prices": [0] * 133}, "285 bytes, 283 fit"),
        ({"emergency": (4, 1, 2)}, "emergency 4"),
        ({"limit": (5000, 2, 2)}, "limit is not from"),
        ({"limit": (-1, 1, 2)}, "limit -1"),
    ],
)
def test_what_cannot_be_encoded(wrong, words):
    with pytest.raises(ValueError, match=words):
        encoded(Table(**{**FINE, **wrong}))


def test_no_room():
    buf = bytearray(30)
    with pytest.raises(ValueError, match="too short"):
        encode_into(buf, 8, Table(**FINE))
    assert not any(buf)
    encode_into(buf, 7, Table(**FINE))


@examples(60)
@given(tables(400, 100_000))
def test_split(table):
    table.number = min(table.number, 1 << 29)
    parts = split(table)
    soc, prices = table.start, []
    for i, part in enumerate(parts):
        again = decode(encoded(part), 0, size(part))
        assert again.start == soc and again.number == (table.number + i)
        assert (again.emergency, again.limit, again.currency) == (table.emergency, table.limit, table.currency)
        assert (again.priority, again.step_s) == (table.priority, table.step_s)
        prices += again.prices
        soc = again.end
    assert prices == list(table.prices)


def test_split_cuts_no_more_than_it_must():
    assert len(split(day(132))) == 1 and len(split(day(133))) == 2
    assert [len(part.prices) for part in split(Table(1, DAY, 900, [0, 32767, 65535, 65536], "EUR"))] == [2, 2]
    assert [part.number for part in split(Table(1, DAY, 900, [], "EUR", emergency=(1, 2, 3)))] == [1]
    with pytest.raises(ValueError, match="number"):
        split(Table(0x3FFFFFFF, DAY, 900, [0, 40_001], "EUR"))
