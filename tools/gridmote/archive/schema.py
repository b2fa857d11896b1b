"""The tables of an archive file, how an older file becomes one of this version, and opening one to read."""

import sqlite3
from pathlib import Path

VERSION = 3  # PRAGMA user_version
_FRAME_COLUMNS = (
    "topic_id INTEGER NOT NULL, idcode INTEGER NOT NULL, soc INTEGER NOT NULL, leap INTEGER NOT NULL, "
    "fracsec INTEGER NOT NULL, received_us INTEGER NOT NULL, frame BLOB NOT NULL")
_TABLES = {  # version in which each came: {name: columns}
    1: {
        "topics": "(id INTEGER PRIMARY KEY, topic TEXT NOT NULL UNIQUE, duplicates INTEGER NOT NULL DEFAULT 0)",
        "frames": "(%s, PRIMARY KEY (topic_id, idcode, soc, leap, fracsec)) WITHOUT ROWID" % _FRAME_COLUMNS,
        "conflicts":
            "(%s, PRIMARY KEY (topic_id, idcode, soc, leap, fracsec, frame)) WITHOUT ROWID" % _FRAME_COLUMNS,
        "configs":
            "(topic_id INTEGER NOT NULL, from_us INTEGER NOT NULL, received_us INTEGER NOT NULL, "
            "frame BLOB NOT NULL, PRIMARY KEY (topic_id, from_us, frame)) WITHOUT ROWID",
    },
    2: {
        "announced":
            "(topic_id INTEGER PRIMARY KEY, placed INTEGER NOT NULL, received_us INTEGER NOT NULL, "
            "frame BLOB NOT NULL)",
        "untimed":
            "(topic_id INTEGER NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL, ticks INTEGER NOT NULL, "
            "received_us INTEGER NOT NULL, frame BLOB NOT NULL, "
            "PRIMARY KEY (topic_id, boot, number)) WITHOUT ROWID",
        "untimed_configs":
            "(topic_id INTEGER NOT NULL, boot INTEGER NOT NULL, received_us INTEGER NOT NULL, "
            "frame BLOB NOT NULL, PRIMARY KEY (topic_id, boot)) WITHOUT ROWID",
        "records":
            "(topic_id INTEGER NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL, "
            "received_us INTEGER NOT NULL, json BLOB NOT NULL, PRIMARY KEY (topic_id, boot, number)) WITHOUT ROWID",
        "record_conflicts":
            "(topic_id INTEGER NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL, "
            "received_us INTEGER NOT NULL, content BLOB NOT NULL, "
            "PRIMARY KEY (topic_id, boot, number, content)) WITHOUT ROWID",
    },
    3: {
        "ports":
            "(base INTEGER NOT NULL, topic TEXT NOT NULL, port INTEGER NOT NULL, "
            "PRIMARY KEY (base, topic)) WITHOUT ROWID",
    },
}


def open_readonly(path, timeout_s):
    """-> read-only connection. Raises sqlite3.Error.

    Beside a writer SQLite needs files of its own in the folder; where it can make none the file is taken as one
    that nobody changes, unless a write-ahead log says that the file alone is not all.
    """
    name = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")

    def connect(options):
        db = sqlite3.connect(
            "file:%s?%s" % (name, options), uri=True, timeout=timeout_s, isolation_level=None,
            check_same_thread=False)
        try:
            _version(db)
        except sqlite3.Error:
            db.close()
            raise
        return db

    try:
        return connect("mode=ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        log = Path(str(path) + "-wal")
        if log.exists() and log.stat().st_size:
            raise sqlite3.OperationalError(
                "its folder is read-only and %s holds a part of it: copy both to where you may write"
                % log.name) from error
        return connect("mode=ro&immutable=1")


def prepare(db, readonly):
    """Makes the tables of an empty file, upgrades an older one in place, in one transaction.

    A read-only connection sees an older file as if it had been upgraded. Raises sqlite3.DatabaseError for
    a file that is no archive, or one of a later version.
    """
    version = _version(db)
    if not readonly and version < VERSION:
        db.execute("BEGIN IMMEDIATE")
        version = _version(db)  # another process may have been faster
        if version or not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            _create(db, version, "TABLE")
            db.execute("PRAGMA user_version = %d" % VERSION)
        db.execute("COMMIT")
        version = _version(db)
    if version > VERSION:
        raise sqlite3.DatabaseError("made by a later Gridmote (version %d, this one knows %d)" % (version, VERSION))
    if version == 0:
        raise sqlite3.DatabaseError("no archive of Gridmote: name one that `gridmote pdc --archive` made")
    if version < VERSION:
        _create(db, version, "TEMP TABLE")  # empty, of this connection: the file stays as it is


def _create(db, version, what):
    for number in range(version + 1, VERSION + 1):
        for name, columns in _TABLES[number].items():
            db.execute("CREATE %s %s %s" % (what, name, columns))


def _version(db):
    return db.execute("PRAGMA user_version").fetchone()[0]
