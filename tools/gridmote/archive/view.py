"""What the commands that read an archive share: opening it, naming topics, times in UTC, a word of progress."""

import sqlite3
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from gridmote.archive.store import Archive, ArchiveError
from gridmote.archive.trouble import in_words
from gridmote.fault import Fault


@contextmanager
def opened(path):
    """Lends an Archive, read-only; Fault, in words for whoever typed the path, also for what SQLite says later."""
    if Path(path).is_dir():
        raise Fault("%s is a directory; name the archive file in it" % path)
    if not Path(path).is_file():
        raise Fault("%s: no such file; `gridmote pdc --archive %s` makes one" % (path, path))
    try:
        with closing(Archive(path, readonly=True)) as archive:
            yield archive
    except ArchiveError as error:
        raise Fault(str(error)) from None
    except sqlite3.Error as error:
        raise Fault(in_words(path, error)) from error


def topics_of(archive, path, wanted):
    """-> live topics, all of them or the one wanted; Fault when there is none, or not that one."""
    topics = archive.topics()
    if not topics:
        raise Fault("%s is empty: no PMU has been heard yet" % path)
    if wanted is None:
        return topics
    if wanted not in topics:
        raise Fault("%s has no topic %s, but:\n%s" % (path, wanted, "\n".join("  " + topic for topic in topics)))
    return [wanted]


def utc(us):
    """Microseconds since 1970 -> ISO 8601 with microseconds and Z."""
    second = datetime.fromtimestamp(us // 1_000_000, UTC).replace(tzinfo=None)
    return "%s.%06dZ" % (second.isoformat(), us % 1_000_000)


def parse_time(text):
    """ISO 8601 (UTC unless it says otherwise) or seconds since 1970 -> microseconds since 1970; Fault."""
    try:
        if text.isdecimal():
            return int(text) * 1_000_000
        given = datetime.fromisoformat(text)
    except ValueError:
        raise Fault("time %r: expected something like 2026-05-01T12:30:00Z" % text) from None
    if given.tzinfo is None:
        given = given.replace(tzinfo=UTC)
    since = given - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def watched(rows, every=1000):
    """Yields `rows`; from two seconds on a line on stderr counts them, where that is a terminal."""
    progress = Progress(TextColumn("{task.completed:,} frames read"), TimeElapsedColumn(),
                        console=Console(stderr=True), transient=True)
    task = progress.add_task("")
    started_s, shown = time.monotonic(), False
    try:
        for number, row in enumerate(rows):
            if not number % every:
                progress.update(task, completed=number)
                if not shown and time.monotonic() - started_s > 2:
                    progress.start()
                    shown = True
            yield row
    finally:
        if shown:
            progress.stop()
