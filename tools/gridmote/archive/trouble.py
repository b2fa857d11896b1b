"""What SQLite says of an archive file, in words for whoever has the file: which one, what is wrong, what next."""

import shlex
import sqlite3

_NEXT = {  # SQLite's primary result code: what to do; {file} as a shell takes it
    sqlite3.SQLITE_CORRUPT:
        "a copy is whole only with {file}-wal beside it; if it is damaged, `sqlite3 {file} .recover | sqlite3 NEW` "
        "saves what can be read (Debian's sqlite3 cannot, the one from sqlite.org can)",
    sqlite3.SQLITE_NOTADB:
        "name the SQLite file that `gridmote pdc --archive` wrote; if it is this one, its beginning is damaged: "
        "go back to a copy",
    sqlite3.SQLITE_CANTOPEN: "is its folder there, and may you write in it?",
    sqlite3.SQLITE_BUSY: "another program is writing to it: try again, or end that one",
}


def in_words(path, error):
    """An sqlite3.Error -> one line."""
    code = getattr(error, "sqlite_errorcode", None)  # errors of our own have none
    more = _NEXT.get(code & 0xFF) if code is not None else None
    said = "archive %s: %s" % (path, error)
    return "%s: %s" % (said, more.format(file=shlex.quote(str(path)))) if more else said
