"""The stream splitter: any segmentation, garbage and broken frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c37118.splitter import Splitter
from host_tests.c37118_samples import frame, known_streams

# Garbage that looks like the start of frames, small and huge, as often as any other
LOOKALIKE = st.sampled_from(
    [b"\xaa", b"\xaa\x01", b"\xaa\x01\xff\xff", b"\xaa\x11\x00\x20", b"\xaa\x31\x01\x00", b"\xaa\x41\x00\x12"]
)
GARBAGE = st.lists(st.one_of(st.binary(max_size=30), LOOKALIKE), max_size=5).map(b"".join)
# No byte of the body is AA: a whole frame inside a frame is another matter, tested below
BODIES = st.binary(min_size=2, max_size=80).map(lambda body: body.replace(b"\xaa", b"\xab"))
FRAMES = st.builds(frame, st.sampled_from([0, 1, 4]), BODIES, st.integers(1, 0xA9FF))


def pieces(raw, cuts):
    edges = [0, *sorted(cuts), len(raw)]
    return [raw[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def split(parts, **options):
    splitter, out = Splitter(**options), []
    for part in parts:
        out.extend(splitter.feed(part))
    return out, splitter


@given(st.lists(st.tuples(GARBAGE, FRAMES), max_size=8), st.data())
def test_every_good_frame_comes_out_however_the_stream_is_cut(parts, data):
    raw = b"".join(garbage + good for garbage, good in parts)
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=20))
    skipped = []
    out, splitter = split(pieces(raw, cuts), on_skip=skipped.append)
    assert out == [good for _, good in parts]
    assert splitter.frames == len(parts)
    assert splitter.skipped_bytes == sum(len(garbage) for garbage, _ in parts)
    assert b"".join(skipped) == b"".join(garbage for garbage, _ in parts)
    whole = split([raw])[1]
    single = split([bytes([b]) for b in raw])[1]
    assert splitter.bad_checksums == whole.bad_checksums == single.bad_checksums


@given(st.data())
def test_counters_with_one_broken_frame(data):
    frames = [frame(0, bytes([n] * 20)) for n in range(5)]
    at = data.draw(st.integers(4, 35))
    broken = bytearray(frames[2])
    broken[at] ^= 0x10
    raw = b"".join([*frames[:2], broken, *frames[3:]])
    out, splitter = split(pieces(raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=9))))
    assert out == frames[:2] + frames[3:]
    assert (splitter.frames, splitter.skipped_bytes, splitter.bad_checksums) == (4, len(broken), 1)


@pytest.mark.parametrize("step", [1, 3, 1000, 100_000])
def test_broken_frames_in_a_row_count_one_by_one(step):
    good = frame(0, bytes(20))
    bad = good[:-1] + b"\0"
    raw = good + 3 * bad + good
    out, splitter = split([raw[i : i + step] for i in range(0, len(raw), step)])
    assert out == [good, good]
    assert (splitter.skipped_bytes, splitter.bad_checksums) == (3 * len(bad), 3)


@pytest.mark.parametrize("position", [2, 3])
@pytest.mark.parametrize("bit", range(8))
def test_a_wrong_framesize_hides_nothing(position, bit):
    good = frame(0, bytes(range(40)))
    bad = bytearray(good)
    bad[position] ^= 1 << bit
    splitter = Splitter()
    assert splitter.feed(good + bad) == [good]
    assert splitter.feed(good) + splitter.feed(good) == [good, good]
    assert splitter.skipped_bytes == len(bad)


def test_a_frame_within_a_frame_stays_inside_when_all_is_there():
    inner = frame(0, bytes(20))
    outer = frame(4, b"\0\x08" + inner)
    assert split([outer + inner])[0] == [outer, inner]


def test_memory_is_bounded_and_the_stream_goes_on():
    splitter = Splitter(max_size=1000)
    good = frame(0, bytes(20))
    for _ in range(200):
        splitter.feed(b"\xaa\x01\x03\xe8" * 20)
        assert len(splitter._buf) <= 1000 and len(splitter._open) <= 250
    assert splitter.feed(good) == [good]
    for _ in range(200):
        assert splitter.feed(bytes(500)) == []
    assert len(splitter._buf) == 0


def test_frames_beyond_max_size_are_garbage():
    large, small = frame(1, bytes(1000)), frame(4, b"\0\x02")
    out, splitter = split([large + small], max_size=200)
    assert out == [small] and splitter.skipped_bytes == len(large)
    assert split([large + small], max_size=len(large))[0] == [large, small]


def test_the_largest_frame():
    large = frame(1, bytes(65519))
    assert split([large[i : i + 1460] for i in range(0, len(large), 1460)])[0] == [large]


@pytest.mark.parametrize("name, frames", known_streams().items())
@pytest.mark.parametrize("step", [1, 7, 1460])
def test_streams_of_the_shapes_seen_in_the_field(name, frames, step):
    raw = b"".join(frames)
    out, splitter = split([raw[i : i + step] for i in range(0, len(raw), step)])
    assert out == frames
    assert (splitter.frames, splitter.skipped_bytes, splitter.bad_checksums) == (len(frames), 0, 0)
