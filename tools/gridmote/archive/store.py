"""Every frame exactly once: an SQLite archive of C37.118 frames as they came over MQTT.

topics     one row a topic; `duplicates` counts what came again with the same bytes.
frames     one row a data frame. Its identity, the primary key, is topic + IDCODE + SOC + leap bits + FRACSEC;
           leap = bits 4 and 5 of the time quality byte (see LEAP_BITS of frame/raw.py), and the key's order is that
           of time. `frame` has all the bytes, `received_us` is when it came: UTC, microseconds since 1970.
           The topic is the live one: what comes as backlog of the same producer is the same frame.
conflicts  frames with the identity of one in `frames` but other bytes; each distinct one once.
configs    CFG-2 frames with the time from which each holds, `from_us`: see _store_config() and _place().
announced  the CFG-2 frame that describes the backlog of a topic now (`placed`: its time is known).
untimed    frames of a boot that never learned the time: live topic + boot + number; `ticks` ms since that boot.
           untimed_configs has the CFG-2 frame of such a boot.
records    METER and EVENT messages, JSON as it came, by topic + boot + number ("seq").
record_conflicts  as conflicts, of the last two.
ports      the TCP port at which an adapter with this base port serves a live topic: the first one stays.

A batch is one transaction, on the disk when `store()` returns (WAL with synchronous=FULL).
"""

import sqlite3
from collections import namedtuple

from c37118.decode import decode
from c37118.frame import CFG2, DATA, kind_of
from gridmote.archive import schema as archive_schema
from gridmote.archive.gaps import find_gaps
from gridmote.archive.trouble import in_words
from gridmote.frame.raw import grid_of, has_time, idcode_of, identity, same_config, stamp_us

LIVE, BACKFILL, UNTIMED, RECORD, PORT = range(5)  # legal values of Entry.kind
_KEY = "topic_id = ? AND idcode = ? AND soc = ? AND leap = ? AND fracsec = ?"
_RECORD_KEY = "topic_id = ? AND boot = ? AND number = ?"

# One message. topic: the live topic of its producer, or its own for a RECORD. content, by kind: a list of frames
# (LIVE, BACKFILL), (boot, [(number, ticks, frame)]) (UNTIMED), (boot, number, JSON bytes) (RECORD),
# (base port, port) (PORT, which is no message and counts as nothing).
# retained: the broker gave what it had kept, not what a node just published.
Entry = namedtuple("Entry", "topic received_us content kind retained", defaults=(LIVE, False))
# What one batch added, as counts.
Stored = namedtuple("Stored", "frames duplicates conflicts configs untimed records", defaults=(0, 0))
Row = namedtuple("Row", "idcode soc leap fracsec received_us frame")
Record = namedtuple("Record", "boot number received_us json")


class ArchiveError(Exception):
    """The file is not an archive that this version can use."""


class Archive:
    """One archive file. Used by one thread at a time; other processes may read it meanwhile.

    `lock_timeout_s`: how long a call waits for another writer before sqlite3.OperationalError.
    """

    def __init__(self, path, readonly=False, lock_timeout_s=1.0):
        self.path = path
        self._topics = {}
        try:
            if readonly:
                self._db = archive_schema.open_readonly(path, lock_timeout_s)
            else:
                self._db = sqlite3.connect(
                    path, timeout=lock_timeout_s, isolation_level=None, check_same_thread=False)
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
            archive_schema.prepare(self._db, readonly)
        except sqlite3.Error as error:
            raise ArchiveError(in_words(path, error)) from error

    def close(self):
        self._db.close()

    # Writing.

    def store(self, batch):
        """Stores `batch`, a list of Entry (or what Entry(*item) takes), all or nothing -> Stored.

        Of frames, data and CFG-2 frames are kept, others ignored. Raises sqlite3.Error when nothing was stored
        (disk full, database locked): the same batch may be stored later, or again.
        """
        db = self._db
        topics_before = dict(self._topics)
        try:
            db.execute("BEGIN IMMEDIATE")
            counts = [0] * len(Stored._fields)
            for item in batch:
                entry = Entry(*item)
                if entry.kind == PORT:
                    base, port = entry.content
                    db.execute("INSERT OR IGNORE INTO ports VALUES (?, ?, ?)", (base, entry.topic, port))
                    continue
                topic_id = self._topic_id(entry.topic)
                if entry.kind == RECORD:
                    self._store_record(topic_id, entry, counts)
                elif entry.kind == UNTIMED:
                    self._store_untimed(topic_id, entry, counts)
                else:
                    self._store_frames(topic_id, entry, counts)
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

    def _store_frames(self, topic_id, entry, counts):
        for frame in entry.content:
            kind = kind_of(frame)
            if kind == DATA:
                if entry.kind == BACKFILL:
                    counts[3] += self._place(topic_id, entry.received_us, frame)
                counts[self._store_data(topic_id, entry.received_us, frame)] += 1
            elif kind == CFG2:
                if entry.kind == LIVE or has_time(frame):
                    counts[3] += self._store_config(topic_id, entry.received_us, frame)
                # What the broker had kept says nothing about where the node is in its backlog.
                self._db.execute(
                    "INSERT OR %s INTO announced VALUES (?, 0, ?, ?)" % ("IGNORE" if entry.retained else "REPLACE"),
                    (topic_id, entry.received_us, frame))

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
        return self._duplicate(topic_id)

    def _duplicate(self, topic_id):
        self._db.execute("UPDATE topics SET duplicates = duplicates + 1 WHERE id = ?", (topic_id,))
        return 1

    def _store_config(self, topic_id, received_us, frame):
        """It holds from its own stamp, or from when it came if its sender had no time -> 1 if new, else 0.

        One that says the same as its predecessor is not repeated.
        """
        from_us = stamp_us(frame, grid_of(frame)[0]) if has_time(frame) else received_us
        return self._insert_config(topic_id, from_us, received_us, frame)

    def _insert_config(self, topic_id, from_us, received_us, frame):
        before = self._db.execute(
            "SELECT frame FROM configs WHERE topic_id = ? AND from_us <= ? "
            "ORDER BY from_us DESC, received_us DESC LIMIT 1", (topic_id, from_us)).fetchone()
        if before and same_config(before[0], frame):
            return 0
        row = (topic_id, from_us, received_us, frame)
        return self._db.execute("INSERT OR IGNORE INTO configs VALUES (?,?,?,?)", row).rowcount

    def _place(self, topic_id, received_us, frame):
        """The announced CFG-2 holds at the first data frame of the backlog after it, whatever its own stamp
        says: a node without time stamps it with none -> how many configurations were added.
        """
        announced = self._db.execute(
            "SELECT frame FROM announced WHERE topic_id = ? AND NOT placed", (topic_id,)).fetchone()
        if announced is None:
            return 0
        config, = announced
        if idcode_of(config) != idcode_of(frame) or decode(config).data_size != len(frame):
            return 0
        self._db.execute("UPDATE announced SET placed = 1 WHERE topic_id = ?", (topic_id,))
        return self._insert_config(topic_id, stamp_us(frame, grid_of(config)[0]), received_us, config)

    def _store_untimed(self, topic_id, entry, counts):
        boot, frames = entry.content
        self._db.execute(
            "INSERT OR IGNORE INTO untimed_configs SELECT topic_id, ?, received_us, frame FROM announced "
            "WHERE topic_id = ?", (boot, topic_id))
        for number, ticks, frame in frames:
            row = (topic_id, boot, number, ticks, entry.received_us, frame)
            if self._db.execute("INSERT OR IGNORE INTO untimed VALUES (?,?,?,?,?,?)", row).rowcount:
                counts[4] += 1
            else:
                counts[self._again("untimed", "frame", row[:3], entry.received_us, frame)] += 1

    def _store_record(self, topic_id, entry, counts):
        key = (topic_id, *entry.content[:2])
        text = entry.content[2]
        row = (*key, entry.received_us, text)
        if self._db.execute("INSERT OR IGNORE INTO records VALUES (?,?,?,?,?)", row).rowcount:
            counts[5] += 1
        else:
            counts[self._again("records", "json", key, entry.received_us, text)] += 1

    def _again(self, table, column, key, received_us, content):
        """-> index into Stored of what came with the key of another."""
        kept = self._db.execute("SELECT %s FROM %s WHERE %s" % (column, table, _RECORD_KEY), key).fetchone()[0]
        if kept != content and self._db.execute(
                "INSERT OR IGNORE INTO record_conflicts VALUES (?,?,?,?,?)", (*key, received_us, content)).rowcount:
            return 2
        return self._duplicate(key[0])

    # Reading back.

    def topics(self):
        """-> list of the live topics: those of frames and configurations, not those of records."""
        return [topic for topic, in self._db.execute(
            "SELECT topic FROM topics WHERE EXISTS (SELECT 1 FROM frames WHERE topic_id = id) "
            "OR EXISTS (SELECT 1 FROM configs WHERE topic_id = id) "
            "OR EXISTS (SELECT 1 FROM untimed WHERE topic_id = id) ORDER BY topic")]

    def ports(self, base):
        """-> {live topic: port} that adapters with this base port gave."""
        return dict(self._db.execute("SELECT topic, port FROM ports WHERE base = ?", (base,)))

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

    def untimed(self, topic):
        """Yields (boot, number, ticks, frame bytes) of the frames without time of a live topic, in this order."""
        return self._db.execute(
            "SELECT boot, number, ticks, frame FROM untimed JOIN topics ON id = topic_id WHERE topic = ? "
            "ORDER BY boot, number", (topic,))

    def untimed_boots(self, topic):
        """-> list of (boot, count of its frames without time)."""
        return self._db.execute(
            "SELECT boot, count(*) FROM untimed JOIN topics ON id = topic_id WHERE topic = ? GROUP BY boot "
            "ORDER BY boot", (topic,)).fetchall()

    def untimed_config(self, topic, boot):
        """-> bytes of the CFG-2 frame of a boot's frames without time, or None."""
        row = self._db.execute(
            "SELECT frame FROM untimed_configs JOIN topics ON id = topic_id WHERE topic = ? AND boot = ?",
            (topic, boot)).fetchone()
        return row and row[0]

    def records(self, topic):
        """Yields a Record for each METER or EVENT message of a topic, in the order of its producer."""
        return map(Record._make, self._db.execute(
            "SELECT boot, number, received_us, json FROM records JOIN topics ON id = topic_id WHERE topic = ? "
            "ORDER BY boot, number", (topic,)))

    def configs(self, topic):
        """-> list of (from_us, frame bytes), the CFG-2 frames of a topic in the order in which they hold."""
        return self._db.execute(
            "SELECT from_us, frame FROM configs JOIN topics ON id = topic_id WHERE topic = ? "
            "ORDER BY from_us, received_us", (topic,)).fetchall()

    def counts(self, topic):
        """-> {"frames", "duplicates", "conflicts", "configs", "untimed", "records"}: over the archive's life."""
        row = self._db.execute("SELECT id, duplicates FROM topics WHERE topic = ?", (topic,)).fetchone()
        topic_id, duplicates = row or (None, 0)
        counts = {"duplicates": duplicates}
        for table in ("frames", "conflicts", "configs", "untimed", "records", "record_conflicts"):
            counts[table] = self._db.execute(
                "SELECT count(*) FROM %s WHERE topic_id = ?" % table, (topic_id,)).fetchone()[0]
        counts["conflicts"] += counts.pop("record_conflicts")
        return counts

    def gaps(self, topic, from_soc=0, until_soc=1 << 32):
        """-> list of Gap: see find_gaps() of gaps.py."""
        return list(find_gaps(self.frames(topic, from_soc, until_soc), self.configs(topic)))
