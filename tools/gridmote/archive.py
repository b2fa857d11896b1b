"""Every frame exactly once: an SQLite archive of C37.118 frames as they came over MQTT.

topics     one row a topic; `duplicates` counts frames that came again with the same bytes.
frames     one row a data frame. Its identity, the primary key, is topic + IDCODE + SOC + leap bits + FRACSEC;
           leap = bits 4 and 5 of the time quality byte (see rawframe.LEAP_BITS), and the key's order is that
           of time. `frame` has all the bytes, `received_us` is when it came: UTC, microseconds since 1970.
conflicts  frames with the identity of one in `frames` but other bytes; each distinct one once.
configs    CFG-2 frames with the time from which each holds, `from_us`: its own stamp, or the time at which it
           came if its sender had no time. One that says the same as its predecessor is not repeated.

A batch is one transaction, on the disk when `store()` returns (WAL with synchronous=FULL).
"""

import sqlite3
from collections import namedtuple

from c37118.frame import CFG2, DATA, kind_of
from gridmote.rawframe import grid_of, has_time, idcode_of, identity, leap_step, same_config

_VERSION = 1  # PRAGMA user_version
_SCHEMA = """
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
"""
_KEY = "topic_id = ? AND idcode = ? AND soc = ? AND leap = ? AND fracsec = ?"

Stored = namedtuple("Stored", "frames duplicates conflicts configs")  # what one batch added, as counts
Row = namedtuple("Row", "idcode soc leap fracsec received_us frame")
Gap = namedtuple("Gap", "idcode after until missing")  # (soc, fracsec) on both sides; count


class ArchiveError(Exception):
    """The file is not an archive that this version can use."""


class Archive:
    """One archive file. Used by one thread at a time; other processes may read it meanwhile.

    `lock_timeout_s`: how long a call waits for another writer before sqlite3.OperationalError.
    """

    def __init__(self, path, readonly=False, lock_timeout_s=1.0):
        self._topics = {}
        try:
            if readonly:
                self._db = sqlite3.connect(
                    "file:%s?mode=ro" % str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23"),
                    uri=True, timeout=lock_timeout_s, isolation_level=None, check_same_thread=False)
            else:
                self._db = sqlite3.connect(
                    path, timeout=lock_timeout_s, isolation_level=None, check_same_thread=False)
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
            self._check_schema(readonly)
        except sqlite3.Error as error:
            raise ArchiveError("archive %s: %s" % (path, error)) from error

    def _check_schema(self, readonly):
        db = self._db
        if not readonly and self._version() == 0:
            db.execute("BEGIN IMMEDIATE")
            if self._version() == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in _SCHEMA.strip().split(";\n"):
                    db.execute(statement.rstrip(";"))
                db.execute("PRAGMA user_version = %d" % _VERSION)
            db.execute("COMMIT")
        if self._version() != _VERSION:
            raise sqlite3.DatabaseError("no archive of version %d" % _VERSION)

    def _version(self):
        return self._db.execute("PRAGMA user_version").fetchone()[0]

    def close(self):
        self._db.close()

    # Writing.

    def store(self, batch):
        """Stores `batch`, a list of (topic, received_us, [frame bytes]), all or nothing -> Stored.

        Data and CFG-2 frames are kept, others ignored. Raises sqlite3.Error when nothing was stored
        (disk full, database locked): the same batch may be stored later, or again.
        """
        db = self._db
        topics_before = dict(self._topics)
        try:
            db.execute("BEGIN IMMEDIATE")
            counts = [0, 0, 0, 0]
            for topic, received_us, frames in batch:
                topic_id = self._topic_id(topic)
                for frame in frames:
                    kind = kind_of(frame)
                    if kind == DATA:
                        counts[self._store_data(topic_id, received_us, frame)] += 1
                    elif kind == CFG2:
                        counts[3] += self._store_config(topic_id, received_us, frame)
            db.execute("COMMIT")
        except BaseException:
            self._topics = topics_before
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return Stored(*counts)

    def _topic_id(self, topic):
        found = self._topics.get(topic)
        if found is None:
            self._db.execute("INSERT OR IGNORE INTO topics (topic) VALUES (?)", (topic,))
            found = self._db.execute("SELECT id FROM topics WHERE topic = ?", (topic,)).fetchone()[0]
            self._topics[topic] = found
        return found

    def _store_data(self, topic_id, received_us, frame):
        """-> index into Stored of what the frame was."""
        key = (topic_id, *identity(frame))
        row = (*key, received_us, frame)
        if self._db.execute("INSERT OR IGNORE INTO frames VALUES (?,?,?,?,?,?,?)", row).rowcount:
            return 0
        kept = self._db.execute("SELECT frame FROM frames WHERE " + _KEY, key).fetchone()[0]
        if kept != frame:
            new = self._db.execute("INSERT OR IGNORE INTO conflicts VALUES (?,?,?,?,?,?,?)", row).rowcount
            if new:
                return 2
        self._db.execute("UPDATE topics SET duplicates = duplicates + 1 WHERE id = ?", (topic_id,))
        return 1

    def _store_config(self, topic_id, received_us, frame):
        """-> 1 if it was new, else 0."""
        from_us = received_us
        if has_time(frame):
            _, soc, _, fracsec = identity(frame)
            from_us = soc * 1_000_000 + fracsec * 1_000_000 // grid_of(frame)[0]
        before = self._db.execute(
            "SELECT frame FROM configs WHERE topic_id = ? AND from_us <= ? "
            "ORDER BY from_us DESC, received_us DESC LIMIT 1", (topic_id, from_us)).fetchone()
        if before and same_config(before[0], frame):
            return 0
        row = (topic_id, from_us, received_us, frame)
        return self._db.execute("INSERT OR IGNORE INTO configs VALUES (?,?,?,?)", row).rowcount

    # Reading back.

    def topics(self):
        return [topic for topic, in self._db.execute("SELECT topic FROM topics ORDER BY topic")]

    def frames(self, topic, from_soc=0, until_soc=1 << 32):
        """Yields a Row for each data frame with from_soc <= SOC < until_soc, by IDCODE and time."""
        return self._rows("frames", topic, from_soc, until_soc)

    def conflicts(self, topic):
        """Yields a Row for each frame of a topic that came with the identity of another."""
        return self._rows("conflicts", topic, 0, 1 << 32)

    def _rows(self, table, topic, from_soc, until_soc):
        return map(Row._make, self._db.execute(
            "SELECT idcode, soc, leap, fracsec, received_us, frame FROM %s JOIN topics ON id = topic_id "
            "WHERE topic = ? AND soc >= ? AND soc < ? ORDER BY idcode, soc, leap, fracsec" % table,
            (topic, from_soc, until_soc)))

    def configs(self, topic):
        """-> list of (from_us, frame bytes), the CFG-2 frames of a topic in the order in which they hold."""
        return self._db.execute(
            "SELECT from_us, frame FROM configs JOIN topics ON id = topic_id WHERE topic = ? "
            "ORDER BY from_us, received_us", (topic,)).fetchall()

    def counts(self, topic):
        """-> {"frames", "duplicates", "conflicts", "configs"}: of a topic, over the archive's whole life."""
        row = self._db.execute("SELECT id, duplicates FROM topics WHERE topic = ?", (topic,)).fetchone()
        topic_id, duplicates = row or (None, 0)
        counts = {"duplicates": duplicates}
        for table in ("frames", "conflicts", "configs"):
            counts[table] = self._db.execute(
                "SELECT count(*) FROM %s WHERE topic_id = ?" % table, (topic_id,)).fetchone()[0]
        return counts

    def gaps(self, topic, from_soc=0, until_soc=1 << 32):
        """-> list of Gap: where between first and last frame the grid of DATA_RATE lacks frames.

        Across a change of DATA_RATE or TIME_BASE nothing is counted. Leap seconds are allowed for.
        Without a configuration of its IDCODE a frame is left out.
        """
        configs = [(from_us, idcode_of(frame), grid_of(frame)) for from_us, frame in self.configs(topic)]
        gaps = []
        last = None  # (idcode, grid, number on the grid, soc, fracsec, leap) of the frame before
        shift_s = 0  # leap seconds since the first frame
        for row in self.frames(topic, from_soc, until_soc):
            grid = _grid_at(configs, row.idcode, row.soc, row.fracsec)
            if grid is None:
                continue
            if last is None or last[:2] != (row.idcode, grid):
                shift_s = 0
                last = None
            elif last[5] & 0x10 and row.leap & 0x20 and not last[5] & 0x20:
                shift_s += leap_step(row.frame)
            number = _grid_number(grid, row.soc + shift_s, row.fracsec)
            if last is not None and number - last[2] > 1:
                gaps.append(Gap(row.idcode, last[3:5], (row.soc, row.fracsec), number - last[2] - 1))
            last = (row.idcode, grid, number, row.soc, row.fracsec, row.leap)
        return gaps


def _grid_at(configs, idcode, soc, fracsec):
    """-> (TIME_BASE, DATA_RATE) for a frame: of the last configuration from before it, else the first."""
    found = None
    for from_us, config_idcode, grid in configs:
        if config_idcode == idcode:
            if found is not None and from_us > soc * 1_000_000 + fracsec * 1_000_000 // grid[0]:
                break
            found = grid
    return found


def _grid_number(grid, soc, fracsec):
    time_base, rate = grid
    if rate < 0:
        return soc // -rate
    return soc * rate + (fracsec * rate + time_base // 2) // time_base
