"""The archive's second version: backlog, frames without time, METER and EVENT, and files of the first version."""

import json
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmote.archive.store import BACKFILL, PORT, RECORD, UNTIMED, Archive, ArchiveError, Entry, Stored
from host_tests.pdc_rig import SOC, Pmu
from host_tests.property import examples

TOPIC = "area/secondary-station/1/PMU/7"
EVENTS = "area/secondary-station/1/EVENT/7"
PMU = Pmu()

# A file of version 1 as it was made then, word for word.
VERSION_1 = """
CREATE TABLE topics (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL UNIQUE, duplicates INTEGER NOT NULL DEFAULT 0);
CREATE TABLE frames (
    topic_id INTEGER NOT NULL, idcode INTEGER NOT NULL, soc INTEGER NOT NULL, leap INTEGER NOT NULL,
    fracsec INTEGER NOT NULL, received_us INTEGER NOT NULL, frame BLOB NOT NULL,
    PRIMARY KEY (topic_id, idcode, soc, leap, fracsec)) WITHOUT ROWID;
CREATE TABLE conflicts (
    topic_id INTEGER NOT NULL, idcode INTEGER NOT NULL, soc INTEGER NOT NULL, leap INTEGER NOT NULL,
    fracsec INTEGER NOT NULL, received_us INTEGER NOT NULL, frame BLOB NOT NULL,
    PRIMARY KEY (topic_id, idcode, soc, leap, fracsec, frame)) WITHOUT ROWID;
CREATE TABLE configs (
    topic_id INTEGER NOT NULL, from_us INTEGER NOT NULL, received_us INTEGER NOT NULL, frame BLOB NOT NULL,
    PRIMARY KEY (topic_id, from_us, frame)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


@pytest.fixture
def archive(tmp_path):
    opened = Archive(tmp_path / "a.sqlite")
    yield opened
    opened.close()


def live(*frames, received_us=1, retained=False):
    return Entry(TOPIC, received_us, list(frames), retained=retained)


def backfill(*frames, received_us=1):
    return Entry(TOPIC, received_us, list(frames), BACKFILL)


def untimed(boot, *records):
    return Entry(TOPIC, 1, (boot, list(records)), UNTIMED)


def event(boot, number, **fields):
    return Entry(EVENTS, 1, (boot, number, json.dumps({"boot": boot, "seq": number, **fields}).encode()), RECORD)


def test_what_came_live_and_again_by_backfill_is_one_frame(archive):
    assert archive.store([live(PMU.cfg2, PMU.frame(0), PMU.frame(1))]).frames == 2
    frames = [PMU.frame(1), PMU.frame(2), PMU.frame(1, freq=5)]
    assert archive.store([backfill(*frames)]) == Stored(1, 1, 1, 0)
    assert [row.frame for row in archive.frames(TOPIC)] == [PMU.frame(i) for i in range(3)]
    assert archive.topics() == [TOPIC]


numbers = st.integers(0, 3)
messages = st.one_of(
    st.builds(lambda kind, i, freq: Entry(TOPIC, 1, [PMU.frame(i, freq=freq)], kind),
              st.sampled_from([0, BACKFILL]), numbers, st.integers(0, 1)),
    st.builds(lambda boot, i, freq: untimed(boot, (i, 20, PMU.frame(i, freq=freq)), (i + 1, 40, PMU.frame(i))),
              numbers, numbers, st.integers(0, 1)),
    st.builds(lambda boot, i, what: event(boot, i, event=what), numbers, numbers, st.sampled_from(["a", "b"])),
)


@examples(100)
@given(st.lists(messages, max_size=30), st.integers(1, 5))
def test_everything_exactly_once_and_nothing_lost(stream, batch):
    """Against a model: the first of each identity, every other content once as conflict, the rest duplicates."""
    kept, conflicts, duplicates = {}, set(), 0
    for entry in stream:
        if entry.kind == UNTIMED:
            boot, records = entry.content
            parts = [(("untimed", boot, number), frame) for number, _, frame in records]
        elif entry.kind == RECORD:
            parts = [(("record", *entry.content[:2]), entry.content[2])]
        else:
            parts = [(("frame", entry.content[0][4:14]), entry.content[0])]
        for key, content in parts:
            if kept.setdefault(key, content) == content and (key, content) not in conflicts:
                duplicates += kept[key] is not content
            elif (key, content) in conflicts:
                duplicates += 1
            else:
                conflicts.add((key, content))
    archive = Archive(":memory:")
    for start in range(0, len(stream), batch):
        archive.store(stream[start:start + batch])
    assert {row.frame for row in archive.frames(TOPIC)} == {c for k, c in kept.items() if k[0] == "frame"}
    assert {("untimed", boot, number): frame for boot, number, _, frame in archive.untimed(TOPIC)} == {
        k: c for k, c in kept.items() if k[0] == "untimed"}
    assert {("record", r.boot, r.number): r.json for r in archive.records(EVENTS)} == {
        k: c for k, c in kept.items() if k[0] == "record"}
    counts = [archive.counts(topic) for topic in (TOPIC, EVENTS)]
    assert sum(each["conflicts"] for each in counts) == len(conflicts)
    again = archive.store(stream)
    assert again[0] == again[2] == again.untimed == again.records == 0
    archive.close()


def test_two_boots_without_a_clock_write_the_same_stamps(archive):
    """The same SOC twice: as live frames the second would be a conflict, apart they are two."""
    first = untimed(5, *[(1 << 40 | i, 20 * i, PMU.frame(i)) for i in range(3)])
    second = untimed(6, *[(2 << 40 | i, 20 * i, PMU.frame(i)) for i in range(3)])
    assert archive.store([first, second]).untimed == 6
    assert archive.store([first, second]) == Stored(0, 6, 0, 0)
    assert archive.untimed_boots(TOPIC) == [(5, 3), (6, 3)]
    assert list(archive.frames(TOPIC)) == []
    assert archive.counts(TOPIC)["untimed"] == 6


# From when a configuration holds.

def cfg2(soc, tq=0, **options):
    pmu = Pmu(**options)
    pmu.config.soc, pmu.config.tq = soc, tq
    return pmu.config.encode()


def test_a_configuration_of_the_backlog_holds_from_its_first_frame_if_it_has_no_time(archive):
    """One boot has configuration A; the next, without a clock, B. An outage spans both; then B goes on live."""
    wide = Pmu(analogs=1)
    a, b = cfg2(SOC), cfg2(3, tq=0x0F, analogs=1)
    now_us = (SOC + 100) * 1_000_000
    archive.store([live(a), live(PMU.frame(0))])
    archive.store([live(b, received_us=now_us), live(wide.frame(5000))])
    archive.store([backfill(a), backfill(PMU.frame(1), PMU.frame(2), received_us=now_us)])
    archive.store([backfill(b), backfill(wide.frame(60 * 50), wide.frame(60 * 50 + 1), received_us=now_us)])
    assert archive.configs(TOPIC)[:2] == [(SOC * 1_000_000, a), ((SOC + 60) * 1_000_000, b)]


def test_the_live_configuration_describes_a_backlog_that_begins_without_one(archive):
    b = cfg2(3, tq=0x0F)
    archive.store([live(b, received_us=(SOC + 100) * 1_000_000)])
    archive.store([backfill(PMU.frame(50), PMU.frame(51))])
    assert archive.configs(TOPIC)[0] == ((SOC + 1) * 1_000_000, b)


def test_what_the_broker_had_retained_says_nothing_about_the_backlog(archive):
    """The adapter subscribes again in the middle of a node's backlog, and gets the live configuration again."""
    a, b = cfg2(3, tq=0x0F), cfg2(SOC + 100, rate=25)
    archive.store([live(b, received_us=(SOC + 100) * 1_000_000), backfill(a)])
    archive.store([live(b, received_us=(SOC + 101) * 1_000_000, retained=True)])
    archive.store([backfill(PMU.frame(0))])
    assert archive.configs(TOPIC) == [(SOC * 1_000_000, a), ((SOC + 100) * 1_000_000, b)]


def test_the_configuration_of_frames_without_time_is_known(archive):
    a, b = cfg2(3, tq=0x0F), cfg2(SOC, analogs=1)
    archive.store([live(b), backfill(a), untimed(5, (1, 20, PMU.frame(0))), untimed(5, (2, 40, PMU.frame(1)))])
    archive.store([backfill(b), untimed(6, (9, 20, Pmu(analogs=1).frame(0)))])
    assert archive.untimed_config(TOPIC, 5) == a
    assert archive.untimed_config(TOPIC, 6) == b
    assert archive.untimed_config(TOPIC, 7) is None


# Gaps.

def test_a_clock_that_was_not_set_and_then_is_makes_no_gap_of_fifty_years(archive):
    frames = [Pmu().frame(i - SOC * 50 + 40, tq=0x0F) for i in range(50)]  # half a minute after 1970
    archive.store([live(PMU.cfg2, *frames, *[PMU.frame(i) for i in (0, 1, 3)])])
    gap, = archive.gaps(TOPIC)
    assert gap.missing == 1
    assert gap.first_us == gap.last_us == SOC * 1_000_000 + 40_000


# Versions.

def version_1(path):
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_1)
        database.execute("INSERT INTO topics VALUES (1, ?, 4)", (TOPIC,))
        database.execute("INSERT INTO configs VALUES (1, ?, 1, ?)", (SOC * 1_000_000, PMU.cfg2))
        for i in (0, 1, 3):
            frame = PMU.frame(i)
            database.execute("INSERT INTO frames VALUES (1, 7, ?, 0, ?, 1, ?)", (SOC, i * 20_000, frame))
        database.commit()
    return path


def test_a_file_of_version_1_is_upgraded_in_place(tmp_path):
    path = version_1(tmp_path / "old.sqlite")
    for _ in range(2):
        with closing(Archive(path)) as archive:
            archive.store([backfill(PMU.frame(3)), event(1, 1, event="start")])
            assert [row.frame for row in archive.frames(TOPIC)] == [PMU.frame(i) for i in (0, 1, 3)]
            assert archive.configs(TOPIC) == [(SOC * 1_000_000, PMU.cfg2)]
            assert [gap.missing for gap in archive.gaps(TOPIC)] == [1]
            assert len(list(archive.records(EVENTS))) == 1
            archive.store([Entry(TOPIC, 0, (4712, 4713), PORT), Entry(TOPIC, 0, (4712, 4799), PORT)])
            assert (archive.ports(4712), archive.ports(5000)) == ({TOPIC: 4713}, {})
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (3,)
        assert database.execute("SELECT duplicates FROM topics ORDER BY id").fetchall() == [(6,), (1,)]


def test_a_reader_leaves_a_file_of_version_1_as_it_is(tmp_path):
    path = version_1(tmp_path / "old.sqlite")
    before = path.read_bytes()
    with closing(Archive(path, readonly=True)) as archive:
        assert archive.counts(TOPIC) == {"frames": 3, "duplicates": 4, "conflicts": 0, "configs": 1,
                                         "untimed": 0, "records": 0}
        assert archive.ports(4712) == {}
        assert archive.topics() == [TOPIC] and list(archive.records(EVENTS)) == []
    assert path.read_bytes() == before


def test_a_file_of_a_later_version_is_left_alone(tmp_path):
    path = tmp_path / "new.sqlite"
    Archive(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 4")
    for readonly in (False, True):
        with pytest.raises(ArchiveError, match="later"):
            Archive(path, readonly)
