"""The archive: what makes a frame the same, what is kept, what is missing, what happens when it cannot."""

import contextlib
import os
import queue
import sqlite3
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c37118.frame import FrameError
from gridmote.archive.store import Archive, ArchiveError, Entry, Stored
from gridmote.archive.writer import ArchiveWriter
from gridmote.frame.raw import as_cfg1, identity, whole_frames
from host_tests.pdc_rig import SOC, WAIT_S, Pmu
from host_tests.property import examples

TOPIC = "area/secondary-station/1/PMU/7"
PMU = Pmu()


def store(archive, *frames, topic=TOPIC, received_us=1):
    return archive.store([(topic, received_us, list(frames))])


@pytest.fixture
def archive(tmp_path):
    opened = Archive(tmp_path / "a.sqlite")
    yield opened
    opened.close()


# Identity.

tqs = st.integers(0, 255)
frames = st.builds(
    lambda idcode, number, tq, freq: Pmu(idcode).frame(number, tq=tq, freq=freq),
    st.sampled_from([7, 8]), st.integers(0, 3), tqs, st.integers(0, 1))


@examples(150)
@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), frames), max_size=40), st.integers(1, 7))
def test_any_stream_is_kept_exactly_once(messages, batch):
    """Against a model in plain Python: the first of each identity, every other content once as conflict."""
    kept, conflicts, duplicates = {}, set(), 0
    for topic, frame in messages:
        soc, leap, fracsec = frame[6:10], frame[10] >> 4 & 3, frame[11:14]
        key = (topic, frame[4:6], soc, leap, fracsec)
        if kept.setdefault(key, frame) is frame:
            continue
        if kept[key] == frame or (key, frame) in conflicts:
            duplicates += 1
        else:
            conflicts.add((key, frame))
    archive = Archive(":memory:")
    total = Stored(0, 0, 0, 0)
    for start in range(0, len(messages), batch):
        stored = archive.store([(topic, 1, [frame]) for topic, frame in messages[start:start + batch]])
        total = Stored(*map(sum, zip(total, stored, strict=True)))
    assert total == Stored(len(kept), duplicates, len(conflicts), 0)
    for topic in ("a", "b"):
        rows = list(archive.frames(topic))
        assert {row.frame for row in rows} == {frame for key, frame in kept.items() if key[0] == topic}
        assert [row[:4] for row in rows] == sorted(identity(row.frame) for row in rows)
        assert {row.frame for row in archive.conflicts(topic)} == {
            frame for key, frame in conflicts if key[0] == topic}
    archive.close()


@given(tqs, tqs)
def test_only_the_pending_and_occurred_bits_of_the_time_quality_are_identity(one, other):
    same = identity(PMU.frame(0, tq=one)) == identity(PMU.frame(0, tq=other))
    assert same == (one & 0x30 == other & 0x30)


def test_a_batch_stored_twice_changes_nothing(archive):
    batch = [PMU.cfg2, PMU.frame(0), PMU.frame(1)]
    assert store(archive, *batch) == Stored(2, 0, 0, 1)
    assert store(archive, *batch, received_us=2) == Stored(0, 2, 0, 0)
    assert [row.received_us for row in archive.frames(TOPIC)] == [1, 1]
    assert archive.counts(TOPIC) == {"frames": 2, "duplicates": 2, "conflicts": 0, "configs": 1,
                                      "untimed": 0, "records": 0}
    assert set(archive.counts("unheard").values()) == {0}


# Payloads.

@given(st.lists(st.integers(0, 3), max_size=5), st.binary(max_size=20))
def test_whole_frames_or_an_error(numbers, tail):
    good = [PMU.frame(i) for i in numbers]
    assert whole_frames(b"".join(good)) == good
    if tail:
        with pytest.raises(FrameError):
            whole_frames(b"".join(good) + tail)


@given(st.integers(0, 8 * len(PMU.cfg2) - 1))
def test_any_flipped_bit_is_found(bit):
    broken = bytearray(PMU.cfg2)
    broken[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError):
        whole_frames(bytes(broken))


def test_cfg1_is_cfg2_by_another_name():
    PMU.config.kind = 2
    try:
        assert as_cfg1(PMU.cfg2) == PMU.config.encode()
    finally:
        PMU.config.kind = 3


# Configurations and gaps.

def config(pmu, soc, tq=0):
    pmu.config.soc, pmu.config.tq = soc, tq
    return pmu.config.encode()


def test_configurations_with_the_time_from_which_they_hold(archive):
    slow = Pmu(rate=10)
    a, a_later, b, a_again = (config(Pmu(), SOC), config(Pmu(), SOC + 5), config(slow, SOC + 9),
                              config(Pmu(), SOC + 20))
    for frame in (a, a, a_later, b, b, a_again, a_again):
        store(archive, frame)
    assert archive.configs(TOPIC) == [(soc * 1_000_000, frame) for soc, frame in (
        (SOC, a), (SOC + 9, b), (SOC + 20, a_again))]
    no_time = config(slow, 5, tq=0x0F)
    store(archive, no_time, received_us=(SOC + 30) * 1_000_000)
    assert archive.configs(TOPIC)[-1] == ((SOC + 30) * 1_000_000, no_time)


@examples()
@given(st.sets(st.integers(0, 120), min_size=1), st.sampled_from([1, 10, 25, 30, 50, 60]))
def test_missing_grid_points(present, rate):
    pmu = Pmu(rate=rate)
    archive = Archive(":memory:")
    store(archive, *[pmu.frame(i) for i in present], pmu.cfg2)
    gaps = archive.gaps(TOPIC)
    numbers = sorted(present)
    steps = [b - a - 1 for a, b in zip(numbers, numbers[1:], strict=False)]
    assert [gap.missing for gap in gaps] == [step for step in steps if step]
    for gap in gaps:
        assert identity(pmu.frame(0))[0] == gap.idcode and gap.after < gap.until
    archive.close()


@pytest.mark.parametrize("lost", [set(), {110}, set(range(100, 150))])
def test_an_inserted_leap_second_is_no_gap_and_hides_none(archive, lost):
    """59 s (pending), then 60 s with the SOC of the next second and still pending, then that second again."""
    stream = [PMU.frame(i, tq=0x10) for i in range(50, 100)]
    stream += [PMU.frame(i, tq=0x10) for i in range(100, 150)]  # 23:59:60
    stream += [PMU.frame(i, tq=0x20) for i in range(100, 200)]  # 00:00:00 and on
    kept = [frame for i, frame in enumerate(stream, 50) if i not in lost]
    store(archive, PMU.cfg2, *kept)
    assert archive.counts(TOPIC)["frames"] == len(kept)
    assert sum(gap.missing for gap in archive.gaps(TOPIC)) == len(lost)


def test_a_deleted_leap_second_is_no_gap(archive):
    frames = [PMU.frame(i, tq=0x50) for i in range(50)] + [PMU.frame(i, tq=0x60) for i in range(100, 150)]
    store(archive, PMU.cfg2, *frames)
    assert archive.gaps(TOPIC) == []


def test_gaps_with_a_frame_every_some_seconds_and_across_a_change(archive):
    pmu = Pmu(rate=1)
    pmu.config.rate = -10
    store(archive, pmu.config.encode(), *[pmu.frame(i) for i in (0, 10, 40)])
    fast = Pmu(rate=50)
    fast.config.soc = SOC + 100
    store(archive, fast.config.encode(), *[fast.frame(100 * 50 + i) for i in (0, 1, 3)])
    assert [gap.missing for gap in archive.gaps(TOPIC)] == [2, 1]


def test_frames_by_time(archive):
    store(archive, *[PMU.frame(i) for i in range(0, 500)])
    rows = list(archive.frames(TOPIC, SOC + 2, SOC + 4))
    assert [row.frame for row in rows] == [PMU.frame(i) for i in range(100, 200)]


# When it cannot.

def test_a_full_disk_stores_nothing_of_a_batch_and_all_of_it_later(archive):
    store(archive, PMU.cfg2, PMU.frame(0))
    archive._db.execute("PRAGMA max_page_count = 20")
    batch = [("new/topic", 1, [PMU.frame(i) for i in range(2000)])]
    with pytest.raises(sqlite3.OperationalError):
        archive.store(batch)
    assert archive.topics() == [TOPIC]
    assert store(archive, PMU.frame(1)).frames == 1
    archive._db.execute("PRAGMA max_page_count = 100000")
    assert archive.store(batch).frames == 2000
    assert archive.counts("new/topic")["frames"] == 2000


def test_no_archive(tmp_path):
    text = tmp_path / "text.sqlite"
    text.write_text("no database, but long enough to be looked at as if it were one" * 20)
    other = tmp_path / "other.sqlite"
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE mine (x)")
    database.close()
    for path in (text, other, tmp_path, tmp_path / "absent" / "a.sqlite"):
        with pytest.raises(ArchiveError, match=path.name):
            Archive(path)
    with pytest.raises(ArchiveError):
        Archive(tmp_path / "absent.sqlite", readonly=True)


def test_in_a_folder_that_nobody_may_write_to(archive_file):
    path, readable = archive_file
    with readable(), closing(Archive(path, readonly=True)) as archive:
        assert [row.frame for row in archive.frames(TOPIC)] == [PMU.frame(0)]
    path.with_name(path.name + "-wal").write_bytes(b"something")
    with readable(), pytest.raises(ArchiveError, match="read-only.*a.sqlite-wal"):
        Archive(path, readonly=True)


@pytest.fixture
def archive_file():
    """An archive of one frame and a context in which its folder is read-only, for root too."""
    @contextlib.contextmanager
    def readable():
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)
            folder.chmod(0o755)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "a.sqlite"
        with closing(Archive(path)) as made:
            made.store([Entry(TOPIC, 1, [PMU.cfg2, PMU.frame(0)])])
        yield path, readable


class Failing:
    """An archive that refuses until told otherwise."""

    def __init__(self):
        self.working = threading.Event()
        self.stored = []

    def store(self, batch):
        if not self.working.is_set():
            raise sqlite3.OperationalError("database or disk is full")
        self.stored += batch
        return Stored(len(batch), 0, 0, 0)


def test_the_writer_acknowledges_only_what_is_stored_and_says_what_it_refused():
    archive, acked, told, recovered = Failing(), queue.Queue(), queue.Queue(), queue.Queue()
    writer = ArchiveWriter(archive, lambda receipts, _: [acked.put(r) for r in receipts], told.put,
                           recovered.put, retry_s=0.01, waiting_max=50)
    writer.start()
    assert writer.put(Entry("t", 1, [b""]), "first")
    assert "full" in str(told.get(timeout=WAIT_S))
    taken = sum(writer.put(Entry("t", 1, [b""]), i) for i in range(100))
    assert taken == 50 and acked.empty()
    archive.working.set()
    assert recovered.get(timeout=WAIT_S) == 50
    writer.stop()
    assert told.empty()  # said once, not at every attempt
    assert [acked.get_nowait() for _ in range(51)] == ["first", *range(50)]
    assert len(archive.stored) == 51


def test_the_writer_ends_although_the_archive_never_recovers():
    archive, acked = Failing(), []
    writer = ArchiveWriter(archive, lambda receipts, _: acked.extend(receipts), lambda _: None,
                           lambda _: None, retry_s=WAIT_S)
    writer.start()
    writer.put(Entry("t", 1, [b""]), 1)
    writer.stop()
    assert acked == []
