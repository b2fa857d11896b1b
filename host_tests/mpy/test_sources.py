"""The signal sources on a node: no heap in fill(), time stamps, repetition, refusal of damaged files."""

import gc
import os
from array import array
from binascii import hexlify

import micropython

from boards.synthetic import Synthetic
from boards.unix.replay import Replay
from waveform.gmr import RecordingError, head_bytes

SEC = 1_790_000_000 - (1 << 31)


def gmr(samples, width, loop, **changes):
    head = {"fs_hz": 700, "f0_hz": 50, "samples": samples, "loop": loop}
    head["channels"] = [{"name": "c%d" % k, "kind": "V", "phase": "", "scale": 1.0} for k in range(width)]
    head.update(changes)
    counts = array("h", [(n * width + k) % 60000 - 30000 for n in range(samples) for k in range(width)])
    return head_bytes(head) + bytes(counts)


def put(path, raw):
    with open(path, "wb") as f:
        f.write(raw)


def locked(source, blocks):
    micropython.heap_lock()
    for _ in range(blocks):
        source.fill()
    micropython.heap_unlock()


def test_fill_allocates_nothing(path):
    put(path, gmr(400, 3, [37, 300]))
    sources = [Replay(path, 70, True), Replay(path, 350, True), Synthetic({}, 80)]
    full = {"noise_counts": 7, "modulation": (0.1, 0.1, 2.0), "harmonics": [(3, 0.05, 0)], "fs_hz": 4001}
    full.update({"steps": [(0.3, 0.9, 10), (0.5, 1.1, 0)], "trajectory": "gb-2019-08-09", "compression": 20})
    sources.append(Synthetic(full, 117))
    for source in sources:
        source.start(SEC)
        locked(source, 1000)


def test_times_and_two_blocks():
    for fs_hz, size in ((700, 64), (4001, 80), (5760, 115), (32000, 3200), (50, 50)):
        source = Synthetic({"fs_hz": fs_hz}, size)
        source.start(SEC)
        n, last = 0, None
        for _ in range(300):
            assert source.fill() == size and source.block is not last
            last = source.block
            assert (source.sec, source.ns) == (SEC + n // fs_hz, n % fs_hz * 1_000_000_000 // fs_hz)
            n += size


def test_replay_repeats_in_its_loop(path):
    for start, length, size in ((37, 300, 70), (37, 300, 337), (0, 400, 64), (399, 1, 50), (100, 7, 33)):
        put(path, gmr(400, 2, [start, length]))
        source = Replay(path, size, True)
        n = 0
        for _ in range(60):
            assert source.fill() == size
            for i in range(size):
                at = n + i if n + i < start else start + (n + i - start) % length
                assert source.block[2 * i] == 2 * at - 30000 and source.block[2 * i + 1] == 2 * at - 29999
            n += size
        source.start(SEC)
        assert source.fill() == size and source.block[0] == -30000 and source.sec == SEC
        source.close()


def test_replay_stops_at_the_end(path):
    put(path, gmr(400, 2, None))
    source = Replay(path, 64, False)
    assert [source.fill() for _ in range(9)] == [64, 64, 64, 64, 64, 64, 16, 0, 0]


def refused(path, raw, word, repeat=False):
    put(path, raw)
    try:
        Replay(path, 64, repeat)
    except RecordingError as e:
        assert path in str(e) and word in str(e), e
    else:
        raise AssertionError("accepted, expected: " + word)


def test_damaged_files_are_named(path):
    good = gmr(400, 2, [0, 400])
    refused(path, b"", "GMR1")
    refused(path, b"RIFF" + good[4:], "GMR1")
    refused(path, good[:40], "cut off in its head")
    refused(path, good[:20] + b"?" + good[21:], "checksum")
    refused(path, good[:-1], "bytes where")
    refused(path, good + b"x", "bytes where")
    refused(path, gmr(400, 2, None), "without a loop", True)
    refused(path, gmr(400, 2, [300, 200]), "outside", True)
    put(path, good)
    source = Replay(path, 64, True)
    put(path, good[: -4 * 150])  # 250 samples are left
    assert [source.fill() for _ in range(3)] == [64, 64, 64]
    try:
        source.fill()
    except RecordingError as e:
        assert "cut off at sample 192" in str(e), e
    else:
        raise AssertionError("a file that became shorter went unnoticed")


def test_configuration_mistakes_are_named():
    for config, word in (
        ({"volts": 1}, "volts"),
        ({"magnitude_pu": 2}, "16 bits"),
        ({"trajectory": "nowhere"}, "gb-2019-08-09"),
        ({"modulation": (1.0, 0, 1)}, "kx"),
        ({"ramps": [(1, 1, 1)]}, "t1"),
        ({"fs_hz": 40000}, "fs_hz"),
    ):
        try:
            Synthetic(config, 50)
        except ValueError as e:
            assert word in str(e), e
        else:
            raise AssertionError(word)


def test_memory_of_a_replay_does_not_grow_with_the_file(path):
    sizes = []
    for samples in (100, 3000):
        put(path, gmr(samples, 6, [0, samples]))
        gc.collect()
        before = gc.mem_alloc()
        source = Replay(path, 50, True)
        gc.collect()
        sizes.append(gc.mem_alloc() - before)
        source.close()
    assert sizes[1] <= sizes[0] + 64, sizes


def main():
    try:
        os.mkdir("build")
    except OSError:  # it is there
        pass
    path = "build/test_sources-%s.gmr" % hexlify(os.urandom(6)).decode()
    try:
        test_fill_allocates_nothing(path)
        test_times_and_two_blocks()
        test_replay_repeats_in_its_loop(path)
        test_replay_stops_at_the_end(path)
        test_damaged_files_are_named(path)
        test_configuration_mistakes_are_named()
        test_memory_of_a_replay_does_not_grow_with_the_file(path)
    finally:
        os.remove(path)


main()
